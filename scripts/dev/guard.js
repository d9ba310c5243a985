// Runs one command in a process group of its own and ends the whole group when our standard input ends. Standard input
// is a pipe from the stack: it ends when the stack stops, is killed or crashes, so no child outlives it.
//   node guard.js COMMAND [ARGUMENTS…]
import { spawn } from "node:child_process";

/** From the polite signal to the other one. */
const GRACE_MS = 3_000;

const [command, ...args] = process.argv.slice(2);
// Ctrl-C reaches the stack and this process alike; the stack decides, and tells us by closing the pipe.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => end());
process.on("SIGTERM", () => end());

const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"], detached: true });
child.on("error", (error) => {
  process.stderr.write(`${command}: ${error.message}\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  killGroup("SIGKILL"); // what the child left behind in its group
  process.exit(signal ? 1 : (code ?? 1));
});
process.stdin.resume();
process.stdin.on("end", end);
process.stdin.on("error", end);

let ending = false;
function end() {
  if (ending) return;
  ending = true;
  killGroup("SIGTERM");
  setTimeout(() => killGroup("SIGKILL"), GRACE_MS);
}

function killGroup(signal) {
  if (!child.pid) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // ESRCH: nobody is left
  }
}
