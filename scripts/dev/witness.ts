import { verifierKey } from "@talos/core/log";
import { metaKeys, metaOrigin } from "../../durable-objects/meta-key.ts";
import type { Child } from "./children.ts";
import { freePort } from "./ports.ts";
import type { State } from "./state.ts";
import { startWrangler } from "./wrangler.ts";

/** A witness of the local stack: a script, a process, a key and rows of its own. */
export interface DevWitness {
  name: string;
  url: string;
  /** its line of a policy */
  line: string;
  start(): Child;
}

/** What the stack's witnesses will be; nothing runs yet, so that the Worker can be told of them first. */
export async function witnessesOf(state: State): Promise<DevWitness[]> {
  const logs = await metaKeys(state.keysets, metaOrigin(new URL(state.origin).host));
  const known = `${logs.map((log) => `log ${log}\n`).join("")}quorum none\n`;
  return Promise.all(state.witnesses.map((key, i) => witness(`witness-${i + 1}`, key, known, state)));
}

/** The policy that the Worker gets: all of them, or nothing is witnessed. */
export function quorumOf(witnesses: readonly DevWitness[]): string {
  const names = witnesses.map(({ name }) => name).join(" ");
  return `${witnesses.map(({ line }) => line).join("")}group all-of-them all ${names}\nquorum all-of-them\n`;
}

async function witness(
  name: string,
  key: State["witnesses"][number],
  known: string,
  state: State,
): Promise<DevWitness> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // Nobody's host: a key's name is a name, and needs no address.
  const keyName = `${name}.localhost`;
  const publicKey = new Uint8Array(Buffer.from(key.jwk.x, "base64url"));
  const vars = {
    WITNESS_NAME: keyName,
    WITNESS_KEY: Buffer.from(key.seed()).toString("base64url"),
    WITNESS_KNOWN_LOGS: known,
  };
  const options = { title: name, name, dir: state.dir, config: "wrangler.witness.toml", port, vars };
  const line = `witness ${name} ${verifierKey({ name: keyName, publicKey, cosigns: true })} ${url}\n`;
  return { name, url, line, start: () => startWrangler(options) };
}
