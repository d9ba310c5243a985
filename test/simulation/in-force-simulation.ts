/**
 * One isolate and a tenant's head that moves: the object is slow, away, restarts with another clock, or answers from
 * storage that was put back; the cache misses, hangs and is poisoned; isolates die. The isolate's code is the gateway's.
 */
import { type Head, LIMITS } from "@talos/contracts";
import { b64uDecode, b64uEncode, filterBuild, headSign, policySign, publicKey } from "@talos/core";
import { vi } from "vitest";
import { developmentKeysets, person, snapshot } from "../fixtures.ts";
import { seeded } from "../support/random.ts";
import type { Asker } from "../../workers/gateway/asker.ts";
import type { Generation } from "../../workers/gateway/generation.ts";
import { forgetInForce, holdAsked, holdForClass, holdInForce } from "../../workers/gateway/in-force.ts";
import { Dice, violated } from "./run.ts";

export interface InForceSimulationOptions {
  seed: number;
  steps: number;
  /** mutant: an isolate that uses whatever it had first */
  stuck?: boolean;
  /** mutant: nobody judges by age */
  ageless?: boolean;
  /** mutant: who may not act without asking acts without */
  unasked?: boolean;
}

type Numbers = Pick<Head, "rev_seq" | "policy_version">;
type Entry = Omit<Head, "as_of_ms" | "tenant">;
type Class = "read" | "write" | "destructive";

const publisher = person("publisher");
const operator = person("operator");
const [key] = developmentKeysets().purposes.head;
const seed = b64uDecode(key!.key);
/** The object's clock is at most this far from ours. */
const SKEW_MS = 3_000;
const BOUND_MS = { read: LIMITS.head_read_stale_ms, write: LIMITS.head_write_stale_ms };

const below = (a: Numbers, b: Numbers): boolean => a.rev_seq < b.rev_seq || a.policy_version < b.policy_version;

export class InForceSimulation {
  readonly counts = {
    ...{ acted: 0, refused: 0, failed: 0, heads: 0, asks: 0, restarts: 0, isolates: 0, rolled_back: 0, poisoned: 0 },
  };
  readonly #options: InForceSimulationOptions;
  readonly #dice: Dice;
  readonly #bodies = new Map<string, string>();
  readonly #history: Entry[] = [];
  /** what this isolate was told by the object itself, and when the object said so last, by our clock */
  #seen: Numbers | undefined;
  readonly #signedAt = new Map<string, number>();
  /** when the object signed the latest of what this isolate heard of it */
  #answered_ms = 0;
  #skew = 0;
  #awayUntil = 0;
  #putBackUntil = 0;
  #life = 0;
  #first: Generation | undefined;
  #step = 0;
  #failure: Error | undefined;

  constructor(options: InForceSimulationOptions) {
    this.#options = options;
    this.#dice = new Dice(seeded(options.seed));
  }

  async run(): Promise<void> {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.UTC(2026, 10, 23) });
    forgetInForce();
    try {
      this.#advance({ rev_seq: 0, policy_version: 1 });
      const asker = this.#asker();
      for (; this.#step < this.#options.steps && this.#failure === undefined; this.#step += 1) {
        this.#disturb();
        void this.#act(asker, this.#dice.of(["read", "read", "read", "write", "destructive"]));
        const silence = this.#dice.chance(0.01);
        await vi.advanceTimersByTimeAsync(silence ? this.#dice.between(20_000, 200_000) : this.#dice.wait(700));
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      await vi.advanceTimersByTimeAsync(60_000);
      forgetInForce();
      vi.useRealTimers();
    }
  }

  #disturb(): void {
    // Each from where the object stands: two heads of which neither follows the other are none that it ever says.
    const { rev_seq } = this.#history.at(-1)!;
    if (this.#dice.chance(0.03)) this.#advance({ ...this.#history.at(-1)!, rev_seq: rev_seq + 1 });
    const { policy_version } = this.#history.at(-1)!;
    if (this.#dice.chance(0.01)) this.#advance({ ...this.#history.at(-1)!, policy_version: policy_version + 1 });
    if (this.#dice.chance(0.02)) {
      this.counts.restarts += 1;
      this.#skew = this.#dice.between(-SKEW_MS, SKEW_MS);
      this.#awayUntil = Date.now() + (this.#dice.chance(0.3) ? this.#dice.between(5_000, 180_000) : 200);
    }
    if (this.#dice.chance(0.005)) this.#putBackUntil = Date.now() + this.#dice.between(1_000, 40_000);
    if (this.#dice.chance(0.005)) {
      this.counts.isolates += 1;
      this.#life += 1;
      this.#seen = undefined;
      this.#first = undefined;
      forgetInForce();
    }
  }

  #advance({ rev_seq, policy_version }: Numbers): void {
    this.counts.heads += 1;
    const last = this.#history.at(-1);
    let policy_hash = last?.policy_hash;
    if (last?.policy_version !== policy_version) {
      const made = policySign({
        seed: publisher.seed,
        snapshot: snapshot({ anchors: [operator], version: policy_version }),
      });
      this.#bodies.set(`policy/${made.hash}`, made.jws);
      policy_hash = made.hash;
    }
    const filter = filterBuild({ tenant: "default", rev_seq, entries: [] });
    this.#bodies.set(`rev/${filter.rev_hash}`, filter.body);
    this.#history.push({ rev_seq, policy_version, policy_hash: policy_hash!, rev_hash: filter.rev_hash });
  }

  /** One request: what is in force is fetched as `evaluate` and `again` fetch it, and judged by age as the core does. */
  async #act(asker: Asker, toolClass: Class): Promise<void> {
    const life = this.#life;
    const began = { seen: this.#seen, at_ms: Date.now() };
    let held: Generation | undefined;
    try {
      held = await holdInForce(asker);
      if (this.#options.stuck === true) held = this.#stuck(held);
      held = await holdForClass(asker, held, toolClass);
      if (this.#dice.chance(0.3)) await this.#pass(this.#dice.between(0, 30)); // signatures are verified
      let asked_ms: number | undefined;
      if (toolClass === "destructive" && this.#options.unasked !== true) {
        asked_ms = Date.now();
        held = await holdAsked(asker, held);
      }
      if (life !== this.#life) return; // this isolate is gone
      const age = this.#options.ageless === true ? 0 : Date.now() - held.asOfMs;
      if (age > BOUND_MS[toolClass === "read" ? "read" : "write"]) this.counts.refused += 1;
      else this.#acted(held.head, toolClass, began, asked_ms);
    } catch (error) {
      this.counts.failed += 1;
      if (!(error instanceof Error) || !("code" in error)) this.#failure ??= error as Error;
    } finally {
      held?.release();
    }
  }

  #stuck(held: Generation): Generation {
    this.#first ??= held.hold();
    held.release();
    return this.#first.hold();
  }

  #acted(head: Head, toolClass: Class, began: { seen: Numbers | undefined; at_ms: number }, asked_ms?: number): void {
    this.counts.acted += 1;
    const fail = (what: string, detail: object = {}): void => {
      this.#failure ??= violated(what, this.#options.seed, this.#step, { head, toolClass, ...began, ...detail });
    };
    if (began.seen !== undefined && below(head, began.seen)) fail("an isolate acted on an older head than it had seen");
    const signed_ms = this.#signedAt.get(numbers(head));
    if (signed_ms === undefined) {
      fail("an isolate acted on what the object never said");
      return;
    }
    const bound = toolClass === "read" ? BOUND_MS.read : BOUND_MS.write;
    const age = Date.now() - signed_ms;
    if (age > bound + SKEW_MS) fail("an isolate acted on a head beyond its bound of age", { age });
    if (toolClass !== "destructive") return;
    // What it acts on may be newer than the answer to its own ask, which another request's overtook.
    if (this.#answered_ms < (asked_ms ?? Number.POSITIVE_INFINITY)) fail("a destructive call did not ask");
  }

  async #pass(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  async #delay(): Promise<void> {
    await this.#pass(this.#dice.chance(0.03) ? this.#dice.between(0, 9_000) : this.#dice.between(1, 40));
  }

  async #head(): Promise<{ ok: true; head: string }> {
    this.counts.asks += 1;
    const [life, sent_ms] = [this.#life, Date.now()];
    await this.#delay();
    if (Date.now() < this.#awayUntil || this.#dice.chance(0.02)) throw new Error("the object is away");
    const last = this.#history.at(-1)!;
    const putBack = Date.now() < this.#putBackUntil && this.#history.length > 3;
    if (putBack) this.counts.rolled_back += 1;
    const entry = putBack ? this.#history[this.#dice.between(0, this.#history.length - 2)]! : last;
    const as_of_ms = Date.now() + this.#skew;
    const forged = this.#dice.chance(0.01);
    const head = { ...entry, as_of_ms, tenant: this.#dice.chance(0.005) ? "other" : "default" };
    const jws = headSign({ seed: forged ? person("forger").seed : seed, kid: key!.kid, head });
    const signed_ms = Date.now();
    await this.#delay();
    if (this.#dice.chance(0.02)) throw new Error("the answer is lost");
    const heard = life === this.#life && Date.now() - sent_ms < LIMITS.object_timeout_ms;
    if (heard && !forged && head.tenant === "default") this.#hear(entry, signed_ms);
    return { ok: true, head: jws };
  }

  /** What the object said. Storage that was put back is the object's own to refuse; here whoever saw more must not go back. */
  #hear(entry: Entry, signed_ms: number): void {
    this.#answered_ms = Math.max(this.#answered_ms, signed_ms);
    const known = this.#signedAt.get(numbers(entry)) ?? 0;
    this.#signedAt.set(numbers(entry), Math.max(known, signed_ms));
    // A request under way when the newer one came may still be served by this; one that begins now may not.
    if (this.#seen === undefined || below(this.#seen, entry)) this.#seen = entry;
  }

  async #body(name: string): Promise<string | null> {
    await this.#delay();
    if (Date.now() < this.#awayUntil || this.#dice.chance(0.03)) throw new Error("the object is away");
    return this.#bodies.get(name) ?? null;
  }

  async #cached(name: string): Promise<string | null> {
    await this.#delay();
    const luck = this.#dice.between(0, 99);
    if (luck < 15) return null;
    if (luck < 20) throw new Error("the cache is down");
    if (luck < 21) await this.#pass(LIMITS.object_timeout_ms + 1_000);
    if (luck >= 28) return this.#bodies.get(name) ?? null;
    this.counts.poisoned += 1;
    const others = [...this.#bodies].filter(([other]) => other !== name && other.split("/")[0] === name.split("/")[0]);
    return others.length === 0 ? "{}" : this.#dice.of(others)[1];
  }

  #asker(): Asker {
    const object = {
      ...{ head: () => this.#head(), policy: (hash: string) => this.#body(`policy/${hash}`) },
      revocations: (hash: string) => this.#body(`rev/${hash}`),
    };
    return {
      env: {
        TENANT_HEADS: { getByName: () => object },
        SNAPSHOTS: { get: (name: string) => this.#cached(name) },
      },
      config: {
        ...{ mode: "development", publishers: { default: [publisher.jwk] }, log: () => undefined },
        head_keys: [{ kid: key!.kid, x: b64uEncode(publicKey(seed)) }],
      },
      tenant: "default",
      waitUntil: () => undefined,
    } as unknown as Asker;
  }
}

const numbers = ({ rev_seq, policy_version }: Numbers): string => `${rev_seq}/${policy_version}`;
