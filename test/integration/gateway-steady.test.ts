/** The steady state: what a decision costs, and that many at once do not meet. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grant, maced, person, root, send, type Session, openSession, signed } from "../fixtures.ts";
import { AGENT_GRANTS, startWorld, type World } from "../support/world.ts";

let world: World;
const operations = person("operations");
let operationsChain: string;
beforeAll(async () => {
  world = await startWorld({ faults: false });
  operationsChain = root(world.operator, operations, { aud: [world.aud], grants: [grant("talos/health.ready")] });
});
afterAll(() => world.stop());

async function counters(): Promise<Record<string, number>> {
  const response = await send(
    signed(operations, operationsChain, { aud: world.talos.origin, path: "/health/ready", method: "GET" }),
  );
  return ((await response.json()) as { details: { counters: Record<string, number> } }).details.counters;
}

describe("a session decision in the steady state", () => {
  it("asks nobody: no gate, no head, no policy, no DID document, no SQL", async () => {
    const session = await world.session();
    const decide = () =>
      send(
        maced(session, {
          aud: world.aud,
          path: "/v1/authorize",
          body: JSON.stringify({ tool: "files/read_file", args: { path: "/desk/x" } }),
        }),
      );
    // Reads are counted before they are leased, and the first leases are as small as what was counted.
    for (let i = 0; i < 40; i += 1) expect((await decide()).status).toBe(200);
    const before = await counters();
    for (let i = 0; i < 100; i += 1) expect((await decide()).status).toBe(200);
    const after = await counters();
    const spent = Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name]!]));
    // One refresh of the head may fall into the run (5 s); it brings no body, since nothing changed.
    expect(spent["head_asks"]).toBeLessThanOrEqual(1);
    expect(spent).toMatchObject({
      kv_reads: 0,
      body_asks: 0,
      policy_compiles: 0,
      filter_loads: 0,
      lookups: 0,
      upstream_calls: 0,
    });
    expect(spent["gate_asks"]).toBe(1); // the one that asked for these numbers
    expect(spent["lease_reads"]).toBe(100);
    expect(spent["lease_asks"]).toBeLessThan(10); // behind requests that had their answer
    expect(after["policy_compiles"]).toBe(1);
  });
});

describe("1,000 interleaved requests with different verdicts", () => {
  it("each get their own", async () => {
    const people = Array.from({ length: 8 }, (_, i) => person(`crowd ${i}`));
    const chains = people.map((one, i) =>
      root(world.operator, one, { aud: [world.aud], grants: i % 2 === 0 ? AGENT_GRANTS : [grant("files/slow")] }),
    );
    const sessions: Session[] = await Promise.all(people.map((one, i) => openSession(world.aud, one, chains[i]!)));
    const questions = [
      { tool: "files/read_file", args: { path: "/desk/x" } },
      { tool: "files/read_file", args: { path: "/etc/x" } },
      { tool: "files/send_money", args: { amount: 5 } },
      { tool: "files/send_money", args: { amount: 500 } },
      { tool: "files/nothing", args: {} },
      { tool: "files/slow", args: {} },
    ];
    const expected = (who: number, what: number): string => {
      const full = who % 2 === 0;
      if (what === 4) return "UNKNOWN_TOOL";
      if (what === 5) return "OK";
      if (!full) return "SCOPE_MISMATCH";
      return ["OK", "SCOPE_MISMATCH", "OK", "ARGUMENT_MISMATCH"][what]!;
    };
    const one = async (n: number): Promise<string | undefined> => {
      const who = n % people.length;
      const what = (n * 7) % questions.length;
      const ask = { aud: world.aud, path: "/v1/authorize", body: JSON.stringify(questions[what]) };
      const mac = n % 3 === 0 && (what < 2 || what === 5);
      const response = await send(mac ? maced(sessions[who]!, ask) : signed(people[who]!, chains[who]!, ask));
      const body = (await response.json()) as { decision?: { code: string }; code?: string };
      const got = body.decision?.code ?? body.code;
      return got === expected(who, what) ? undefined : `${n}: ${got} instead of ${expected(who, what)}`;
    };
    const wrong: string[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < 1_000) {
        const said = await one(next++);
        if (said !== undefined) wrong.push(said);
      }
    };
    await Promise.all(Array.from({ length: 64 }, lane));
    expect(wrong).toEqual([]);
  });
});
