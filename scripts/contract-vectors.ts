/**
 * `npm run contracts:vectors`: writes the byte-exact vectors (keys, chains, proofs, sessions, what is in force, events) from
 * an implementation that shares nothing with the core. The other files below contracts/vectors/ are written by hand.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { byteExactVectors, printVectors } from "./contracts/vectors/index.ts";

const VECTORS = join(dirname(fileURLToPath(import.meta.url)), "..", "contracts", "vectors");

const files = byteExactVectors();
for (const [name, file] of files) {
  const path = join(VECTORS, `${name}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, printVectors(file));
}
console.log(`contracts: ${files.size} byte-exact vector files written`);
