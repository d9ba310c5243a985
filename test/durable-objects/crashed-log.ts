/**
 * A tenant's log that is aborted at a chosen operation, and its careful callers: they append, alone and several at once, at
 * the log and at intake objects before it, try again what was not answered, and hold the log to every promise and every
 * head that they ever saw.
 */
import { env } from "cloudflare:test";
import type { Keysets } from "@talos/contracts";
import { b64uDecode, leafHash, sealEvent, uuidv7 } from "@talos/core";
import * as tree from "@talos/core/log";
import { expect } from "vitest";
import type { AuditIntake } from "../../durable-objects/audit-intake.ts";
import type { AuditLog } from "../../durable-objects/audit-log.ts";
import { headKeys, META, metaKeys, metaNames } from "../../durable-objects/meta-key.ts";
import { type FileNames, fileNames } from "../../durable-objects/publisher.ts";
import type { AppendEvent, Appended, MetaProof } from "../../durable-objects/types.ts";
import { doom, type Point } from "./doom.ts";
import { testDatabase } from "./projector.ts";

/** Batches of a round that are appended at once. */
const AT_ONCE = 3;
const LOCKED_MS = 100;
const LOCKED_TRIES = 100;

const utf8 = new TextEncoder();
const DID = "did:web:agent.example";

export function event(tenant: string): AppendEvent {
  const id = () => uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  return sealEvent({
    surface: "authorize",
    event: {
      ...{ schema_id: "talos.audit_event", schema_version: "v2", kind: "decision", outcome: "success" },
      ...{ event_id: id(), request_id: id(), ts: new Date().toISOString(), tenant },
      ...{ surface_id: "authorize", audit_action: "authorize", meta: {} },
      principal: { auth_mode: "signed", did: DID, jkt: "A".repeat(43) },
    },
  });
}

type Signed = tree.Head & { origin: string };

const meta = () => env.META_LOG.getByName(META);

/** Files as anybody reads them who has access to the bucket. */
const reader = (names: FileNames) => async (path: string) => {
  const found = await env.AUDIT_TILES.get(`${path.includes(".p/") ? names.partial : names.full}/${path}`);
  if (found === null) throw new Error(`${path} is not published`);
  return new Uint8Array(await found.arrayBuffer());
};

async function entries(names: FileNames, size: number): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (let index = 0; ; index += 1) {
    const path = tree.tileAt("entries", index, size);
    if (path === undefined) return all;
    all.push(...tree.bundleEntries(await reader(names)(path)));
  }
}

/** Ask the living. Here the dead one's file may stay locked for a moment, which the platform knows nothing of. */
async function living<T>(call: () => Promise<T>): Promise<T> {
  for (let left = LOCKED_TRIES; ; left -= 1) {
    try {
      return await call();
    } catch (error) {
      if (left === 0 || !String(error).includes("SQLITE_BUSY")) throw error;
      await scheduler.wait(LOCKED_MS);
    }
  }
}

export class CrashedLog {
  /** leaf and promise of every acknowledged event, by its place */
  readonly #acknowledged: { event: AppendEvent; promise: string }[] = [];
  readonly #heads: tree.Head[] = [];
  readonly #metaHeads: tree.Head[] = [];
  #origin = "";
  readonly #name: string;
  readonly #random: () => number;
  #retried = 0;
  #repeated = 0;

  constructor(name: string, random: () => number) {
    this.#name = name;
    this.#random = random;
  }

  get #log() {
    return env.AUDIT_LOGS.getByName(this.#name);
  }

  #ask<T>(call: (log: DurableObjectStub<AuditLog>) => Promise<T>): Promise<T> {
    return living(() => call(this.#log));
  }

  /** One life of the object, which ends at the point, and the beginning of the next. @returns whether it ended there */
  async round(point: Point | undefined): Promise<boolean> {
    const doomed = () => (point?.who === "meta" ? doom(meta(), "add", point) : doom(this.#log, "append", point!));
    const life = point === undefined ? undefined : await living(doomed);
    const unanswered: AppendEvent[][] = [];
    const batches = Array.from({ length: 1 + this.#pick(AT_ONCE) }, () =>
      Array.from({ length: this.#random() < 0.5 ? 1 : 1 + this.#pick(200) }, () => event(this.#name)),
    );
    const append = async (batch: AppendEvent[]): Promise<void> => {
      if (
        !(await this.#append(batch, this.#door()).then(
          () => true,
          () => false,
        ))
      )
        unanswered.push(batch);
    };
    await Promise.all(batches.map(append));
    await this.#log.flush().catch(() => undefined);
    await meta()
      .flush()
      .catch(() => undefined);
    const died = life?.died === true;
    if (life !== undefined && !died) life.spared = true;

    // Another life: what the bucket holds now is a head of the same history, and so is the next.
    const before = await this.#published(this.#heads, fileNames(this.#name));
    for (const batch of unanswered) {
      this.#retried += 1;
      await this.#append(batch);
      await this.#append(batch);
    }
    await this.#again();
    await this.#ask((log) => log.flush());
    const after = await this.#published(this.#heads, fileNames(this.#name));
    expect(after?.size).toBe(this.#acknowledged.length);
    if (before !== undefined && before.size > 0) {
      const hashes = await tree.consistencyProof(before.size, after!.size, reader(fileNames(this.#name)));
      tree.checkConsistency({ old: before, head: after!, hashes });
    }
    await this.#witnessed(after!);
    expect(await this.#ask((log) => log.status())).toMatchObject({
      forked: false,
      next_seq: this.#acknowledged.length,
    });
    return died;
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** An intake object before the log, every other time; the log itself for the others. */
  #door() {
    return this.#random() < 0.5 ? env.AUDIT_INTAKES.getByName(`${this.#name}/${this.#pick(2)}`) : undefined;
  }

  /** @throws when there is no answer, or a refusal */
  async #append(events: AppendEvent[], door?: DurableObjectStub<AuditIntake>): Promise<void> {
    const answer = await (door === undefined
      ? this.#ask<Appended>(async (log) => log.append({ events }))
      : (door.append({ events }) as Promise<Appended>));
    if (!answer.ok) throw new Error(answer.code);
    answer.seqs.forEach((seq, i) => {
      const known = this.#acknowledged[seq];
      const [one, promise] = [events[i]!, answer.promises[i]!];
      if (known !== undefined) {
        expect([known.event.event_id, known.promise]).toEqual([one.event_id, promise]);
        this.#repeated += 1;
      } else this.#acknowledged[seq] = { event: one, promise };
    });
  }

  /** Something old, appended again: the same places and the same promises, byte for byte. */
  async #again(): Promise<void> {
    const from = this.#pick(this.#acknowledged.length);
    const some = this.#acknowledged.slice(from, from + 20);
    const before = (await this.#ask((log) => log.status())).next_seq;
    const events = some.map((one) => one.event);
    const answer = await this.#ask<Appended>(async (log) => log.append({ events }));
    expect(answer).toEqual({ ok: true, seqs: some.map((_, i) => from + i), promises: some.map((one) => one.promise) });
    expect((await this.#ask((log) => log.status())).next_seq).toBe(before);
    this.#repeated += some.length;
  }

  /** The meta-log has the head, in a head of its own that anybody can check. */
  async #witnessed({ origin, size }: Signed): Promise<void> {
    const ask = { origin, index: size - 1, level: "published" } as const;
    let proven: MetaProof;
    for (let left = LOCKED_TRIES; ; left -= 1) {
      await this.#ask((log) => log.flush());
      await living(async () => meta().flush());
      proven = await living<MetaProof>(async () => meta().prove(ask));
      if (proven.ok) break;
      if (left === 0) throw new Error(`the meta-log does not have ${size}: ${proven.code}`);
      await scheduler.wait(LOCKED_MS);
    }
    expect(proven.head.note.split("\n").slice(0, 2)).toEqual([origin, String(size)]);
    await this.#published(this.#metaHeads, metaNames(META));
  }

  /** The head in the bucket, signed by its log over the tiles beside it. */
  async #published(seen: tree.Head[], names: FileNames): Promise<Signed | undefined> {
    const found = await env.AUDIT_TILES.get(names.checkpoint);
    if (found === null) return undefined;
    const text = await found.text();
    const origin = text.split("\n")[0]!;
    const keysets = JSON.parse(env.TALOS_KEYSETS!) as Keysets;
    const keys = seen === this.#metaHeads ? await metaKeys(keysets, origin) : headKeys(keysets, origin);
    const policy = utf8.encode(`${keys.map((key) => `log ${key}\n`).join("")}quorum none\n`);
    const head = await tree.verifyCheckpoint({ note: utf8.encode(text), policy });
    expect(await tree.treeRoot(head.size, reader(names))).toEqual(head.root);
    const last = seen.at(-1);
    if (last !== undefined) {
      const hashes = await tree.consistencyProof(last.size, head.size, reader(names));
      tree.checkConsistency({ old: last, head, hashes });
    }
    seen.push(head);
    if (seen === this.#heads) this.#origin = origin;
    return head;
  }

  /** Everything at the end: each event in its place in rows, bundles and projection; each head a beginning of the same tree. */
  async verify(): Promise<{ events: number; heads: number; handed: number; retried: number; repeated: number }> {
    const all = this.#acknowledged;
    const ids = all.map(({ event }) => event.event_id);
    expect(new Set(ids).size).toBe(all.length);
    for (let from = 0; from < all.length; ) {
      const at = from;
      const { rows } = await this.#ask((log) => log.read(at, 500));
      for (const { seq, body } of rows) expect([seq, body]).toEqual([from++, all[seq]!.event.body]);
    }
    const leaves = new Uint8Array(all.length * tree.HASH_BYTES);
    for (const [i, { event }] of all.entries()) leaves.set(b64uDecode(leafHash(event.body)), i * tree.HASH_BYTES);
    const sizes = new Map(this.#heads.map((head) => [head.size, head.root]));
    for (const head of this.#heads) expect(head.root).toEqual(sizes.get(head.size));
    const roots = new Map<number, Uint8Array>();
    let grown = tree.emptyFrontier();
    for (const size of [...sizes.keys()].sort((a, b) => a - b)) {
      grown = tree.extend(grown, leaves.slice(grown.size * tree.HASH_BYTES, size * tree.HASH_BYTES));
      roots.set(size, grown.root);
    }
    for (const [size, root] of sizes) expect(roots.get(size)).toEqual(root);
    const bundled = (await entries(fileNames(this.#name), all.length)).map((entry) => new TextDecoder().decode(entry));
    expect(bundled).toEqual(all.map(({ event }) => event.body));
    // In the meta-log every head of ours is of this tree, each size once, in order.
    const own = (await entries(metaNames(META), this.#metaHeads.at(-1)!.size))
      .map((entry) => new TextDecoder().decode(entry).split("\n"))
      .filter(([origin]) => origin === this.#origin);
    for (const [i, [, size, root]] of own.entries()) {
      const known = roots.get(Number(size));
      if (known !== undefined) expect(root).toBe(btoa(String.fromCharCode(...known)));
      expect(Number(size)).toBeGreaterThan(Number(own[i - 1]?.[1] ?? 0));
    }
    expect(own.at(-1)?.[1]).toBe(String(all.length));
    await expect.poll(() => testDatabase().rows.get(this.#name), { timeout: 20_000 }).toEqual(ids);
    return {
      events: all.length,
      heads: sizes.size,
      handed: own.length,
      retried: this.#retried,
      repeated: this.#repeated,
    };
  }
}
