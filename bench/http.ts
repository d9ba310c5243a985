/** `bench http`: whole requests, at 1 and at 32 connections, each case beside what it is compared with. */
import { freePort } from "../scripts/dev/ports.ts";
import { rpc } from "../test/fixtures.ts";
import type { Order } from "./http/load.ts";
import { type Portkey, startPortkey } from "./http/portkey.ts";
import { profiled } from "./http/profile.ts";
import { type Stack, startStack } from "./http/stack.ts";
import { median, type Options, percentile, ratio, type Report, round, row } from "./measure.ts";
import { onLinux, workerdCpuMs } from "./process.ts";
import { agent, CALL } from "./scene.ts";

const MCP_HEADERS = { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" };
const WRITE = JSON.stringify({ tool: "files/write_file", args: { path: "/desk/notes/today.txt" }, receipt: true });
const TOOL_CALL = rpc("tools/call", {
  name: "read_file",
  arguments: { encoding: "utf8", limit: 100, path: "/desk/notes/today.txt" },
});

/** What a gateway of models takes; about as long as the tool call. */
const CHAT = JSON.stringify({ model: "m", id: 1, messages: [{ role: "user", content: "read /desk/notes/today.txt" }] });

/** Each case, and the anchor that is measured right before it in every round. */
const PAIRS = [
  ["session_read", "empty"],
  ["session_read", "empty_same"],
  ["signed_read", "empty"],
  ["session_write", "empty"],
  ["mcp_call", "plain_proxy"],
  ["peer.portkey", "plain_proxy"],
] as const;
type CaseName = (typeof PAIRS)[number][0] | "empty" | "empty_same" | "plain_proxy";
const CASES: readonly string[] = [
  "empty",
  "empty_same",
  "session_read",
  "signed_read",
  "session_write",
  "plain_proxy",
  "mcp_call",
  "peer.portkey",
];
const CONNECTIONS = [1, 32];

/** What is sent for a case; requests are made anew for each run, as their proofs are good once. */
async function order(
  stack: Stack & { portkey?: Portkey },
  name: CaseName,
  connections: number,
  count: number,
): Promise<Order> {
  const { origin, plain, aud, chain } = stack;
  const holder = { ...agent, seed: [...agent.seed] } as unknown as Order["holder"];
  const common = { connections, count, holder, chain };
  const bare = { ...common, origin: plain, form: "bare" as const };
  if (name === "empty") return { ...bare, ask: { aud: plain, path: "/empty", body: CALL } };
  if (name === "plain_proxy")
    return { ...bare, ask: { aud: plain, path: "/proxy", body: TOOL_CALL, headers: MCP_HEADERS } };
  if (name === "peer.portkey") {
    const { origin: peer, headers } = stack.portkey!;
    return { ...bare, origin: peer, ask: { aud: peer, path: "/v1/chat/completions", body: CHAT, headers } };
  }
  const ask = { aud, path: "/v1/authorize", body: CALL };
  if (name === "signed_read") return { ...common, origin, form: "signed", ask };
  const inSession = { ...common, origin, session: await stack.session(count) };
  if (name === "session_read") return { ...inSession, form: "session_mac", ask };
  // The very bytes that a session's read is, sent to a route that does nothing with them.
  if (name === "empty_same") return { ...inSession, origin: plain, form: "session_mac", ask };
  if (name === "session_write") return { ...inSession, form: "session_signed", ask: { ...ask, body: WRITE } };
  return { ...inSession, form: "session_mac", ask: { aud, path: "/mcp/files", body: TOOL_CALL, headers: MCP_HEADERS } };
}

class Rounds {
  readonly #stack: Stack & { portkey?: Portkey };
  readonly #options: Options;
  readonly #samples = new Map<string, number[]>();
  readonly #counts = new Map<string, number>();

  constructor(stack: Stack & { portkey?: Portkey }, options: Options) {
    this.#stack = stack;
    this.#options = options;
  }

  /** Warms a case up, and finds how many requests take about the wanted time; so many can be proven in time, too. */
  async prepare(name: CaseName, connections: number): Promise<void> {
    const { smoke } = this.#options;
    const trial = smoke ? 16 : 400;
    const first = await this.#stack.load(await order(this.#stack, name, connections, trial));
    const count = Math.ceil(first.per_second * (smoke ? 0.02 : 1.5));
    this.#counts.set(`${name}.c${connections}`, Math.max(connections * 2, Math.min(smoke ? 64 : 15_000, count)));
  }

  async run(name: CaseName, connections: number): Promise<void> {
    const key = `${name}.c${connections}`;
    const ordered = await order(this.#stack, name, connections, this.#counts.get(key)!);
    const before = onLinux ? await workerdCpuMs() : 0;
    const { per_second, ms, busy } = await this.#stack.load(ordered);
    if (onLinux) this.#note(`${key}.cpu_us`, (((await workerdCpuMs()) - before) / ordered.count) * 1_000);
    this.#note(key, per_second);
    this.#note(`${key}.p50_ms`, percentile(ms, 0.5));
    this.#note(`${key}.p99_ms`, percentile(ms, 0.99));
    this.#note(`${key}.generator_busy`, busy);
  }

  #note(key: string, value: number): void {
    this.#samples.set(key, [...(this.#samples.get(key) ?? []), value]);
  }

  report(report: Report): void {
    for (const [name, values] of this.#samples) report.rows.push(row(name, unitOf(name), values));
    for (const connections of CONNECTIONS) {
      for (const [name, anchor] of PAIRS) {
        const [own, other] = [`${name}.c${connections}`, `${anchor}.c${connections}`];
        const pair = (what: string): [number[], number[]] | undefined => {
          const [a, b] = [this.#samples.get(own + what), this.#samples.get(other + what)];
          // An anchor of several cases is measured before each: the k-th run of a case goes with the k-th of its own.
          return a === undefined || b === undefined ? undefined : [a, b];
        };
        const rate = pair("");
        if (rate !== undefined) report.ratios[`${own} / ${other}`] = ratio(...rate);
        const cpu = pair(".cpu_us");
        if (cpu !== undefined) report.ratios[`${own}.cpu_us / ${other}.cpu_us`] = ratio(...cpu);
        const p50 = pair(".p50_ms");
        if (p50 !== undefined) {
          const more = p50[0].map((ms, i) => ms - p50[1][i]!);
          report.ratios[`${own}.p50_ms - ${other}.p50_ms`] = round(median(more));
        }
      }
    }
  }
}

function unitOf(name: string): string {
  if (name.endsWith("_ms")) return "ms";
  if (name.endsWith("cpu_us")) return "µs of workerd a request";
  return name.endsWith("busy") ? "share" : "requests/s";
}

export async function benchHttp(report: Report, options: Options): Promise<void> {
  const inspectorPort = options.profile === "" ? undefined : await freePort();
  const stack: Stack & { portkey?: Portkey } = await startStack(inspectorPort === undefined ? {} : { inspectorPort });
  try {
    if (inspectorPort !== undefined) {
      report.profile = await profile(stack, inspectorPort, options.profile);
      return;
    }
    let wanted = CASES.filter((name) => options.only.split(",").some((only) => name.startsWith(only))) as CaseName[];
    if (wanted.includes("peer.portkey")) {
      try {
        if (options.smoke) throw new Error("a smoke run installs nothing");
        stack.portkey = await startPortkey(stack.upstream);
      } catch (error) {
        report.left_out["peer.portkey"] = String(error);
        wanted = wanted.filter((name) => name !== "peer.portkey");
      }
    }
    const rounds = new Rounds(stack, options);
    for (const connections of CONNECTIONS) {
      for (const name of wanted) await rounds.prepare(name, connections);
      for (let i = 0; i < options.rounds; i += 1) for (const name of wanted) await rounds.run(name, connections);
    }
    rounds.report(report);
  } finally {
    stack.portkey?.stop();
    await stack.stop();
  }
}

async function profile(stack: Stack, port: number, name: string): Promise<string> {
  if (!CASES.includes(name)) throw new Error(`--profile takes one of ${CASES.join(", ")}`);
  const send = async (count: number) => stack.load(await order(stack, name as CaseName, 32, count));
  const { per_second } = await send(500);
  const count = Math.ceil(per_second * 4);
  await send(count);
  const prepared = await order(stack, name as CaseName, 32, count);
  return profiled(port, "talos", () => stack.load(prepared));
}
