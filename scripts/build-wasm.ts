/**
 * Build the modules: Rust → wasm-pack → wasm-opt → crypto-wasm/pkg (the core), pkg-log (the verifiable log),
 * pkg-anchor (evidence of anchors) and pkg-bundle (the verifier of proof bundles), which are committed so that nobody needs Rust to run or test.
 *
 *   npm run wasm              build and write every folder whose sources or tools are others than what it was built with
 *   npm run wasm -- NAME      the same for one of them
 *   npm run wasm -- --check   what is in them is whole and belongs to these sources; with exactly the recorded tools it is
 *                             also built again and compared byte for byte
 *
 * The build is reproducible: pinned compiler, locked crates, builder's paths mapped away.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import { orHelp } from "./help.ts";

orHelp(`npm run wasm [-- --check]: build the Rust modules into crypto-wasm (needs cargo and scripts/install-wasm-tools.sh)

  --check  write nothing; what is committed is whole and belongs to these sources, and is rebuilt and compared where the
           recorded tools are there
`);

const ROOT = join(import.meta.dirname, "..");
const CRATES = join(ROOT, "crypto-wasm");
const CARGO_HOME = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
const BIN = join(ROOT, "node_modules", ".bin");
const ENV = { ...process.env, PATH: [BIN, join(CARGO_HOME, "bin"), process.env.PATH].join(delimiter) };

interface Module {
  /** of the loader and the wasm */
  name: string;
  /** where it is committed */
  pkg: string;
  crate: string;
  /** Everything that the bytes of the wasm depend on, besides the tools. */
  sources: string[];
  flags: string[];
  /** Whether `hash.ts` tells the module which file it was loaded from. */
  hashed: boolean;
}

const SHARED = ["rust-toolchain.toml", "crypto-wasm/Cargo.toml", "crypto-wasm/Cargo.lock"];
const sourcesOf = (crates: string) => [`crypto-wasm/${crates}/Cargo.toml`, `crypto-wasm/${crates}/src/**/*.rs`];
/** SHA-256 as a loop: these hash little, and a browser fetches them in order to verify. */
const SMALL = ["--cfg", 'sha2_backend="soft"', "--cfg", 'sha2_backend_soft="compact"'];
const MODULES: Module[] = [
  {
    name: "talos_core",
    pkg: join(CRATES, "pkg"),
    crate: "wasm",
    sources: [...SHARED, "contracts/gen/contracts.rs", ...["base", "core", "wasm"].flatMap(sourcesOf)],
    // Every runtime that we name has SIMD since 2022; SHA-256 is faster and smaller with it.
    flags: ["-Ctarget-feature=+simd128"],
    hashed: true,
  },
  {
    name: "talos_log",
    pkg: join(CRATES, "pkg-log"),
    crate: "log-wasm",
    sources: [...SHARED, ...sourcesOf("log"), ...sourcesOf("log-wasm")],
    flags: SMALL,
    hashed: false,
  },
  {
    name: "talos_anchor",
    pkg: join(CRATES, "pkg-anchor"),
    crate: "anchor-wasm",
    sources: [...SHARED, ...sourcesOf("anchor"), ...sourcesOf("anchor-wasm")],
    flags: SMALL,
    hashed: false,
  },
  {
    name: "talos_bundle",
    pkg: join(CRATES, "pkg-bundle"),
    crate: "bundle-wasm",
    sources: [...SHARED, ...["log", "anchor", "bundle", "bundle-wasm"].flatMap(sourcesOf)],
    flags: SMALL,
    hashed: false,
  },
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
const named = process.argv.slice(2).filter((word) => !word.startsWith("--"));
try {
  for (const module of MODULES.filter(({ name }) => named.length === 0 || named.includes(name))) {
    if (check) checkPkg(module);
    else writePkg(module);
  }
} catch (error) {
  console.error(`wasm: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function writePkg(module: Module): void {
  const { name, pkg } = module;
  const tools = installedTools();
  const missing = Object.keys(tools).filter((tool) => tools[tool] === undefined);
  if (missing.length > 0) throw new Error(`missing ${missing.join(", ")}: run scripts/install-wasm-tools.sh`);
  if (isCurrent(module, tools)) {
    console.log(`wasm: ${name} was built from these sources with these tools`);
    return;
  }
  mkdirSync(pkg, { recursive: true });
  const files = build(module);
  for (const [file, bytes] of files) writeFileSync(join(pkg, file), bytes);
  const wasm = files.get(`${name}_bg.wasm`)!;
  const record: Build = {
    tools: tools as Record<string, string>,
    sources: sourcesHash(module),
    sha256: sha256(wasm, "hex"),
    bytes: wasm.byteLength,
    gzip_bytes: gzipSync(wasm, { level: 9 }).byteLength,
  };
  writeFileSync(join(pkg, "build.json"), `${JSON.stringify(record, null, 2)}\n`);
  console.log(`wasm: ${name} ${record.bytes} bytes, ${record.gzip_bytes} gzipped, sha256 ${record.sha256}`);
}

/** Whether what is there was built from these sources with these tools: a build is the same every time (`--check` shows it). */
function isCurrent(module: Module, tools: Record<string, string | undefined>): boolean {
  const { name, pkg } = module;
  try {
    const record = JSON.parse(readFileSync(join(pkg, "build.json"), "utf8")) as Build;
    const wasm = readFileSync(join(pkg, `${name}_bg.wasm`));
    const same = Object.keys(tools).every((tool) => record.tools[tool] === tools[tool]);
    return same && record.sources === sourcesHash(module) && record.sha256 === sha256(wasm, "hex");
  } catch {
    return false; // not there, or no build of ours: built anew
  }
}

/** What can be said without Rust is always checked; the rebuild only with the recorded tools. */
function checkPkg(module: Module): void {
  const { name, pkg, hashed } = module;
  const record = JSON.parse(readFileSync(join(pkg, "build.json"), "utf8")) as Build;
  const wasm = readFileSync(join(pkg, `${name}_bg.wasm`));
  if (sha256(wasm, "hex") !== record.sha256) throw new Error(`${name}_bg.wasm is not the file that build.json records`);
  if (hashed && readFileSync(join(pkg, "hash.ts"), "utf8") !== hashModule(module, wasm))
    throw new Error(`hash.ts does not name ${name}_bg.wasm`);
  refusePaths(wasm);
  if (sourcesHash(module) !== record.sources)
    throw new Error(`the sources of ${name} changed after the build: run \`npm run wasm\``);
  console.log(`wasm: ${name} is whole and belongs to these sources`);

  const tools = installedTools();
  const other = Object.keys(record.tools).filter((tool) => tools[tool] !== record.tools[tool]);
  if (other.length > 0) {
    for (const tool of other)
      console.warn(`wasm: ${tool} is "${tools[tool] ?? "missing"}", recorded "${record.tools[tool]}"`);
    console.warn(`skipped: wasm rebuild of ${name}: NOT REBUILT AND NOT COMPARED, the tools are not the recorded ones`);
    return;
  }
  for (const [file, bytes] of build(module)) {
    if (!bytes.equals(readFileSync(join(pkg, file)))) throw new Error(`${file} differs from what these sources build`);
  }
  console.log(`wasm: ${name} rebuilt byte for byte, sha256 ${record.sha256}`);
}

/** Build into a fresh folder; never touches what is committed. */
function build(module: Module): Map<string, Buffer> {
  const { name, crate, flags, hashed } = module;
  const out = mkdtempSync(join(tmpdir(), "talos-wasm-"));
  try {
    // Relative targets: a mapped path must not look like anybody's.
    const maps = [`${CARGO_HOME}=cargo`, `${ROOT}=talos`].map((map) => `--remap-path-prefix=${map}`);
    const args = ["build", join(CRATES, crate), "--release", "--mode", "no-install", "--target", "web", "--no-pack"];
    args.push("--out-dir", out, "--out-name", name, "--", "--locked");
    const env = { ...ENV, CARGO_ENCODED_RUSTFLAGS: [...maps, ...flags].join("\x1f"), CARGO_INCREMENTAL: "0" };
    execFileSync("wasm-pack", args, { env, stdio: ["ignore", "inherit", "inherit"] });

    const raw = join(out, `${name}_bg.wasm`);
    // Nothing lives in the first kilobyte: the stack ends there, data begin above it. So a constant may be added to an
    // address by the load itself; an address below zero then traps instead of meeting the stack's end.
    const assumed = ["--low-memory-unused"];
    const stripped = ["--strip-debug", "--strip-producers"];
    const options = ["-Os", "--converge", "--enable-simd", ...assumed, ...stripped];
    execFileSync("wasm-opt", [...options, raw, "-o", raw], { env: ENV });
    const output = [`${name}.js`, `${name}.d.ts`, `${name}_bg.wasm`, `${name}_bg.wasm.d.ts`];
    const files = new Map(output.map((file) => [file, readFileSync(join(out, file))]));
    const wasm = files.get(`${name}_bg.wasm`)!;
    refusePaths(wasm);
    if (hashed) files.set("hash.ts", Buffer.from(hashModule(module, wasm)));
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

function hashModule({ name }: Module, wasm: Buffer): string {
  return [
    `/** Written by \`npm run wasm\`. base64url SHA-256 of ${name}_bg.wasm; tickets and receipts name it. */`,
    `export const CORE_HASH = "${sha256(wasm, "base64url")}";`,
    "",
  ].join("\n");
}

function sourcesHash({ sources }: Module): string {
  const hash = createHash("sha256");
  const names = globSync(sources, { cwd: ROOT, exclude: (name) => name === "target" }).map((name) =>
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
