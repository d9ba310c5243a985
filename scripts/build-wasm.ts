/**
 * Build the core: Rust → wasm-pack → wasm-opt → crypto-wasm/pkg, which is committed so that nobody needs Rust to run or test.
 *
 *   npm run wasm              build and write crypto-wasm/pkg
 *   npm run wasm -- --check   what is in pkg is whole and belongs to these sources; with exactly the recorded tools it is
 *                             also built again and compared byte for byte
 *
 * The build is reproducible: pinned compiler, locked crates, builder's paths mapped away.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";

const ROOT = join(import.meta.dirname, "..");
const CRATES = join(ROOT, "crypto-wasm");
const PKG = join(CRATES, "pkg");
const CARGO_HOME = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
const BIN = join(ROOT, "node_modules", ".bin");
const ENV = { ...process.env, PATH: [BIN, join(CARGO_HOME, "bin"), process.env.PATH].join(delimiter) };

/** What is committed, besides `build.json`. */
const OUTPUT = ["talos_core.js", "talos_core.d.ts", "talos_core_bg.wasm", "talos_core_bg.wasm.d.ts", "hash.ts"];
/** Everything that the bytes of the wasm depend on, besides the tools. */
const SOURCES = [
  "rust-toolchain.toml",
  "contracts/gen/contracts.rs",
  "crypto-wasm/Cargo.toml",
  "crypto-wasm/Cargo.lock",
  "crypto-wasm/*/Cargo.toml",
  "crypto-wasm/*/src/**/*.rs",
];
/**
 * Paths of a builder's machine. `/rustc/<commit>/` is not one: the compiler's own standard library names its files so
 * everywhere.
 */
const BUILDER_PATH = /\/(?:root|home|tmp|work|usr|opt|var|mnt|Users|build|builds|github|runner|private)\/|[A-Z]:\\/;

interface Build {
  tools: Record<string, string>;
  sources: string;
  sha256: string;
  bytes: number;
  gzip_bytes: number;
}

const check = process.argv.includes("--check");
try {
  if (check) checkPkg();
  else writePkg();
} catch (error) {
  console.error(`wasm: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function writePkg(): void {
  const tools = installedTools();
  const missing = Object.keys(tools).filter((name) => tools[name] === undefined);
  if (missing.length > 0) throw new Error(`missing ${missing.join(", ")}: run scripts/install-wasm-tools.sh`);
  mkdirSync(PKG, { recursive: true });
  const files = build();
  for (const [name, bytes] of files) writeFileSync(join(PKG, name), bytes);
  const wasm = files.get("talos_core_bg.wasm")!;
  const record: Build = {
    tools: tools as Record<string, string>,
    sources: sourcesHash(),
    sha256: sha256(wasm, "hex"),
    bytes: wasm.byteLength,
    gzip_bytes: gzipSync(wasm, { level: 9 }).byteLength,
  };
  writeFileSync(join(PKG, "build.json"), `${JSON.stringify(record, null, 2)}\n`);
  console.log(`wasm: ${record.bytes} bytes, ${record.gzip_bytes} gzipped, sha256 ${record.sha256}`);
}

/** What can be said without Rust is always checked; the rebuild only with the recorded tools. */
function checkPkg(): void {
  const record = JSON.parse(readFileSync(join(PKG, "build.json"), "utf8")) as Build;
  const wasm = readFileSync(join(PKG, "talos_core_bg.wasm"));
  if (sha256(wasm, "hex") !== record.sha256)
    throw new Error("talos_core_bg.wasm is not the file that build.json records");
  if (readFileSync(join(PKG, "hash.ts"), "utf8") !== hashModule(wasm))
    throw new Error("hash.ts does not name this wasm");
  refusePaths(wasm);
  if (sourcesHash() !== record.sources) throw new Error("the sources changed after the build: run `npm run wasm`");
  console.log("wasm: pkg is whole and belongs to these sources");

  const tools = installedTools();
  const other = Object.keys(record.tools).filter((name) => tools[name] !== record.tools[name]);
  if (other.length > 0) {
    for (const name of other)
      console.warn(`wasm: ${name} is "${tools[name] ?? "missing"}", recorded "${record.tools[name]}"`);
    console.warn("skipped: wasm rebuild: NOT REBUILT AND NOT COMPARED, the tools are not the recorded ones");
    return;
  }
  for (const [name, bytes] of build()) {
    if (!bytes.equals(readFileSync(join(PKG, name)))) throw new Error(`${name} differs from what these sources build`);
  }
  console.log(`wasm: rebuilt byte for byte, sha256 ${record.sha256}`);
}

/** Build into a fresh folder; never touches pkg. */
function build(): Map<string, Buffer> {
  const out = mkdtempSync(join(tmpdir(), "talos-wasm-"));
  try {
    // Relative targets: a mapped path must not look like anybody's.
    const flags = [`${CARGO_HOME}=cargo`, `${ROOT}=talos`].map((map) => `--remap-path-prefix=${map}`);
    const args = ["build", join(CRATES, "wasm"), "--release", "--mode", "no-install", "--target", "web", "--no-pack"];
    args.push("--out-dir", out, "--out-name", "talos_core", "--", "--locked");
    const env = { ...ENV, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), CARGO_INCREMENTAL: "0" };
    execFileSync("wasm-pack", args, { env, stdio: ["ignore", "inherit", "inherit"] });

    const raw = join(out, "talos_core_bg.wasm");
    execFileSync("wasm-opt", ["-Oz", "--converge", "--strip-debug", "--strip-producers", raw, "-o", raw], {
      env: ENV,
    });
    const files = new Map<string, Buffer>();
    for (const name of OUTPUT) if (existsSync(join(out, name))) files.set(name, readFileSync(join(out, name)));
    const wasm = files.get("talos_core_bg.wasm")!;
    refusePaths(wasm);
    files.set("hash.ts", Buffer.from(hashModule(wasm)));
    return files;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function refusePaths(wasm: Buffer): void {
  const found = BUILDER_PATH.exec(wasm.toString("latin1"));
  if (found) {
    const around = wasm.toString("latin1", Math.max(0, found.index - 20), found.index + 80);
    throw new Error(`the wasm holds a path of its builder: ${JSON.stringify(around)}`);
  }
}

function hashModule(wasm: Buffer): string {
  return [
    "/** Written by `npm run wasm`. base64url SHA-256 of talos_core_bg.wasm; tickets and receipts name it. */",
    `export const CORE_HASH = "${sha256(wasm, "base64url")}";`,
    "",
  ].join("\n");
}

function sourcesHash(): string {
  const hash = createHash("sha256");
  const names = globSync(SOURCES, { cwd: ROOT, exclude: (name) => name === "target" }).map((name) =>
    name.replaceAll("\\", "/"),
  );
  for (const name of names.sort()) {
    const bytes = readFileSync(join(ROOT, name));
    hash.update(`${name}\n${bytes.byteLength}\n`).update(bytes);
  }
  return hash.digest("hex");
}

function installedTools(): Record<string, string | undefined> {
  return {
    rustc: version("rustc"),
    wasm_pack: version("wasm-pack"),
    wasm_bindgen: version("wasm-bindgen"),
    wasm_opt: version("wasm-opt"),
  };
}

function version(tool: string): string | undefined {
  const ran = spawnSync(tool, ["--version"], { env: ENV, cwd: ROOT, encoding: "utf8" });
  return ran.status === 0 ? ran.stdout.trim() : undefined;
}

function sha256(bytes: Buffer, encoding: "hex" | "base64url"): string {
  return createHash("sha256").update(bytes).digest(encoding);
}
