import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ClientError } from "./errors.ts";
import { Key } from "./keys.ts";

/** A key file is one small JWK; whatever is larger is something else. */
const KEY_FILE_BYTES = 4_096;

/**
 * Write a file that only its owner can read, whole or not at all.
 * @throws `client.key_file` when it exists and `overwrite` is not set
 */
export function writeSecretFile(path: string, text: string, options: { overwrite?: boolean } = {}): void {
  if (!options.overwrite && existsSync(path)) {
    throw new ClientError("client.key_file", `${path} exists; it is not overwritten`);
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.new`;
  try {
    // The mode is set when the file is made: there is no moment in which another user could open it.
    writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
    chmodSync(temporary, 0o600); // against a umask that took more away than it should
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Save a key as a private JWK with mode 0600. */
export function saveKey(path: string, key: Key, options: { overwrite?: boolean } = {}): void {
  writeSecretFile(path, `${JSON.stringify(key.secretJwk())}\n`, options);
}

/**
 * Load a key file.
 * @throws `client.key_file` when it is absent, readable by others than its owner, or not an Ed25519 private JWK
 */
export function loadKey(path: string): Key {
  const text = readSecretFile(path, KEY_FILE_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // JSON.parse quotes its input in the message; the input is a secret.
    throw new ClientError("client.key_file", `${path} is not JSON`);
  }
  return Key.fromJwk(value);
}

/** Read a secret file, refusing one that other users can read or write (as OpenSSH does). */
export function readSecretFile(path: string, limit: number): string {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (cause) {
    throw new ClientError("client.key_file", `${path} cannot be read`, { cause });
  }
  if (!stat.isFile() || stat.size > limit) throw new ClientError("client.key_file", `${path} is not a key file`);
  if (process.platform !== "win32" && (stat.mode & 0o077) !== 0) {
    throw new ClientError("client.key_file", `${path} is open to other users; run: chmod 600 ${path}`);
  }
  return readFileSync(path, "utf8");
}
