/**
 * Every Rust mutant in one build: each changed expression becomes `if mutant::is(N) { changed } else { original }`, and the
 * environment variable TALOS_MUTANT says which N is alive. So the core is compiled once instead of once a mutant. All of this
 * is done to a copy; the sources know nothing of it.
 */
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, toolEnv } from "../bootstrap.js";
import type { Job, Outcome } from "../mutants.ts";
import { locate } from "./list.ts";

/** A mutant that makes a test run for longer than this has made it hang. The whole suite takes some seconds. */
const HANGS_MS = 180_000;

const MODULE = `//! Which mutant is alive.
extern crate std as host; // also where the crate itself knows no std
use host::sync::OnceLock;
/// Whether it is this one.
pub fn is(number: u32) -> bool {
    static ALIVE: OnceLock<u32> = OnceLock::new();
    *ALIVE.get_or_init(|| host::env::var("TALOS_MUTANT").map_or(0, |text| text.parse().unwrap_or(0))) == number
}
`;

interface Edit {
  number: number;
  from: number;
  to: number;
  replace?: string | undefined;
  insert?: string | undefined;
}

/** The source with all edits in it. Spans are nested or apart. */
export function weave(source: string, edits: readonly Edit[]): string {
  const inserts = edits.filter((edit) => edit.insert !== undefined);
  const swaps = edits.filter((edit) => edit.insert === undefined).sort((a, b) => a.from - b.from || b.to - a.to);
  const plain = (from: number, to: number): string => {
    let text = "";
    let at = from;
    for (const { number, from: here, insert } of inserts
      .filter((one) => one.from >= from && one.from < to)
      .sort((a, b) => a.from - b.from)) {
      text += `${source.slice(at, here)}if crate::mutant::is(${number}) { ${insert} }\n`;
      at = here;
    }
    return text + source.slice(at, to);
  };
  const within = (from: number, to: number, inner: readonly Edit[]): string => {
    const first = inner[0];
    if (first === undefined) return plain(from, to);
    const same = inner.filter((one) => one.from === first.from && one.to === first.to);
    const rest = inner.filter((one) => !same.includes(one));
    const inside = rest.filter((one) => one.to <= first.to);
    const after = rest.filter((one) => one.from >= first.to);
    if (inside.length + after.length < rest.length)
      throw new Error(`overlapping: ${source.slice(first.from, first.to)}`);
    const arms = same.map(({ number, replace }) => `if crate::mutant::is(${number}) { ${replace} } else `).join("");
    const kept = within(first.from, first.to, inside);
    return `${plain(from, first.from)}(${arms}{ ${kept} })${within(first.to, to, after)}`;
  };
  return within(0, source.length, swaps);
}

/** A function that asks which mutant is alive cannot be const. Blanked, so that every place stays where it is. */
function unconst(source: string, at: number): string {
  const functions = [...source.slice(0, at).matchAll(/\b(const )?fn \w+/g)];
  const last = functions.at(-1);
  if (last?.[1] === undefined) return source;
  return source.slice(0, last.index) + " ".repeat("const ".length) + source.slice(last.index + "const ".length);
}

type Run = (number: number, by: string) => Promise<Outcome>;

/** Changes the tree's core, compiles it, and gives what runs one mutant. @throws with the compiler's words */
export async function buildRust(jobs: readonly Job[], tree: string): Promise<Run> {
  for (const file of new Set(jobs.map((job) => job.area.file))) {
    const path = join(tree, file);
    let source = readFileSync(path, "utf8");
    const edits = jobs
      .filter((job) => job.area.file === file)
      .map(({ number, mutant }) => {
        const { replace, insert } = mutant;
        return { number, ...locate(source, mutant), replace, insert };
      });
    for (const { from } of edits) source = unconst(source, from);
    writeFileSync(path, weave(source, edits));
  }
  for (const crate of CRATES) {
    const source = join(tree, "crypto-wasm", crate, "src");
    writeFileSync(join(source, "mutant.rs"), MODULE);
    appendFileSync(join(source, "lib.rs"), "\n/// Mutants.\npub mod mutant;\n");
  }
  return runner(compile(tree), tree);
}

const CRATES = ["base", "core", "log", "anchor", "bundle"];

function compile(tree: string): Map<string, string> {
  const env = toolEnv({ CARGO_TARGET_DIR: join(root, "crypto-wasm/target/mutants"), RUSTFLAGS: "--cap-lints=allow" });
  const args = [
    "test",
    "--locked",
    "--no-run",
    "--quiet",
    ...CRATES.flatMap((crate) => ["-p", `talos-${crate}`]),
    "--message-format=json",
  ];
  const { status, stdout, error } = spawnSync("cargo", args, {
    cwd: join(tree, "crypto-wasm"),
    env,
    encoding: "utf8",
    maxBuffer: 1 << 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (error) throw error;
  const lines = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  if (status !== 0) {
    const said = lines.filter((line) => line.message?.level === "error").map((line) => line.message.rendered);
    throw new Error(`a broken mutant, the copy does not compile:\n${said.join("\n")}`);
  }
  const binaries = new Map<string, string>();
  for (const { reason, executable, target } of lines) {
    if (reason !== "compiler-artifact" || !executable) continue;
    // The core's are `lib` and `suite`, without its name.
    const unit = target.name === "talos_core" ? "lib" : target.name.replace("talos_", "");
    const crate = /\/(\w+)\/tests\//.exec(target.src_path)?.[1];
    const suite = crate === undefined || crate === "core" ? target.name : `${crate}-suite`;
    const name = target.kind.includes("test") ? suite : unit;
    // Out of the target folder, where another run would replace them.
    copyFileSync(executable, join(tree, name));
    binaries.set(name, join(tree, name));
  }
  return binaries;
}

function runner(binaries: Map<string, string>, tree: string): Run {
  const vectors = process.env.TALOS_VECTORS_DIR ?? join(root, "../shared/vectors");
  const once = (number: number, binary: string, filter: string): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const executable = binaries.get(binary);
      if (executable === undefined) throw new Error(`no test binary ${binary}`);
      const child = spawn(executable, ["--test-threads=1", filter], {
        cwd: join(tree, "crypto-wasm/core"),
        env: {
          ...process.env,
          TALOS_MUTANT: String(number),
          RUST_BACKTRACE: "0",
          ...(existsSync(vectors) ? { TALOS_VECTORS_DIR: vectors } : {}),
        },
        stdio: ["ignore", "pipe", "ignore"],
      });
      let text = "";
      child.stdout.on("data", (chunk) => {
        text += chunk;
      });
      const timer = setTimeout(() => child.kill("SIGKILL"), HANGS_MS);
      child.on("error", reject);
      child.on("close", (code, signal) => {
        clearTimeout(timer);
        const died = /^test (\S+) (?:- should panic )?\.\.\. FAILED/m.exec(text)?.[1];
        const last = /^test (\S+) \.\.\. $/m.exec(text)?.[1] ?? "?";
        if (died !== undefined) resolve({ died: `${binary} ${died}` });
        else if (signal !== null) resolve({ died: `${binary} ${last} (${signal === "SIGKILL" ? "hangs" : signal})` });
        else if (!/^running [1-9]/m.test(text)) resolve({ broken: `no test: ${binary} ${filter}` });
        else resolve(code === 0 ? { lives: true } : { broken: `exit ${code}` });
      });
    });
  return async (number, by) => {
    const [binary, ...filters] = by.split(" ");
    // One after the other: the first that dies is enough, and the quick ones stand first.
    for (const filter of filters) {
      const outcome = await once(number, binary!, filter);
      if (!("lives" in outcome)) return outcome;
    }
    return { lives: true };
  };
}
