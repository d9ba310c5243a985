import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { loadKey, saveKey } from "../key-file.ts";
import { Key } from "../keys.ts";
import { type Command, text, UsageError } from "./command.ts";

const newCommand: Command = {
  name: "key new",
  usage: "FILE",
  summary: "Make a key pair and save it",
  about:
    "FILE is a private JWK (RFC 8037) with mode 0600. The secret is never printed. An existing file is never overwritten.",
  positionals: [1, 1],
  examples: ["talos key new sub-agent.json", "talos key new sub-agent.json --json"],
  run(context, _values, [file]) {
    const path = resolve(context.io.cwd, file!);
    if (existsSync(path)) throw new UsageError(`${file} exists; it is not overwritten`);
    const key = Key.generate();
    saveKey(path, key);
    context.print({ file: path, ...key.toJSON() }, [`Saved ${file} (mode 0600).`, ...lines(key)]);
    return undefined;
  },
};

const showCommand: Command = {
  name: "key show",
  usage: "[FILE]",
  summary: "Show the public names of a key",
  positionals: [0, 1],
  options: {
    key: { type: "string", short: "k", value: "FILE", help: "the key (TALOS_KEY; agent.json)" },
    did: { type: "boolean", help: "print the DID alone, for another command" },
  },
  examples: ["talos key show", "talos key show operator.json", 'talos hold "$(talos key show --did)" --show'],
  run(context, values, [file]) {
    if (file && text(values, "key")) throw new UsageError("name the file once");
    const key = file ? loadKey(resolve(context.io.cwd, file)) : context.key();
    if (values.did === true) context.print({ did: key.did }, [key.did]);
    else context.print({ ...key.toJSON(), did_jwk: key.didJwk }, lines(key));
    return undefined;
  },
};

function lines(key: Key): string[] {
  return [`did         ${key.did}`, `thumbprint  ${key.jkt}`, `public key  ${key.jwk.x}`];
}

export const keyCommands = [newCommand, showCommand];
