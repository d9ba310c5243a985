/** `bench authorize`: what deciding costs inside workerd on one core, in pairs with the bare platform. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import { median, type Options, ratio, type Report, ROOT, row } from "./measure.ts";
import { given } from "./scene.ts";
import { type Script, startScripts } from "./workerd.ts";

const PEERS = join(ROOT, "bench/peers");
const PEER_SCRIPTS = ["cedar", "biscuit", "casbin", "jose", "noble"];

/** Each case, and the anchor that is measured right before it in every run. */
const PAIRS: [name: string, anchor: string | undefined][] = [
  ["decision.memory", undefined],
  ["decision.js", undefined],
  ["mac_decision", "bare.hmac_verify"],
  ["chain.1", "bare.signatures.2"],
  ["chain.2", "bare.signatures.3"],
  ["chain.4", "bare.signatures.5"],
  ["chain.8", "bare.signatures.9"],
  ["bare.ed25519_import_verify", undefined],
  ["attenuate", undefined],
  ["part.mac_read", "bare.hmac_verify"],
  ["part.mac_read_recorded", "bare.hmac_verify"],
  ["part.seal_read", undefined],
  ["part.encode_request", undefined],
  ["part.begin.chain.1", undefined],
];

/** Cases that use up what is made for them: so many at most, as each takes some kilobytes. */
const MOST: Record<string, number> = { "part.mac_read": 4_000, "part.mac_read_recorded": 4_000 };

/** Installs the peers when they are not there. @returns why not, if that fails */
function installPeers(): string | undefined {
  if (existsSync(join(PEERS, "node_modules/casbin"))) return undefined;
  process.stderr.write("installing the peers (once) …\n");
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  const { status } = spawnSync("npm", args, { cwd: PEERS, stdio: ["ignore", "ignore", "inherit"] });
  return status === 0 ? undefined : "the peers could not be installed";
}

class Bench {
  readonly #origin: string;
  readonly #targetMs: number;
  readonly #counts = new Map<string, number>();

  constructor(origin: string, targetMs: number) {
    this.#origin = origin;
    this.#targetMs = targetMs;
  }

  async #post(path: string, body?: string): Promise<void> {
    const response = await fetch(`${this.#origin}/${path}`, {
      method: "POST",
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${text}`);
  }

  setUp(body: string): Promise<void> {
    return this.#post("setup", body);
  }

  /** Milliseconds of a request that runs `n` iterations. */
  async #time(name: string, n: number): Promise<number> {
    await this.#post(`${name}?n=${n}&prepare`);
    const begun = performance.now();
    await this.#post(`${name}?n=${n}`);
    return performance.now() - begun;
  }

  /** Iterations that take about the wanted time; finding them warms the case up. */
  async #count(name: string): Promise<number> {
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const most = MOST[name] ?? 10_000_000;
    let n = 4;
    for (let ms = 0; ms < this.#targetMs / 2 && n < most; ) {
      ms = await this.#time(name, n);
      if (ms < this.#targetMs / 2) n = Math.min(most, n * (ms < this.#targetMs / 16 ? 8 : 2));
    }
    this.#counts.set(name, n);
    return n;
  }

  /**
   * Operations a second, one run: time from outside, less that of a request that does nothing. Where the machine was held
   * up so that the two cannot be told apart, the run is made again with more iterations, until it can be.
   */
  async run(name: string): Promise<number> {
    const most = MOST[name] ?? 10_000_000;
    let n = await this.#count(name);
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const idle: number[] = [];
      for (let i = 0; i < 5; i += 1) idle.push(await this.#time("noop", 1));
      const ms = (await this.#time(name, n)) - median(idle);
      if (ms > 0) return (n / ms) * 1_000;
      n = Math.min(most, n * 4);
      this.#counts.set(name, n);
    }
    throw new Error(`${name}: ${n} iterations cannot be told from none`);
  }
}

export async function benchAuthorize(report: Report, options: Options): Promise<void> {
  const scripts: Script[] = [{ name: "talos", modules: await bundle("bench/worker/authorize.ts") }];
  const wanted = (name: string): boolean => name.startsWith(options.only);
  if (!options.smoke && wanted("peer")) {
    const missing = installPeers();
    for (const name of PEER_SCRIPTS) {
      try {
        if (missing !== undefined) throw new Error(missing);
        scripts.push({ name, modules: await bundle(`bench/peers/${name}.js`), compatibilityFlags: ["nodejs_compat"] });
      } catch (error) {
        report.left_out[`peer.${name}`] = String(error).slice(0, 200);
      }
    }
  }
  const workerd = await startScripts(scripts);
  try {
    const posted = JSON.stringify(await given());
    const targetMs = options.smoke ? 4 : 120;
    const samples = new Map<string, number[]>();
    /** by case: its anchor, right before it in the same round; several cases may have one anchor */
    const anchors = new Map<string, number[]>();
    const note = (name: string, value: number): void => void samples.set(name, [...(samples.get(name) ?? []), value]);
    const benches = new Map<string, Bench>();
    for (const { name } of scripts) {
      const bench = new Bench(workerd.origins[name]!, targetMs);
      try {
        await bench.setUp(posted);
        benches.set(name, bench);
      } catch (error) {
        report.left_out[name] = String(error).slice(0, 300);
      }
    }
    const talos = benches.get("talos");
    if (talos === undefined) throw new Error(report.left_out.talos);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [name, anchor] of PAIRS.filter(([name]) => wanted(name))) {
        if (anchor !== undefined) {
          const bare = await talos.run(anchor);
          note(anchor, bare);
          anchors.set(name, [...(anchors.get(name) ?? []), bare]);
        }
        note(name, await talos.run(name));
      }
      for (const [peer, bench] of benches) {
        if (peer === "talos") continue;
        const name = peer === "jose" || peer === "noble" ? `peer.${peer}_verify` : `peer.${peer}`;
        try {
          note(name, await bench.run(name));
        } catch (error) {
          report.left_out[name] = String(error).slice(0, 300);
          benches.delete(peer);
        }
      }
      if (!options.smoke && wanted("peer")) python(report, note);
    }
    for (const [name, values] of samples) report.rows.push(row(name, "ops/s", values));
    ratios(report, samples, anchors);
  } finally {
    await workerd.stop();
  }
}

/** How many times longer than its anchor, and by how many microseconds. */
function ratios(report: Report, samples: Map<string, number[]>, anchors: Map<string, number[]>): void {
  for (const [name, anchor] of PAIRS) {
    const [own, bare] = [samples.get(name), anchors.get(name)];
    if (own === undefined || bare === undefined) continue;
    report.ratios[`${name} / ${anchor} (time)`] = ratio(bare, own);
    const over = own.map((value, i) => 1e6 / value - 1e6 / bare[i]!);
    report.ratios[`${name} - ${anchor} (µs)`] = Number(median(over).toPrecision(3));
  }
}

function python(report: Report, note: (name: string, value: number) => void): void {
  const n = 500_000;
  try {
    const file = join(PEERS, "dict.py");
    const seconds = execFileSync("python3", [file, String(n)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    note("peer.python_dict", n / Number(seconds));
  } catch (error) {
    report.left_out["peer.python_dict"] = String(error).slice(0, 100);
  }
}
