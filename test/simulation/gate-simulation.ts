/**
 * One gate, many isolates, and everything between them that goes wrong: asks and answers are late, lost or doubled,
 * isolates and the object's host die, both clocks are wrong and jump. The gate is the class that is shipped, over a
 * SQLite of its own; the isolates' leases are the gateway's.
 */
import { LIMITS, type RateClass } from "@talos/contracts";
import { CapabilityGate } from "../../durable-objects/capability-gate.ts";
import type { AdmitAsk, Admitted } from "../../durable-objects/types.ts";
import { type Asking, leaseKey, Leases } from "../../workers/gateway/lease.ts";
import { EventQueue } from "../support/event-queue.ts";
import { Crashed, ObjectStorage, type ObjectStorageOptions } from "../support/object-storage.ts";
import { seeded } from "../support/random.ts";
import { GateReference, type Wrong } from "./gate-reference.ts";
import { Dice, violated } from "./run.ts";

export interface GateSimulationOptions extends ObjectStorageOptions {
  seed: number;
  steps: number;
  /** mutant: what fraction of true time an isolate's clock sees pass */
  isolateSpeed?: number;
  /** mutant: the share of the root's bucket that the quiet holder's siblings are given */
  siblingsShare?: number;
}

/** Clocks are at most this far from true time: together they move against each other by less than the margin. */
const ISOLATE_SKEW_MS = 600;
const OBJECT_SKEW_MS = 300;
/** Isolates that contend for one bucket: nobody who keeps asking waits longer. */
const PATIENCE_MS = 15_000;

const READ: RateClass = {
  ...{ name: "read", capacity: 600, refill_per_second: 100, link_share_percent: 25, concurrency: 6 },
};
const WRITE: RateClass = { ...READ, name: "write", capacity: 40, refill_per_second: 10, concurrency: 3 };

/** Four subtrees whose shares add up to the whole. `quiet` is one holder in one isolate, who has a share to himself. */
const QUIET = ["root", "quiet"];
const CHAINS = [QUIET, ["root", "a"], ["root", "a", "a1"], ["root", "b"], ["root", "b", "b1", "b2"], ["root", "c"]];

/** Pauses of readers while the root's bucket suffices, and while it does not. */
const CALM = [250, 700, 3_000, 10_000];
const RUSH = [25, 100, 600];
const SILENCE = [4_000, 15_000];

interface Isolate {
  leases: Leases;
  skew_ms: number;
  /** counts its deaths: what was under way for an earlier one is nobody's */
  life: number;
}

/** One holder in one isolate, sometimes busy, sometimes not. */
interface Reader {
  isolate: Isolate;
  links: string[];
  pause_ms: number;
  phase_until_ms: number;
  /** who is told to wait mostly does */
  wait_until_ms: number;
  /** since when it has been refused, without an answer of another kind */
  waiting_since_ms?: number;
}

interface Call {
  isolate: Isolate;
  life: number;
  ask: AdmitAsk;
  sent_ms: number;
  key?: string;
  asking?: Asking;
  reader?: Reader;
}

export class GateSimulation {
  readonly counts = {
    ...{ admitted: 0, refused: 0, leases: 0, lease_reads: 0, replays: 0, lost: 0, doubled: 0, crashes: 0 },
    ...{ isolates_lost: 0, slots: 0, kept: 0, longest_wait_ms: 0 },
  };
  readonly #options: GateSimulationOptions;
  readonly #dice: Dice;
  readonly #events = new EventQueue<() => void>();
  readonly #storage: ObjectStorage;
  readonly #reference = new GateReference();
  readonly #sent: AdmitAsk[] = [];
  #gate: CapabilityGate;
  #now = Date.UTC(2026, 10, 23);
  #objectSkew = 0;
  #names = 0;
  #step = 0;
  /** the quiet subtree was refused, and may be sure of an answer from then on */
  #promised: { from_ms: number; cost: number } | undefined;
  #opening = false;
  #mood = CALM;
  readonly #readers: Reader[] = [];

  constructor(options: GateSimulationOptions) {
    this.#options = options;
    this.#dice = new Dice(seeded(options.seed));
    this.#storage = new ObjectStorage(options);
    this.#gate = this.#open();
  }

  async run(): Promise<void> {
    const dateNow = Date.now;
    Date.now = () => this.#objectNow(); // what the object reads; the isolates are told their time
    try {
      this.#people();
      for (; this.#step < this.#options.steps; this.#step += 1) {
        const event = this.#events.next();
        if (event === undefined) throw new Error("nothing is planned any more");
        this.#now = Math.max(this.#now, event.at_ms);
        event.what();
        if (this.#opening) await this.#storage.ready();
        this.#opening = false;
        await this.#alarm();
        if (this.#step % 1_000 === 0) this.#bounds();
      }
    } finally {
      Date.now = dateNow;
      this.#storage.close();
    }
  }

  #fail(wrong: Wrong, detail: object = {}): void {
    if (wrong !== undefined) throw violated(wrong, this.#options.seed, this.#step, detail);
  }

  #open(): CapabilityGate {
    this.#opening = true;
    return new CapabilityGate(this.#storage.state, {} as ConstructorParameters<typeof CapabilityGate>[1]);
  }

  /** The object's host died or was taken down; another one has another clock. */
  #reopen(): void {
    this.counts.crashes += 1;
    this.#objectSkew = this.#dice.between(-OBJECT_SKEW_MS, OBJECT_SKEW_MS);
    this.#gate = this.#open();
  }

  #objectNow(): number {
    return this.#now + this.#objectSkew;
  }

  #isolateNow(isolate: Isolate): number {
    const speed = this.#options.isolateSpeed ?? 1;
    return Math.floor(this.#now * speed) + isolate.skew_ms;
  }

  #people(): void {
    const isolates = Array.from({ length: 4 }, (): Isolate => {
      return { leases: this.#leases(), skew_ms: 0, life: 0 };
    });
    for (const links of CHAINS) {
      for (const isolate of links === QUIET ? [isolates[0]!] : isolates) {
        const reader: Reader = { isolate, links, pause_ms: 50, phase_until_ms: 0, wait_until_ms: 0 };
        this.#readers.push(reader);
        this.#after(this.#dice.between(0, 2_000), () => this.#act(reader));
      }
    }
    const disturb = () => {
      this.#disturb(this.#dice.of(isolates));
      this.#after(this.#dice.wait(300), disturb);
    };
    this.#after(500, disturb);
    const mood = () => {
      this.#mood = this.#dice.of([CALM, CALM, CALM, CALM, RUSH, SILENCE]);
      this.#after(this.#dice.between(5_000, 30_000), mood);
    };
    mood();
  }

  #leases(): Leases {
    return new Leases(() => `lease-${this.#names++}`);
  }

  #after(ms: number, what: () => void): void {
    this.#events.plan(this.#now + ms, what);
  }

  /** Things that happen to hosts, and what an attacker sends. */
  #disturb(isolate: Isolate): void {
    isolate.skew_ms = this.#dice.between(-ISOLATE_SKEW_MS, ISOLATE_SKEW_MS);
    if (this.#dice.chance(0.02)) this.#reopen();
    if (this.#dice.chance(0.02)) this.#storage.alarm_ms &&= this.#now; // an alarm may come early, and twice
    if (this.#dice.chance(0.05)) {
      this.counts.isolates_lost += 1;
      Object.assign(isolate, { leases: this.#leases(), life: isolate.life + 1 });
    }
    if (this.#dice.chance(0.02)) this.#ambush(isolate);
    if (this.#sent.length > 0 && this.#dice.chance(0.5)) {
      this.counts.replays += 1;
      this.#arrive({ isolate, life: -1, ask: this.#dice.of(this.#sent), sent_ms: this.#now });
    }
  }

  /**
   * A subtree is still until a lease of it is about to end, or has just ended. Then somebody empties its bucket at the
   * moment when everybody in it spends what is leased to him.
   */
  #ambush(isolate: Isolate): void {
    const [top] = this.#dice.of(CHAINS.filter((links) => links !== QUIET)).slice(1);
    const sql = "SELECT max(until_ms) AS at FROM leases WHERE key = ?";
    const [last] = this.#storage.all<{ at: number | null }>(sql, `read/${top!}`);
    const start = Math.max(this.#now, (last?.at ?? 0) + this.#dice.between(-2_000, 500));
    for (const reader of this.#readers.filter(({ links }) => links[1] === top)) {
      reader.wait_until_ms = start;
      this.#events.plan(start + this.#dice.between(0, 50), () => {
        Object.assign(reader, { pause_ms: 8, phase_until_ms: start + 1_000 });
        delete reader.waiting_since_ms;
        this.#read(reader);
      });
    }
    const links = ["root", top!];
    const ask = { links, rate: this.#rateOf(links), cost: 4 };
    this.#events.plan(start, () => {
      for (let i = 0; i < 40; i += 1) this.#send(isolate, ask, {});
    });
  }

  #rateOf(links: string[]): RateClass {
    const { siblingsShare } = this.#options;
    return links === QUIET || siblingsShare === undefined ? READ : { ...READ, link_share_percent: siblingsShare };
  }

  #act(reader: Reader): void {
    if (this.#now < reader.wait_until_ms) {
      this.#events.plan(reader.wait_until_ms, () => this.#act(reader));
      return;
    }
    if (this.#now >= reader.phase_until_ms) {
      reader.phase_until_ms = this.#now + this.#dice.between(2_000, 20_000);
      reader.pause_ms = this.#dice.of(this.#mood);
      delete reader.waiting_since_ms;
    }
    if (this.#dice.chance(0.95)) this.#read(reader);
    else this.#sign(reader);
    this.#after(this.#dice.wait(reader.pause_ms), () => this.#act(reader));
  }

  #read(reader: Reader): void {
    const { isolate, links } = reader;
    const cost = this.#dice.chance(0.9) ? 1 : this.#dice.between(2, 8);
    const rate = this.#rateOf(links);
    const key = leaseKey("acme", rate.name, links);
    const step = isolate.leases.spend(key, cost, this.#isolateNow(isolate));
    if (step.do === "refused") {
      this.#wait(reader, step.retry_after_ms);
      return;
    }
    const ask = { links, rate, cost };
    if (step.do === "spent") {
      this.counts.lease_reads += 1;
      delete reader.waiting_since_ms;
      this.#fail(this.#reference.admitted(links, rate, cost, this.#objectNow()), { links, by: "a lease" });
      if (step.renew !== undefined) this.#send(isolate, { ...ask, cost: 0 }, { key, asking: step.renew });
      return;
    }
    const asking = step.lease === undefined ? {} : { asking: step.lease };
    this.#send(isolate, ask, { key, reader, ...asking });
  }

  #wait(reader: Reader, ms: number): void {
    if (this.#dice.chance(0.9)) reader.wait_until_ms = this.#now + ms;
  }

  /** A signed request: a nonce, often a write, sometimes a call that stays. */
  #sign(reader: Reader): void {
    const rate = this.#dice.chance(0.5) ? this.#rateOf(reader.links) : WRITE;
    const seconds = Math.floor(this.#objectNow() / 1_000) + this.#dice.between(1, 60);
    const nonce = { jkt: reader.links.at(-1)!, value: `n${this.#names++}`, expires: seconds };
    const slot = { id: `s${this.#names++}`, ttl_ms: LIMITS.gate_slot_ttl_ms };
    const stays = this.#dice.chance(0.4);
    const ask: AdmitAsk = { links: reader.links, rate, cost: this.#dice.between(1, 3), nonce };
    this.#send(reader.isolate, stays ? { ...ask, slot } : ask, {});
  }

  #send(isolate: Isolate, plain: AdmitAsk, more: Pick<Call, "key" | "asking" | "reader">): void {
    const { asking } = more;
    const ask = asking === undefined ? plain : { ...plain, lease: asking.ask };
    const call: Call = { isolate, life: isolate.life, ask, sent_ms: this.#now, ...more };
    if (ask.nonce !== undefined && this.#sent.push(ask) > 100) this.#sent.shift();
    const delay = () => (this.#dice.chance(0.01) ? this.#dice.between(0, 9_000) : this.#dice.between(1, 25));
    if (this.#dice.chance(0.02)) {
      this.counts.lost += 1;
      this.#after(LIMITS.object_timeout_ms, () => this.#unanswered(call));
      return;
    }
    this.#after(delay(), () => this.#arrive(call));
    if (!this.#dice.chance(0.01)) return;
    this.counts.doubled += 1;
    this.#after(delay(), () => this.#arrive({ ...call, life: -1 })); // whose answer nobody waits for
  }

  /** The ask reaches the object, which may die over it. */
  #arrive(call: Call): void {
    const { ask } = call;
    const atMs = this.#objectNow();
    let answer: Admitted | undefined;
    try {
      const dieAfter = this.#dice.chance(0.002) ? this.#dice.between(0, 14) : undefined;
      answer = this.#storage.message(() => this.#gate.admit(ask), dieAfter);
      this.#decided(call, answer, atMs);
    } catch (error) {
      if (!(error instanceof Crashed)) throw error;
      this.#reopen();
    }
    const lost = answer === undefined || this.#dice.chance(0.02);
    if (answer !== undefined && this.#dice.chance(0.001)) this.#reopen();
    if (lost) this.counts.lost += 1;
    const delay = this.#dice.chance(0.01) ? this.#dice.between(0, 9_000) : this.#dice.between(1, 25);
    const lateMs = Math.max(1, call.sent_ms + LIMITS.object_timeout_ms - this.#now);
    if (lost || delay > lateMs) this.#after(lateMs, () => this.#unanswered(call));
    else this.#after(delay, () => this.#answered(call, answer!));
  }

  /** What the object decided is durable: hold it against the reference. */
  #decided({ ask, life }: Call, answer: Admitted, atMs: number): void {
    const { links, rate, cost, nonce, slot, lease } = ask;
    this.#reference.looked(atMs);
    this.#fairness(ask, answer, atMs);
    if (!answer.ok) {
      this.counts.refused += 1;
      return;
    }
    this.counts.admitted += 1;
    this.#reference.seen(links, rate, atMs);
    if (lease !== undefined && answer.lease !== undefined) this.counts.leases += 1;
    if (cost > 0) this.#fail(this.#reference.admitted(links, rate, cost, atMs), { links, by: "the gate" });
    if (nonce !== undefined) this.#fail(this.#reference.nonce(nonce.jkt, nonce.value));
    if (slot !== undefined) {
      this.counts.slots += 1;
      this.#fail(this.#reference.slotTaken(slot.id, rate, atMs + slot.ttl_ms, atMs));
      if (life >= 0) this.#after(LIMITS.slot_keep_ms, () => this.#hold(slot.id));
    }
    this.#ledger(links, rate, atMs);
  }

  /** A call that stays: kept from time to time, freed, or forgotten by an isolate that died. */
  #hold(id: string): void {
    const atMs = this.#objectNow();
    if (this.#dice.chance(0.1)) return;
    if (this.#dice.chance(0.5)) {
      this.#storage.message(() => this.#gate.release(id));
      this.#reference.slotFreed(id);
      return;
    }
    this.counts.kept += 1;
    const kept = this.#storage.message(() => this.#gate.keep(id, LIMITS.gate_slot_ttl_ms));
    if (kept) this.#reference.slotKept(id, atMs + LIMITS.gate_slot_ttl_ms);
    if (kept) this.#after(LIMITS.slot_keep_ms, () => this.#hold(id));
  }

  /** Available and leased are never more than there is, in what is stored itself; a lease is one in all its buckets. */
  #ledger(links: readonly string[], rate: RateClass, atMs: number): void {
    const seen = new Map<string, string>();
    for (const [depth, link] of links.entries()) {
      const key = `${rate.name}/${link}`;
      const [bucket] = this.#storage.all<{ milli: number }>("SELECT milli FROM buckets WHERE key = ?", key);
      const rows = this.#storage.all<{ id: string; granted: number; spent: number; until_ms: number }>(
        "SELECT id, granted, spent, until_ms FROM leases WHERE key = ?",
        key,
      );
      const living = rows.filter(({ until_ms }) => until_ms > atMs);
      const leased = living.reduce((sum, { granted, spent }) => sum + granted - spent, 0);
      const capacity = Math.max(1, Math.floor(rate.capacity * (rate.link_share_percent / 100) ** depth + 1e-9));
      const sum = (bucket?.milli ?? 0) / 1_000 + leased;
      if (sum > capacity) this.#fail(`bucket ${key} holds and leases ${sum} of ${capacity}`);
      for (const { id, granted, spent } of living) {
        const numbers = `${granted}/${spent}`;
        if ((seen.get(id) ?? numbers) !== numbers) this.#fail(`lease ${id} is two leases`, { key });
        seen.set(id, numbers);
      }
    }
  }

  /**
   * The quiet subtree has a share to itself, so the wait that it is told is kept, whatever its siblings do.
   * The policy's other shares add up to the rest, so nobody can have taken what the root holds for it.
   */
  #fairness({ links, rate, cost }: AdmitAsk, answer: Admitted, atMs: number): void {
    if (rate !== READ || links !== QUIET || cost === 0) return;
    const promised = this.#promised;
    if (answer.ok || answer.code !== "rate.exhausted") {
      this.#promised = undefined;
    } else if (promised === undefined || cost > promised.cost) {
      this.#promised = { cost, from_ms: atMs + answer.retry_after_ms };
    } else if (atMs >= promised.from_ms) {
      this.#fail("the quiet subtree was told a wait that was not kept", { promised, answer, cost, atMs });
    }
  }

  #answered(call: Call, answer: Admitted): void {
    const { isolate, key, asking, ask, reader, life } = call;
    if (life !== isolate.life || key === undefined) return;
    isolate.leases.answered(key, ask.cost, asking, answer, this.#isolateNow(isolate));
    if (reader === undefined) return;
    if (answer.ok) {
      delete reader.waiting_since_ms;
      return;
    }
    this.#wait(reader, answer.retry_after_ms);
    reader.waiting_since_ms ??= this.#now;
    if (reader.links.length > 2) return; // what trickles into a share of a share is a matter of luck
    const waited = this.#now - reader.waiting_since_ms;
    this.counts.longest_wait_ms = Math.max(this.counts.longest_wait_ms, waited - 10 * reader.pause_ms);
    // Who comes back seldom has not been asking all that time.
    if (waited > PATIENCE_MS + 10 * reader.pause_ms)
      this.#fail(`a reader has waited ${waited} ms`, { links: reader.links });
  }

  #unanswered({ isolate, key, asking, life }: Call): void {
    if (life !== isolate.life || key === undefined) return;
    isolate.leases.failed(key, asking, this.#isolateNow(isolate));
  }

  async #alarm(): Promise<void> {
    const { alarm_ms } = this.#storage;
    if (alarm_ms === null || this.#objectNow() < alarm_ms) return;
    this.#storage.alarm_ms = null;
    let done: Promise<void> | undefined;
    this.#storage.message(() => {
      done = this.#gate.alarm();
    });
    await done;
    this.#reference.looked(this.#objectNow());
  }

  #bounds(): void {
    for (const [table, most] of Object.entries({
      ...{ buckets: LIMITS.gate_buckets, leases: LIMITS.gate_leases, nonces: LIMITS.gate_nonces },
    })) {
      const [count] = this.#storage.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
      if (count!.n > most) this.#fail(`${count!.n} rows of ${table}`);
    }
  }
}
