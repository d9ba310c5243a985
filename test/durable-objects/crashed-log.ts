/**
 * A tenant's log that is aborted at a chosen operation, and its careful callers: they append, alone and several at once,
 * try again what was not answered, and hold the log to every promise and every head that they ever saw.
 */
import { env, runInDurableObject } from "cloudflare:test";
import type { Keysets } from "@talos/contracts";
import { b64uDecode, leafHash, publicKey, sealEvent, uuidv7 } from "@talos/core";
import * as tree from "@talos/core/log";
import { expect } from "vitest";
import type { AuditLog } from "../../durable-objects/audit-log.ts";
import type { AppendEvent, Appended, ProjectorPort } from "../../durable-objects/types.ts";
import { testDatabase } from "./projector.ts";

/** Where the object dies: around the first operation of its kind whose name fits, after `skip` others that fit too. */
export interface Point {
  of: "sql" | "commit" | "answer" | "put" | "get" | "project" | "any";
  at: RegExp;
  after: boolean;
  skip?: number;
}

type Sql = SqlStorage["exec"];

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

/** The prototype that a method stands on: calls from outside reach no property of the object itself. */
function owner(instance: AuditLog, method: "append"): AuditLog {
  let prototype: AuditLog = instance;
  while (!Object.hasOwn(prototype, method)) prototype = Object.getPrototypeOf(prototype) as AuditLog;
  return prototype;
}

export class CrashedLog {
  /** leaf and promise of every acknowledged event, by its place */
  readonly #acknowledged: { event: AppendEvent; promise: string }[] = [];
  readonly #heads: tree.Head[] = [];
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

  /** Ask the living. Here the dead one's file may stay locked for a moment, which the platform knows nothing of. */
  async #ask<T>(call: (log: DurableObjectStub<AuditLog>) => Promise<T>): Promise<T> {
    for (let left = LOCKED_TRIES; ; left -= 1) {
      try {
        return await call(this.#log);
      } catch (error) {
        if (left === 0 || !String(error).includes("SQLITE_BUSY")) throw error;
        await scheduler.wait(LOCKED_MS);
      }
    }
  }

  /** One life of the object, which ends at the point, and the beginning of the next. @returns whether it ended there */
  async round(point: Point | undefined): Promise<boolean> {
    const life = point === undefined ? undefined : await this.#doom(point);
    const unanswered: AppendEvent[][] = [];
    const batches = Array.from({ length: 1 + this.#pick(AT_ONCE) }, () =>
      Array.from({ length: this.#random() < 0.5 ? 1 : 1 + this.#pick(200) }, () => event(this.#name)),
    );
    const append = async (batch: AppendEvent[]): Promise<void> => {
      if (
        !(await this.#append(batch).then(
          () => true,
          () => false,
        ))
      )
        unanswered.push(batch);
    };
    await Promise.all(batches.map(append));
    await this.#log.flush().catch(() => undefined);
    const died = life?.died === true;
    if (life !== undefined && !died) life.spared = true;

    // Another life: what the bucket holds now is a head of the same history, and so is the next.
    const before = await this.#published();
    for (const batch of unanswered) {
      this.#retried += 1;
      await this.#append(batch);
      await this.#append(batch);
    }
    await this.#again();
    await this.#ask((log) => log.flush());
    const after = await this.#published();
    expect(after?.size).toBe(this.#acknowledged.length);
    if (before !== undefined && before.size > 0) {
      const hashes = await tree.consistencyProof(before.size, after!.size, (path) => this.#file(path));
      tree.checkConsistency({ old: before, head: after!, hashes });
    }
    expect(await this.#ask((log) => log.status())).toMatchObject({
      forked: false,
      next_seq: this.#acknowledged.length,
    });
    return died;
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** @throws when there is no answer, or a refusal */
  async #append(events: AppendEvent[]): Promise<void> {
    const answer = await this.#ask<Appended>(async (log) => log.append({ events }));
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

  async #file(path: string): Promise<Uint8Array> {
    const found = await env.AUDIT_TILES.get(`${path.includes(".p/") ? "p" : "f"}/${this.#name}/${path}`);
    if (found === null) throw new Error(`${path} is not published`);
    return new Uint8Array(await found.arrayBuffer());
  }

  /** The head in the bucket, signed by this log over the tiles beside it. */
  async #published(): Promise<tree.Head | undefined> {
    const found = await env.AUDIT_TILES.get(`c/${this.#name}/checkpoint`);
    if (found === null) return undefined;
    const text = await found.text();
    const name = text.split("\n")[0]!;
    const { key } = (JSON.parse(env.TALOS_KEYSETS!) as Keysets).purposes.head.find((k) => k.status === "primary")!;
    const vkey = tree.verifierKey({ name, publicKey: publicKey(b64uDecode(key)) });
    const head = await tree.verifyCheckpoint({
      note: utf8.encode(text),
      policy: utf8.encode(`log ${vkey}\nquorum none\n`),
    });
    expect(await tree.treeRoot(head.size, (path) => this.#file(path))).toEqual(head.root);
    this.#heads.push(head);
    return head;
  }

  /** Everything at the end: each event in its place in rows, bundles and projection; each head a beginning of the same tree. */
  async verify(): Promise<{ events: number; heads: number; retried: number; repeated: number }> {
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
    const rootOf = (size: number) =>
      tree.extend({ size: 0, subtrees: new Uint8Array(0) }, leaves.slice(0, size * tree.HASH_BYTES)).root;
    const sizes = new Map(this.#heads.map((head) => [head.size, head.root]));
    for (const head of this.#heads) expect(head.root).toEqual(sizes.get(head.size));
    for (const [size, root] of sizes) expect(rootOf(size)).toEqual(root);
    for (let index = 0; ; index += 1) {
      const path = tree.tileAt("entries", index, all.length);
      if (path === undefined) break;
      expect(tree.bundleLeaves(await this.#file(path))).toEqual(
        leaves.slice(index * tree.TILE_WIDTH * tree.HASH_BYTES, (index + 1) * tree.TILE_WIDTH * tree.HASH_BYTES),
      );
    }
    await expect.poll(() => testDatabase().rows.get(this.#name), { timeout: 20_000 }).toEqual(ids);
    return { events: all.length, heads: sizes.size, retried: this.#retried, repeated: this.#repeated };
  }

  /** This life of the object ends at the point: aborted, and nothing that it still tries happens. */
  async #doom(point: Point): Promise<{ died: boolean; spared: boolean }> {
    const life = { died: false, spared: false };
    let skip = point.skip ?? 0;
    await this.#ask((log) =>
      runInDurableObject(log, (instance, state) => {
        const dead = (): never => {
          throw new Error("the object is gone (test)");
        };
        const die = (): never => {
          life.died = true;
          state.abort("it dies here (test)");
          return dead();
        };
        const here = (of: Point["of"], name: string, after: boolean): boolean => {
          if (life.spared) return false;
          if (life.died) dead();
          const fits = (point.of === of || point.of === "any") && point.after === after && point.at.test(name);
          return fits && skip-- <= 0;
        };
        const meets = (...at: Parameters<typeof here>): void => void (here(...at) && die());
        /** What leaves the object waits until its rows are durable, so the object dies with them on the disk. */
        const around = async <T>(of: Point["of"], name: string, work: () => Promise<T>): Promise<T> => {
          if (here(of, name, false)) {
            await storage.sync();
            die();
          }
          const done = await work();
          meets(of, name, true);
          return done;
        };

        const { storage } = state;
        const exec: Sql = storage.sql.exec.bind(storage.sql);
        let ran = "";
        storage.sql.exec = ((query: string, ...values: SqlStorageValue[]) => {
          if (!/^\s*(INSERT|UPDATE|DELETE)/.test(query)) return exec(query, ...values);
          meets("sql", query, false);
          const cursor = exec(query, ...values);
          ran += `${query}\n`;
          meets("sql", query, true);
          return cursor;
        }) as Sql;
        const transaction = storage.transactionSync.bind(storage);
        storage.transactionSync = <T>(work: () => T): T => {
          ran = "";
          meets("commit", "", false);
          const done = transaction(work);
          meets("commit", ran, true);
          return done;
        };

        const prototype = owner(instance, "append");
        const append = prototype.append;
        prototype.append = async function (ask) {
          const answer = await append.call(this, ask);
          if (this === instance && here("answer", "", false)) {
            await storage.sync();
            die();
          }
          return answer;
        };

        const inside = instance as unknown as { env: typeof env; ctx: DurableObjectState };
        const bucket = inside.env.AUDIT_TILES;
        const AUDIT_TILES = {
          get: (...args: [string]) => around("get", args[0], () => bucket.get(...args)),
          put: (...args: [string, string]) => around("put", args[0], () => bucket.put(...args)),
        } as unknown as R2Bucket;
        inside.env = { ...inside.env, AUDIT_TILES };
        const real = (inside.ctx.exports as unknown as { Projector: ProjectorPort }).Projector;
        const Projector: ProjectorPort = { project: (ask) => around("project", "", () => real.project(ask)) };
        Object.defineProperty(inside.ctx, "exports", { value: { ...inside.ctx.exports, Projector } });
      }),
    );
    return life;
  }
}
