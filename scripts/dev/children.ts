import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

/** What a child may take with it at the end; then its guard has killed it. */
const STOP_MS = 5_000;
const LOG_TAIL_LINES = 20;

/** A program of the stack, in a process group of its own behind scripts/dev/guard.js; its output goes to a log file. */
export class Child {
  readonly name: string;
  readonly logFile: string;
  /** settles when the program has ended, for whatever reason */
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #watchers = new Set<(line: string) => void>();
  #running = true;

  constructor(args: {
    name: string;
    command: string[];
    env: Record<string, string | undefined>;
    cwd: string;
    logFile: string;
  }) {
    this.name = args.name;
    this.logFile = args.logFile;
    mkdirSync(dirname(args.logFile), { recursive: true });
    const log = createWriteStream(args.logFile, { mode: 0o600 });
    const guard = join(import.meta.dirname, "guard.js");
    this.#process = spawn(process.execPath, [guard, ...args.command], {
      cwd: args.cwd,
      env: args.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.write(`${line}\n`);
        for (const watcher of this.#watchers) watcher(line);
      });
    }
    this.#process.stdin!.on("error", () => {}); // the guard has ended: `ended` says so
    this.ended = once(this.#process, "exit").then(() => {
      this.#running = false;
      log.end();
    });
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * Wait for a line of output.
   * @throws when the program ends first, or `timeout_ms` pass
   */
  async line(pattern: RegExp, timeout_ms: number): Promise<RegExpExecArray> {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => done(() => reject(this.failure(`said nothing in ${timeout_ms / 1000} s`))),
        timeout_ms,
      );
      const watcher = (line: string) => {
        const match = pattern.exec(line);
        if (match) done(() => resolve(match));
      };
      const done = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        settle();
      };
      this.#watchers.add(watcher);
      void this.ended.then(() => done(() => reject(this.failure("ended"))));
    });
  }

  /** An error with the end of the program's log. */
  failure(what: string): Error {
    const lines = readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
    return new Error(
      `${this.name} ${what}. The end of ${this.logFile}:\n${lines.map((line) => `  ${line}`).join("\n")}`,
    );
  }

  /** End it and everything it started. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#process.stdin!.end(); // the guard's signal
    const late = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
    await this.ended;
    clearTimeout(late);
  }
}
