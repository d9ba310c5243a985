import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Keysets, validate } from "@talos/contracts";
import { jcs } from "@talos/core";
import { issueCapability, Key, leafOf, sortGrants, grant } from "@talos/sdk";
import { generateKeysets, loadKey, readSecretFile, saveKey, writeSecretFile } from "@talos/sdk/node";
import { root } from "../bootstrap.js";
import { choosePort, isFree } from "./ports.ts";
import { AGENT_GRANTS } from "./demo-policy.ts";

const PREFERRED_PORT = 8_787;
export const TENANT = "default";
/** What `npm start` gives its newcomer; issued anew when less than a day is left. */
const AGENT_TTL_SECONDS = 30 * 86_400;
const RENEW_BELOW_SECONDS = 86_400;

/** The state folder of a local stack: everything that must be the same at the next start. */
export interface State {
  dir: string;
  port: number;
  origin: string;
  aud: string;
  keysets: Keysets;
  /** the trust anchor of the tenant */
  operator: Key;
  /** signs policy snapshots */
  publisher: Key;
  /** keys of the witnesses beside the gateway */
  witnesses: Key[];
}

/** Witnesses beside the gateway: enough for a quorum that takes more than one. */
const WITNESSES = 2;

/** `.talos` in the project's root. */
export const DEFAULT_DIR = join(root, ".talos");

/**
 * Load the state folder, or make it: pinned port, keysets, operator, publisher.
 * @throws when the pinned port is taken
 */
export async function openState(options: { dir?: string; reset?: boolean } = {}): Promise<State> {
  const dir = options.dir ?? DEFAULT_DIR;
  const file = join(dir, "state.json");
  const pinned = readPort(file);
  if (pinned !== null && !(await isFree(pinned))) {
    // Asked before anything is removed: a running stack keeps its folder, whatever is wished.
    const running = runningPid(dir);
    if (running !== null) throw new Error(`A stack runs on ${dir} already (process ${running}); end that one first.`);
    if (!options.reset) throw new Error(portTaken(pinned, file));
  }
  if (options.reset) rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });

  const port = (options.reset ? null : pinned) ?? (await choosePort(PREFERRED_PORT));
  const origin = `http://127.0.0.1:${port}`;
  const aud = `${origin}/t/${TENANT}`;
  const operator = keyAt(join(dir, "operator.json"));
  const publisher = keyAt(join(dir, "publisher.json"));
  const witnesses = Array.from({ length: WITNESSES }, (_, i) => keyAt(join(dir, `witness-${i + 1}.json`)));
  const keysets = keysetsAt(join(dir, "keysets.json"));
  writeState(dir, { v: 1, port, aud, operator: operator.did });
  const state = { dir, port, origin, aud, keysets, operator, publisher, witnesses };
  giveAgent(state);
  return state;
}

/** What the stack says about itself to the commands. Mode 0600: the database's address may hold a password. */
function writeState(dir: string, value: object): void {
  writeSecretFile(join(dir, "state.json"), `${JSON.stringify(value, null, 2)}\n`, { overwrite: true });
}

/** Say where the running stack's database and its chain are, for the commands. */
export function noteRunning(
  state: State,
  running: { database: { url: string; endpoint: string }; chain?: { rpc: string } },
): void {
  const { port, aud, operator } = state;
  writeState(state.dir, { v: 1, port, aud, operator: operator.did, ...running });
}

/** The port that a state folder pins, or null when it has none. */
export function readPort(file: string): number | null {
  if (!existsSync(file)) return null;
  const value = JSON.parse(readFileSync(file, "utf8")) as { port?: unknown };
  if (!Number.isInteger(value.port)) throw new Error(`${file} pins no port; \`npm start -- --reset\` makes it anew`);
  return value.port as number;
}

function portTaken(port: number, file: string): string {
  return [
    `Port ${port} is taken by another program. It is pinned in ${file}, because every capability names its gateway by it.`,
    "End that program, or begin anew on another port with `npm start -- --reset`: local keys, capabilities and the record",
    "are gone then.",
  ].join("\n");
}

const PID_FILE = "dev.pid";

/** The process whose stack holds this folder, or null. A pid that a crash left behind belongs to nobody. */
export function runningPid(dir: string): number | null {
  const file = join(dir, PID_FILE);
  if (!existsSync(file)) return null;
  const pid = Number(readFileSync(file, "utf8"));
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPERM") return pid; // alive, another user's
    return null;
  }
}

/** Take the folder for this process. @returns a function that gives it back */
export function holdState(dir: string): () => void {
  writeFileSync(join(dir, PID_FILE), `${process.pid}\n`);
  return () => rmSync(join(dir, PID_FILE), { force: true });
}

function keyAt(path: string): Key {
  if (!existsSync(path)) saveKey(path, Key.generate());
  return loadKey(path);
}

/** Those of the folder; purposes that it does not have yet, as an older one may not, get their first key. */
function keysetsAt(path: string): Keysets {
  const fresh = generateKeysets("development", Date.now());
  const write = (keysets: Keysets): void => writeSecretFile(path, `${JSON.stringify(keysets)}\n`, { overwrite: true });
  if (!existsSync(path)) write(fresh);
  const checked = validate("keys/keysets", JSON.parse(readSecretFile(path, 65_536)));
  if (!checked.ok) throw new Error(`${path} holds no keysets; \`npm start -- --reset\` makes it anew`);
  const known = checked.value as Keysets;
  const keysets = { ...known, purposes: { ...fresh.purposes, ...known.purposes } };
  if (Object.keys(keysets.purposes).length > Object.keys(known.purposes).length) write(keysets);
  return keysets;
}

/** A key and a capability to try the `talos` command with. */
function giveAgent(state: State): void {
  const agent = keyAt(join(state.dir, "agent.json"));
  const path = join(state.dir, "agent.cap");
  if (existsSync(path) && stillGood(readFileSync(path, "utf8").trim(), state)) return;
  const chain = issueCapability({
    key: state.operator,
    holder: agent,
    aud: state.aud,
    grants: AGENT_GRANTS,
    ttl_seconds: AGENT_TTL_SECONDS,
    depth: 3,
  });
  writeSecretFile(path, `${chain}\n`, { overwrite: true });
}

function stillGood(chain: string, state: State): boolean {
  const { claims } = leafOf(chain);
  const left = claims.exp - Date.now() / 1000;
  const wanted = sortGrants(AGENT_GRANTS.map(grant));
  const same = jcs(JSON.stringify(claims.grants)) === jcs(JSON.stringify(wanted));
  return same && left > RENEW_BELOW_SECONDS && claims.aud.includes(state.aud) && claims.iss === state.operator.did;
}
