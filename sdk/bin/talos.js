#!/usr/bin/env node
// The `talos` command. The sources are TypeScript that Node runs as they are, from 22.18 on; under an older Node the
// repository's pinned one takes over. `npx talos` finds the pinned one by itself.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

if (process.features.typescript) {
  const { main } = await import("../cli/main.ts");
  const operators = new URL("../../scripts/operator-commands.ts", import.meta.url);
  const { operatorCommands } = existsSync(operators) ? await import(operators.href) : { operatorCommands: [] };
  process.exitCode = await main(process.argv.slice(2), undefined, operatorCommands);
} else {
  const pinned = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "node_modules", ".bin", "node");
  if (!existsSync(pinned)) {
    process.stderr.write("talos: needs Node 22.18 or newer, or the one that `npm start` installs\n");
    process.exit(2);
  }
  const child = spawnSync(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(child.status ?? 1);
}
