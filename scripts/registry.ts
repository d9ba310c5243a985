/**
 * `npm run registry`: compiles contracts/evm/AnchorRegistry.sol with npm's solc and writes contracts/evm/registry.ts (ABI,
 * bytecode, the hash of the code that runs). `-- --check` writes nothing and fails when the file differs.
 *
 * Deterministic: pinned compiler, no metadata in the code, so the same source is the same code hash everywhere, and that is
 * what evidence is held to.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { keccak256 } from "@talos/core/anchor";
import { root } from "./bootstrap.js";
import { orHelp } from "./help.ts";

const NAME = "AnchorRegistry";
const OUT = join(root, "contracts/evm/registry.ts");

interface Compiler {
  version(): string;
  compile(input: string): string;
}

interface Compiled {
  errors?: { severity: string; formattedMessage: string }[];
  contracts: Record<string, Record<string, { abi: unknown[]; evm: { bytecode: Code; deployedBytecode: Code } }>>;
}

interface Code {
  object: string;
}

/** The file that the source gives. */
export function registryModule(): string {
  const solc = createRequire(import.meta.url)("solc") as Compiler;
  const content = readFileSync(join(root, `contracts/evm/${NAME}.sol`), "utf8");
  const settings = {
    optimizer: { enabled: true, runs: 10_000 },
    // The oldest rules that every chain we name has had since 2023.
    evmVersion: "paris",
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  };
  const input = { language: "Solidity", sources: { [NAME]: { content } }, settings };
  const { errors = [], contracts } = JSON.parse(solc.compile(JSON.stringify(input))) as Compiled;
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  const { abi, evm } = contracts[NAME]![NAME]!;
  const codeHash = Buffer.from(keccak256(Buffer.from(evm.deployedBytecode.object, "hex"))).toString("hex");
  return [
    `/** Written by \`npm run registry\` from ${NAME}.sol with solc ${solc.version()}; never edited. */`,
    `export const REGISTRY_SOURCE = "${createHash("sha256").update(content).digest("hex")}";`,
    "",
    "/** Keccak-256 of the code of a deployed registry. */",
    `export const REGISTRY_CODE_HASH = "0x${codeHash}";`,
    "",
    "/** What a deployment sends. */",
    `export const REGISTRY_BYTECODE =`,
    `  "0x${evm.bytecode.object}";`,
    "",
    `export const REGISTRY_ABI = ${JSON.stringify(abi, null, 2)} as const;`,
    "",
  ].join("\n");
}

if (import.meta.filename === process.argv[1]) {
  orHelp(`npm run registry [-- --check]: compile contracts/evm/AnchorRegistry.sol into contracts/evm/registry.ts

  --check  write nothing, and fail when the file is not what the source gives
`);
  const text = registryModule();
  if (!process.argv.includes("--check")) writeFileSync(OUT, text);
  else if (readFileSync(OUT, "utf8") !== text) {
    console.error("registry: contracts/evm/registry.ts is not what the source gives. Run `npm run registry`.");
    process.exitCode = 1;
  }
  console.log(`registry: ${/REGISTRY_CODE_HASH = "(\w+)"/.exec(text)?.[1]}`);
}
