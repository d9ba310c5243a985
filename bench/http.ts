/** `bench http`: whole requests, at 1 and at 32 connections, each case beside what it is compared with. */
import { rpc } from "../test/fixtures.ts";
import type { Order } from "./http/load.ts";
import { startStack } from "./http/stack.ts";
import { type Options, percentile, ratio, type Report, row } from "./measure.ts";
import { agent, CALL } from "./scene.ts";

const MCP_HEADERS = { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" };
const WRITE = JSON.stringify({ tool: "files/write_file", args: { path: "/desk/notes/today.txt" }, receipt: true });
const TOOL_CALL = rpc("tools/call", {
  name: "read_file",
  arguments: { encoding: "utf8", limit: 100, path: "/desk/notes/today.txt" },
});

/** Order within a run: a case comes right after what it is compared with. */
const CASES = ["empty", "session_read", "signed_read", "session_write", "plain_proxy", "mcp_call"] as const;
type CaseName = (typeof CASES)[number];
const AGAINST: Partial<Record<CaseName, CaseName>> = {
  ...{ session_read: "empty", signed_read: "empty", session_write: "empty", mcp_call: "plain_proxy" },
};

export async function benchHttp(report: Report, options: Options): Promise<void> {
  const stack = await startStack();
  let sequence = 0;
  const order = (name: CaseName, connections: number, count: number): Order => {
    const { origin, plain, aud, chain, session } = stack;
    const common = {
      connections,
      count,
      holder: { ...agent, seed: [...agent.seed] } as unknown as Order["holder"],
      chain,
    };
    const from = sequence;
    if (name === "session_read" || name === "mcp_call") sequence += count;
    const kept = { id: session.id, ticket: session.ticket, mac_key: [...session.mac_key], from };
    const inSession = { ...common, origin, session: { ...kept, expires_at: session.expires_at } };
    const ask = { aud, path: "/v1/authorize", body: CALL };
    const orders: Record<CaseName, () => Order> = {
      empty: () => ({ ...common, origin: plain, form: "bare", ask: { aud: plain, path: "/empty", body: CALL } }),
      session_read: () => ({ ...inSession, form: "session_mac", ask }),
      signed_read: () => ({ ...common, origin, form: "signed", ask }),
      session_write: () => ({ ...inSession, form: "session_signed", ask: { ...ask, body: WRITE } }),
      plain_proxy: () => ({
        ...{ ...common, origin: plain, form: "bare" },
        ask: { aud: plain, path: "/proxy", body: TOOL_CALL, headers: MCP_HEADERS },
      }),
      mcp_call: () => ({
        ...{ ...inSession, form: "session_mac" },
        ask: { aud, path: "/mcp/files", body: TOOL_CALL, headers: MCP_HEADERS },
      }),
    };
    return orders[name]();
  };
  try {
    const wanted = CASES.filter((name) => name.startsWith(options.only));
    const samples = new Map<string, number[]>();
    const note = (name: string, value: number): void => void samples.set(name, [...(samples.get(name) ?? []), value]);
    for (const connections of [1, 32]) {
      const counts = new Map<CaseName, number>();
      for (const name of wanted) {
        // Warm, and find how many requests take about the wanted time; never more than the generator prepares in time.
        const trial = options.smoke ? 32 : 200;
        const { per_second } = await stack.load(order(name, connections, trial));
        const seconds = options.smoke ? 0.05 : 2;
        counts.set(name, Math.max(connections * 2, Math.min(12_000, Math.ceil(per_second * seconds))));
      }
      for (let round = 0; round < options.rounds; round += 1) {
        for (const name of wanted) {
          const { per_second, ms } = await stack.load(order(name, connections, counts.get(name)!));
          const key = `${name}.c${connections}`;
          note(key, per_second);
          note(`${key}.p50_ms`, percentile(ms, 0.5));
          note(`${key}.p99_ms`, percentile(ms, 0.99));
        }
      }
      for (const name of wanted) {
        const anchor = AGAINST[name];
        const [own, bare] = [samples.get(`${name}.c${connections}`), samples.get(`${anchor}.c${connections}`)];
        if (own === undefined || bare === undefined) continue;
        report.ratios[`${name}.c${connections} / ${anchor}.c${connections}`] = ratio(own, bare);
      }
    }
    for (const [name, values] of samples)
      report.rows.push(row(name, name.endsWith("_ms") ? "ms" : "requests/s", values));
  } finally {
    await stack.stop();
  }
  report.left_out["peer.portkey"] = "not measured yet";
}
