/** What needs a file system: key files, keysets, the state that a development stack leaves behind. */
export { loadKey, readSecretFile, saveKey, writeSecretFile } from "./key-file.ts";
export * from "./keysets.ts";
