import { resolve } from "node:path";
import { type Keysets, validate } from "@talos/contracts";
import { readSecretFile, writeSecretFile } from "../key-file.ts";
import {
  describeKeysets,
  generateKeysets,
  PURPOSES,
  type Purpose,
  present,
  promoteKeys,
  pruneKeys,
  stageKeys,
} from "../keysets.ts";
import { type Command, list, text, UsageError, type Values } from "./command.ts";
import { type Context, parseJson } from "./context.ts";

/** Eight purposes with eight keys each. */
const KEYSETS_BYTES = 65_536;

const FILE: NonNullable<Command["options"]> = {
  file: { type: "string", short: "f", value: "FILE", help: "the keysets, mode 0600" },
};
const OUT: NonNullable<Command["options"]> = {
  out: {
    type: "string",
    short: "o",
    value: "FILE",
    help: "where the new keysets go (default: FILE itself); - for standard output",
  },
};
const PURPOSE: NonNullable<Command["options"]> = {
  purpose: { type: "string", short: "p", multiple: true, value: "NAME", help: `one of ${PURPOSES.join(", ")} (all)` },
};

const generate: Command = {
  name: "keys generate",
  summary: "Make the gateway's keysets, one key for every purpose",
  about: `The secrets go to a new file with mode 0600, or to standard output when asked with --out -, for a pipe:
  talos keys generate --out - | wrangler secret put TALOS_KEYSETS`,
  options: { out: { type: "string", short: "o", value: "FILE", help: "the new file; - for standard output" } },
  examples: [
    "talos keys generate --out keysets.json",
    "talos keys generate --out - | wrangler secret put TALOS_KEYSETS",
  ],
  run(context, values) {
    const out = text(values, "out");
    if (out === undefined)
      throw new UsageError("--out is missing: the secrets go to a file, or with - to standard output");
    return give(context, generateKeysets("production", Date.now()), out, false);
  },
};

const show: Command = {
  name: "keys show",
  summary: "Show kids, states and times of keysets, never a key",
  options: FILE,
  examples: ["talos keys show --file keysets.json", "talos keys show --file keysets.json --json"],
  run(context, values) {
    const described = describeKeysets(read(context, values));
    context.print(described, table(described));
    return undefined;
  },
};

const stage: Command = {
  name: "keys stage",
  summary: "Add a staged key: published and accepted everywhere before any is used",
  about: "Deploy the result everywhere, then promote.",
  options: { ...FILE, ...PURPOSE, ...OUT },
  examples: ["talos keys stage --file keysets.json", "talos keys stage --file keysets.json --purpose ticket"],
  run: (context, values) => rotate(context, values, (keysets) => stageKeys(keysets, purposes(values), Date.now())),
};

const promote: Command = {
  name: "keys promote",
  summary: "Make the staged keys primary; the old ones stay accepted as long as what they sealed may live",
  options: { ...FILE, ...PURPOSE, ...OUT },
  examples: ["talos keys promote --file keysets.json"],
  run: (context, values) =>
    rotate(context, values, (keysets) => promoteKeys(keysets, purposes(values, present(keysets)), Date.now())),
};

const prune: Command = {
  name: "keys prune",
  summary: "Remove accepted keys whose time is over",
  options: { ...FILE, ...OUT },
  examples: ["talos keys prune --file keysets.json"],
  run: (context, values) => rotate(context, values, (keysets) => pruneKeys(keysets, Date.now())),
};

function rotate(context: Context, values: Values, step: (keysets: Keysets) => Keysets): undefined {
  const next = step(read(context, values));
  return give(context, next, text(values, "out") ?? text(values, "file")!, true);
}

function read(context: Context, values: Values): Keysets {
  const file = text(values, "file");
  if (file === undefined) throw new UsageError("--file is missing");
  const content = readSecretFile(resolve(context.io.cwd, file), KEYSETS_BYTES);
  const checked = validate("keys/keysets", parseJson(content, file));
  if (!checked.ok) throw new UsageError(`${file} holds no keysets`); // the reasons could quote a key
  return checked.value as Keysets;
}

function give(context: Context, keysets: Keysets, out: string, overwrite: boolean): undefined {
  const content = `${JSON.stringify(keysets)}\n`;
  if (out === "-") {
    context.io.out(content); // asked for in so many words
    return;
  }
  writeSecretFile(resolve(context.io.cwd, out), content, { overwrite });
  const described = describeKeysets(keysets);
  context.print({ file: out, ...described }, [`Wrote ${out} (mode 0600).`, ...table(described)]);
}

/** @param all what is meant where none is named */
function purposes(values: Values, all: readonly Purpose[] = PURPOSES): Purpose[] {
  const named = list(values, "purpose");
  for (const name of named) {
    if (!PURPOSES.includes(name as Purpose)) throw new UsageError(`--purpose is one of ${PURPOSES.join(", ")}`);
  }
  return named.length > 0 ? (named as Purpose[]) : [...all];
}

function table({ environment, keys }: ReturnType<typeof describeKeysets>): string[] {
  const rows = keys.map(({ purpose, kid, status, created_at, not_after }) => {
    const until = not_after === undefined ? "" : `  until ${new Date(not_after * 1000).toISOString()}`;
    return `${purpose.padEnd(8)} ${status.padEnd(8)} ${kid}  made ${new Date(created_at * 1000).toISOString()}${until}`;
  });
  return [`environment ${environment}`, ...rows];
}

export const keysCommands = [generate, show, stage, promote, prune];
