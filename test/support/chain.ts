/**
 * Anvil with a registry, and an `Anchors` object that lives under Node over rows that survive it: what crashes, forks and
 * goes away is a real node. Time is the test's: every alarm is run as soon as it is set.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scheduler } from "node:timers/promises";
import { checkpointText } from "@talos/core/log";
import { createTestClient, type Hex, http, publicActions, walletActions } from "viem";
import { deployRegistry } from "../../scripts/anchor-deploy.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, type Anvil, startAnvil } from "../../scripts/dev/anvil.ts";
import { Anchors } from "../../durable-objects/anchors.ts";
import type { Ask, Asked, AskPort } from "../../durable-objects/anchor-types.ts";
import type { Env } from "../../durable-objects/env.ts";
import { guardedAsk } from "../../workers/shared/guarded-fetch.ts";
import { ObjectStorage } from "./object-storage.ts";

// Of the Workers' runtime, and used by deadline.ts.
(globalThis as unknown as { scheduler: typeof scheduler }).scheduler ??= scheduler;

export const ORIGIN = "talos.test/meta";
const RULES = { own: "http://talos.test", loopback: true };

/** A signed checkpoint as the meta-log gives it; the signature is nobody's concern here. */
export function checkpoint(size: number, fill: number, origin = ORIGIN): { size: number; note: string } {
  const text = checkpointText(origin, { size, root: new Uint8Array(32).fill(fill) });
  return { size, note: `${text}\n— ${origin} ${btoa("x".repeat(68))}\n` };
}

export interface Chain extends Anvil {
  contract: Hex;
  gas: number;
  dir: string;
  client: ReturnType<typeof clientOf>;
  stop(): Promise<void>;
}

const clientOf = (rpc: string) =>
  createTestClient({ mode: "anvil", transport: http(rpc), chain: undefined })
    .extend(publicActions)
    .extend(walletActions);

export async function startChain(args: string[] = []): Promise<Chain> {
  const dir = mkdtempSync(join(tmpdir(), "talos-anvil-"));
  const anvil = await startAnvil({ dir, args });
  const { contract, gas } = await deployRegistry({ rpc: anvil.rpc, key: ANVIL_KEYS[0] });
  const stop = async () => {
    await anvil.child.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return { ...anvil, contract, gas, dir, client: clientOf(anvil.rpc), stop };
}

export class Died extends Error {
  override readonly name = "Died";
}

/** An object and its lives. `heads`: what the meta-log says is cosigned. */
export class Publisher {
  head: { size: number; note: string } | null = null;
  /** operations until it dies: asks of the node, before and after, and transactions of its rows, before and after */
  dieAfter = Number.POSITIVE_INFINITY;
  operations = 0;
  lives = 1;
  /** what a node that lies makes of its answers, by method */
  lies: Record<string, (result: unknown, params: unknown[]) => unknown> = {};
  /** what was sent to the node, by method */
  readonly asked: { method: string; params: unknown[] }[] = [];
  readonly storage = new ObjectStorage();
  readonly #env: Env;
  #object: Anchors;

  constructor(chain: Pick<Chain, "rpc" | "contract">, options: { key?: Hex; settings?: object } = {}) {
    const { rpc, contract } = chain;
    const settings = { rpc, contract, chain_id: ANVIL_CHAIN_ID, confirmations: 2, interval_seconds: 60 };
    this.#env = {
      TALOS_EVM: JSON.stringify({ ...settings, ...options.settings }),
      TALOS_EVM_KEY: options.key ?? ANVIL_KEYS[1],
      META_LOG: { getByName: () => ({ cosigned: async () => this.head }) },
    } as unknown as Env;
    this.#object = this.#born();
  }

  get object(): Anchors {
    return this.#object;
  }

  /** Memory goes, rows stay. */
  restart(): void {
    this.lives += 1;
    this.#object = this.#born();
  }

  /**
   * Run alarms until the object has nothing to do before its interval, or `until` holds; one that dies is born again.
   * @param between what happens to the chain between two alarms
   */
  async drive(until: () => Promise<boolean>, between: () => Promise<void> = async () => {}, most = 60): Promise<void> {
    for (let alarms = 0; alarms < most; alarms += 1) {
      try {
        await this.#object.alarm();
      } catch (error) {
        if (!(error instanceof Died)) throw error;
      }
      if (this.operations > this.dieAfter) {
        this.dieAfter = Number.POSITIVE_INFINITY;
        this.restart();
      }
      if (await until()) return;
      await between();
    }
    throw new Error(`not after ${most} alarms: ${JSON.stringify(await this.#object.status())}`);
  }

  #born(): Anchors {
    const { state } = this.storage;
    const transactionSync = state.storage.transactionSync.bind(state.storage);
    state.storage.transactionSync = (work) => {
      this.#lives();
      const done = transactionSync(work);
      this.#lives();
      return done;
    };
    const Courier: AskPort = { ask: (ask) => this.#ask(ask) };
    return new Anchors(Object.assign(state, { id: { name: "evm" }, exports: { Courier } }), this.#env);
  }

  async #ask(ask: Ask): Promise<Asked> {
    this.#lives();
    const { method, params } = JSON.parse(new TextDecoder().decode(ask.body)) as { method: string; params: unknown[] };
    this.asked.push({ method, params });
    const asked = await guardedAsk(ask, RULES);
    this.#lives();
    const lie = this.lies[method];
    if (lie === undefined || !asked.ok) return asked;
    const answer = JSON.parse(new TextDecoder().decode(asked.body)) as { result: unknown };
    const body = JSON.stringify({ ...answer, result: lie(answer.result, params) });
    return { ...asked, body: new TextEncoder().encode(body) };
  }

  /** Dead is dead: nothing of this life happens any more. */
  #lives(): void {
    this.operations += 1;
    if (this.operations > this.dieAfter) throw new Died();
  }
}
