/** A copy of the tree, so that no mutant ever stands where somebody works. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../bootstrap.js";

/** Copies what git knows. Dependencies are linked one by one: a link to all of them would lead our own packages back here. */
export function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), "talos-mutants-"));
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0").filter(Boolean);
  for (const file of files.filter((file) => existsSync(join(root, file)))) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    copyFileSync(join(root, file), join(tree, file));
  }
  const from = join(root, "node_modules");
  const to = join(tree, "node_modules");
  mkdirSync(join(to, "@talos"), { recursive: true });
  for (const name of readdirSync(from).filter((name) => name !== "@talos"))
    symlinkSync(join(from, name), join(to, name));
  for (const [name, folder] of [
    ["contracts", "contracts"],
    ["core", "crypto-wasm"],
    ["sdk", "sdk"],
  ]) {
    symlinkSync(join(tree, folder!), join(to, "@talos", name!));
  }
  return tree;
}
