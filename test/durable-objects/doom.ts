/**
 * An object that ends at a chosen operation: aborted there, as the platform aborts one, and nothing that it still tries
 * happens. What leaves an object waits until its rows are durable, so around calls and files it dies with them on the disk.
 */
import { runInDurableObject } from "cloudflare:test";
import type { ArchivePort } from "../../durable-objects/archive-types.ts";
import type { Env } from "../../durable-objects/env.ts";
import type { MetaPort, ProjectorPort } from "../../durable-objects/types.ts";

/** Where the object dies: around the first operation of its kind whose name fits, after `skip` others that fit too. */
export interface Point {
  /** the tenant's log, unless said otherwise */
  who?: "meta";
  of: "sql" | "commit" | "answer" | "put" | "get" | "project" | "hand" | "archive" | "any";
  at: RegExp;
  after: boolean;
  skip?: number;
}

export interface Life {
  died: boolean;
  /** it is to go on, whatever it comes by */
  spared: boolean;
}

/** The call of an object whose answer is meant by one. */
type Method = "append" | "add" | "put";
type Answering = DurableObject & Record<Method, (ask: unknown) => Promise<unknown>>;

/** The prototype that a method stands on: calls from outside reach no property of the object itself. */
function owner(instance: Answering, method: Method): Answering {
  let prototype = instance;
  while (!Object.hasOwn(prototype, method)) prototype = Object.getPrototypeOf(prototype) as Answering;
  return prototype;
}

/** @param method the call whose answer the point `answer` means */
export async function doom(stub: DurableObjectStub, method: Method, point: Point): Promise<Life> {
  const life: Life = { died: false, spared: false };
  let skip = point.skip ?? 0;
  await runInDurableObject(stub as DurableObjectStub<undefined>, (object: unknown, state) => {
    const instance = object as Answering;
    const { storage } = state;
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
    const around = async <T>(of: Point["of"], name: string, work: () => Promise<T>): Promise<T> => {
      if (here(of, name, false)) {
        await storage.sync();
        die();
      }
      const done = await work();
      meets(of, name, true);
      return done;
    };

    const exec = storage.sql.exec.bind(storage.sql);
    let ran = "";
    storage.sql.exec = ((query: string, ...values: SqlStorageValue[]) => {
      if (!/^\s*(INSERT|UPDATE|DELETE)/.test(query)) return exec(query, ...values);
      meets("sql", query, false);
      const cursor = exec(query, ...values);
      ran += `${query}\n`;
      meets("sql", query, true);
      return cursor;
    }) as SqlStorage["exec"];
    const transaction = storage.transactionSync.bind(storage);
    storage.transactionSync = <T>(work: () => T): T => {
      ran = "";
      meets("commit", "", false);
      const done = transaction(work);
      meets("commit", ran, true);
      return done;
    };

    const prototype = owner(instance, method);
    const answer = prototype[method];
    prototype[method] = async function (ask) {
      const said = await answer.call(this, ask);
      if (this === instance && here("answer", "", false)) {
        await storage.sync();
        die();
      }
      return said;
    };

    const inside = instance as unknown as { env: Env; ctx: DurableObjectState };
    const { AUDIT_TILES: bucket, META_LOG: metas, LOG_ARCHIVES: archives } = inside.env;
    const AUDIT_TILES = {
      get: (...args: [string]) => around("get", args[0], () => bucket.get(...args)),
      put: (...args: [string, string]) => around("put", args[0], () => bucket.put(...args)),
    } as unknown as R2Bucket;
    const add: MetaPort["add"] = (head) => around("hand", "", async () => metas.getByName("meta").add(head));
    const META_LOG = { getByName: () => ({ add }) } as unknown as Env["META_LOG"];
    const archive = (name: string): ArchivePort => ({
      put: (bundles) => around("archive", name, async () => archives.getByName(name).put(bundles)),
      find: (ids) => around("archive", name, async () => archives.getByName(name).find(ids)),
    });
    const LOG_ARCHIVES = { getByName: archive } as unknown as Env["LOG_ARCHIVES"];
    inside.env = { ...inside.env, AUDIT_TILES, META_LOG, LOG_ARCHIVES };
    const real = (inside.ctx.exports as unknown as { Projector: ProjectorPort }).Projector;
    const Projector: ProjectorPort = { project: (ask) => around("project", "", () => real.project(ask)) };
    Object.defineProperty(inside.ctx, "exports", { value: { ...inside.ctx.exports, Projector } });
  });
  return life;
}
