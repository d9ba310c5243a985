/** Everything in contracts/gen/, as text, from the sources. Pure but for reading them. */
import { join } from "node:path";
import { BANNER, emitErrors, emitLimits } from "./emit-errors.ts";
import { emitOpenapi } from "./emit-openapi.ts";
import { emitRust } from "./emit-rust.ts";
import { emitSurfaces } from "./emit-surfaces.ts";
import { emitTypes } from "./emit-types.ts";
import { emitValidators } from "./emit-validators.ts";
import { contractHash } from "./hash.ts";
import { lintContract } from "./lint.ts";
import { loadContract } from "./load.ts";

export interface Generated {
  files: Map<string, string>;
  problems: string[];
  hash: string;
}

/** @param root the checkout. A contract with problems yields no files. */
export function generate(root: string): Generated {
  const contract = loadContract(join(root, "contracts"));
  const hash = contractHash(contract);
  const problems = lintContract(contract);
  if (problems.length > 0) return { files: new Map(), problems, hash };

  const files = new Map([
    ["contracts.rs", emitRust(contract, hash)],
    ["errors.ts", emitErrors(contract)],
    [
      "hash.ts",
      `${BANNER}\n/** Of the sources that this was generated from; the core carries the same. */\nexport const CONTRACT_HASH = ${JSON.stringify(hash)};\n`,
    ],
    ["index.ts", index()],
    ["limits.ts", emitLimits(contract)],
    ["openapi.json", emitOpenapi(contract, hash)],
    ["surfaces.ts", emitSurfaces(contract)],
    ["types.ts", emitTypes(contract)],
    ["validators.ts", emitValidators(contract)],
  ]);
  return { files, problems, hash };
}

function index(): string {
  const modules = ["errors", "hash", "limits", "surfaces"];
  return `${BANNER}\n${modules.map((name) => `export * from "./${name}.ts";\n`).join("")}export type * from "./types.ts";\nexport * from "../validate.ts";\n`;
}
