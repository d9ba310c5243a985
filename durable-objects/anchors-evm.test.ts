/** The anchors against a real node: nothing is anchored twice, whatever dies, waits, forks or goes away in between. */
import { LIMITS } from "@talos/contracts";
import { checkpointDigest, logId, verifyEvm } from "@talos/core/anchor";
import { bytesToHex, parseEther, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { REGISTRY_ABI } from "../contracts/evm/registry.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, anvilBinary } from "../scripts/dev/anvil.ts";
import { type Chain, checkpoint, ORIGIN, Publisher, startChain } from "../test/support/chain.ts";
import type { Anchored } from "./anchor-types.ts";

const KEY = ANVIL_KEYS[1];
const ADDRESS = privateKeyToAccount(KEY).address.toLowerCase();

describe.skipIf(anvilBinary() === undefined)("anchors on an EVM chain (skipped by name: no anvil)", () => {
  let chain: Chain;
  let snapshot: `0x${string}`;
  beforeAll(async () => {
    chain = await startChain();
  });
  afterAll(() => chain?.stop());
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.spyOn(console, "warn").mockImplementation(() => {});
    snapshot = await chain.client.snapshot();
  });
  afterEach(async () => {
    await chain.client.revert({ id: snapshot });
    await chain.client.setAutomine(true);
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  const logs = async () =>
    chain.client.getContractEvents({
      address: chain.contract,
      abi: REGISTRY_ABI,
      fromBlock: 0n,
      eventName: "Anchored",
    });
  const mine = async () => chain.client.mine({ blocks: 1 });
  const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);
  const done = (publisher: Publisher, size: number) => async () => (await publisher.object.covering(size)) !== null;

  /** Offline: what the object kept is held to the digest, and the block's hash to what the node says. */
  async function holds(anchored: Anchored | null, publisher = ADDRESS): Promise<void> {
    const { note, anchor } = anchored!;
    if (anchor.kind !== "evm") throw new Error("not of a chain");
    const text = note.slice(0, note.indexOf("\n\n") + 1);
    const verdict = verifyEvm(anchor, { digest: checkpointDigest(text), logId: logId(ORIGIN) });
    const block = await chain.client.getBlock({ blockNumber: BigInt(verdict.block_number) });
    expect(verdict).toMatchObject({
      ...{ chain_id: ANVIL_CHAIN_ID, contract: chain.contract, publisher },
      ...{ block_hash: block.hash, time_seconds: Number(block.timestamp) },
    });
    expect(anchored!.block).toEqual({
      ...{ number: verdict.block_number, hash: block.hash, time_seconds: verdict.time_seconds },
    });
    for (const digest of [new Uint8Array(32), checkpointDigest("x")])
      expect(() => verifyEvm(anchor, { digest, logId: logId(ORIGIN) })).toThrow("does not hold this checkpoint");
    const other = logId("another.test/meta");
    expect(() => verifyEvm(anchor, { digest: checkpointDigest(text), logId: other })).toThrow("not that of the block");
  }

  it("anchors the newest checkpoint, keeps evidence that verifies offline, and waits for its interval", async () => {
    const publisher = new Publisher(chain);
    publisher.head = checkpoint(7, 1);
    await publisher.drive(done(publisher, 7), mine);
    await holds(await publisher.object.covering(3));
    expect(await publisher.object.covering(8)).toBeNull();
    publisher.head = checkpoint(9, 2);
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ state: "idle", anchored_size: 7 });
    pass(60_000);
    await publisher.drive(done(publisher, 9), mine);
    expect((await publisher.object.covering(7))?.size).toBe(7);
    expect((await publisher.object.list({ limit: 1 })).anchors.map((one) => one.size)).toEqual([9]);
    expect((await publisher.object.list({ before: 9 })).anchors.map((one) => one.size)).toEqual([7]);
    expect(await logs()).toHaveLength(2);
    await holds(await publisher.object.covering(8));
  });

  it("dies around every operation, and anchors once", async () => {
    let last = 0;
    for (let dieAfter = 0; ; dieAfter += 1) {
      const before = await chain.client.snapshot();
      const publisher = new Publisher(chain);
      publisher.head = checkpoint(5, 5);
      publisher.dieAfter = dieAfter;
      await publisher.drive(done(publisher, 5), async () => {
        await mine();
        pass(LIMITS.anchoring_poll_ms);
      });
      expect((await logs()).map((log) => log.args.size)).toEqual([5n]);
      expect(await chain.client.getTransactionCount({ address: ADDRESS as `0x${string}` })).toBe(1);
      await chain.client.revert({ id: before });
      if (publisher.lives === 1) break;
      last = dieAfter;
    }
    expect(last).toBeGreaterThan(20);
  });

  it("raises the fee of a transaction that no block takes, with the same nonce", async () => {
    await chain.client.setAutomine(false);
    const publisher = new Publisher(chain);
    publisher.head = checkpoint(3, 3);
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ flight: { state: "sent", attempts: 1 } });
    await chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 20_000_000_000n });
    await mine();
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ flight: { state: "sent", attempts: 1 } });
    pass(LIMITS.anchoring_stuck_ms);
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ flight: { state: "sent", attempts: 2 } });
    const sent = publisher.storage.all<{ raw: string; max_fee: string }>("SELECT raw, max_fee FROM sent ORDER BY n");
    expect(BigInt(sent[1]!.max_fee)).toBeGreaterThan(20_000_000_000n);
    await publisher.drive(done(publisher, 3), mine);
    expect(await logs()).toHaveLength(1);
    expect(await chain.client.getTransactionCount({ address: ADDRESS as `0x${string}` })).toBe(1);
    await holds(await publisher.object.covering(3));
  });

  it("pays no more than the settings say, and says that it waits for it", async () => {
    await chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 9_000_000_000n });
    await mine();
    const publisher = new Publisher(chain, { settings: { max_fee_gwei: 2 } });
    publisher.head = checkpoint(3, 3);
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ state: "failing", code: "anchor.unfunded", failures: 1 });
    expect(publisher.asked.some(({ method }) => method === "eth_sendRawTransaction")).toBe(false);
  });

  it("anchors again what a reorganisation took back", async () => {
    const publisher = new Publisher(chain);
    publisher.head = checkpoint(4, 4);
    const before = await chain.client.snapshot();
    await publisher.drive(async () => (await publisher.object.status()).flight?.state === "mined", mine);
    const [one] = publisher.storage.all<{ block_hash: string }>("SELECT block_hash FROM flight");
    await chain.client.revert({ id: before });
    expect(await logs()).toHaveLength(0);
    await chain.client.sendUnsignedTransaction({ from: privateKeyToAccount(ANVIL_KEYS[2]).address, value: 1n });
    await chain.client.mine({ blocks: 4 });
    await publisher.drive(done(publisher, 4), mine);
    const kept = await publisher.object.covering(4);
    expect(kept!.block!.hash).not.toBe(one!.block_hash);
    expect(await logs()).toHaveLength(1);
    await holds(kept);
  });

  it("keeps no evidence of a block in whose place there is another one", async () => {
    await chain.client.setAutomine(false);
    const publisher = new Publisher(chain, { settings: { confirmations: 3 } });
    publisher.head = checkpoint(4, 4);
    const before = await chain.client.snapshot();
    await publisher.object.alarm();
    await mine();
    await publisher.object.alarm();
    const held = () => {
      const sql = "SELECT state, block_number, block_hash, anchor FROM flight";
      return publisher.storage.all<{ state: string; block_number: number; block_hash: string; anchor: string }>(
        sql,
      )[0]!;
    };
    const { block_number, block_hash, anchor } = held();
    expect([held().state, anchor === null]).toEqual(["mined", false]);
    await chain.client.revert({ id: before });
    await chain.client.mine({ blocks: 8, interval: 7 }); // enough on top, and none of ours
    expect((await chain.client.getBlock({ blockNumber: BigInt(block_number) })).hash).not.toBe(block_hash);
    await publisher.object.alarm();
    expect(await publisher.object.covering(4)).toBeNull();
    expect(await publisher.object.status()).toMatchObject({ state: "working", failures: 0, anchored_size: 0 });
    expect(held()).toMatchObject({ state: "sent", block_number: null, block_hash: null, anchor: null });
    await publisher.drive(done(publisher, 4), mine);
    const kept = await publisher.object.covering(4);
    expect(kept!.block!.hash).not.toBe(block_hash);
    await holds(kept);
  });

  it("takes no block whose header is not what its hash says", async () => {
    const publisher = new Publisher(chain);
    publisher.head = checkpoint(4, 4);
    publisher.lies.eth_getBlockByNumber = (block) => ({ ...(block as object), withdrawalsRoot: null });
    const failing = async () => (await publisher.object.status()).code === "anchor.unavailable";
    await publisher.drive(failing, mine);
    // It is the chain's, and only cannot be put together: what was sent is not looked for anew.
    expect(await publisher.object.status()).toMatchObject({ state: "failing", flight: { state: "mined" } });
    publisher.lies = {};
    await publisher.drive(done(publisher, 4), mine);
    expect(await logs()).toHaveLength(1);
    await holds(await publisher.object.covering(4));
  });

  it("is refused by the registry itself, where that went on after it was read", async () => {
    const first = new Publisher(chain);
    first.head = checkpoint(8, 1);
    await first.drive(done(first, 8), mine);
    const late = new Publisher(chain);
    late.lies.eth_call = () => `0x${"0".repeat(6 * 64)}`;
    late.head = checkpoint(6, 1);
    await late.object.alarm();
    expect(await late.object.status()).toMatchObject({ state: "refused", code: "anchor.refused", anchored_size: 0 });
    expect(late.asked.some(({ method }) => method === "eth_estimateGas")).toBe(true);
    expect(late.asked.some(({ method }) => method === "eth_sendRawTransaction")).toBe(false);
    expect(await logs()).toHaveLength(1);
  });

  it("does not keep what was mined before it is confirmed", async () => {
    await chain.client.setAutomine(false);
    const publisher = new Publisher(chain, { settings: { confirmations: 5 } });
    publisher.head = checkpoint(4, 4);
    await publisher.object.alarm();
    await mine();
    await publisher.object.alarm();
    expect(await publisher.object.status()).toMatchObject({ flight: { state: "mined" }, anchored_size: 0 });
    await chain.client.mine({ blocks: 4 });
    await publisher.object.alarm();
    expect(await publisher.object.covering(4)).toBeNull();
    await mine();
    await publisher.object.alarm();
    expect((await publisher.object.covering(4))?.size).toBe(4);
  });

  it("is told by the registry that its head is old, or of another history, and says so until it is ahead", async () => {
    const first = new Publisher(chain);
    first.head = checkpoint(8, 1);
    await first.drive(done(first, 8), mine);
    // The same key after its rows were put back: the chain remembers.
    const old = new Publisher(chain);
    for (const head of [checkpoint(6, 1), checkpoint(8, 2)]) {
      old.head = head;
      await old.object.alarm();
      expect(await old.object.status()).toMatchObject({ state: "refused", code: "anchor.refused", anchored_size: 0 });
      expect((await old.object.status()).flight).toBeUndefined();
      pass(60_000);
    }
    // What the registry would refuse is not even asked about.
    for (const none of ["eth_estimateGas", "eth_sendRawTransaction"])
      expect(old.asked.some(({ method }) => method === none)).toBe(false);
    old.head = checkpoint(10, 3);
    await old.drive(done(old, 10), mine);
    expect(await old.object.status()).toMatchObject({ state: "idle", anchored_size: 10 });
    expect(await logs()).toHaveLength(2);
  });

  it("finds what it anchored in a life of which no row is left", async () => {
    const first = new Publisher(chain);
    first.head = checkpoint(8, 1);
    await first.drive(done(first, 8), mine);
    const again = new Publisher(chain);
    again.head = checkpoint(8, 1);
    await again.drive(done(again, 8), mine);
    expect(await logs()).toHaveLength(1);
    await holds(await again.object.covering(8));
  });

  it("keeps publishers apart", async () => {
    const [one, other] = [new Publisher(chain), new Publisher(chain, { key: ANVIL_KEYS[2] })];
    one.head = checkpoint(8, 1);
    other.head = checkpoint(2, 9);
    await one.drive(done(one, 8), mine);
    await other.drive(done(other, 2), mine);
    await holds(await one.object.covering(8));
    await holds(await other.object.covering(2), privateKeyToAccount(ANVIL_KEYS[2]).address.toLowerCase());
  });

  it("does nothing on another chain, with another contract, without money or without a node, and says which", async () => {
    const cases: [object, string][] = [
      [{ chain_id: 1 }, "anchor.chain_unknown"],
      [{ contract: `0x${"11".repeat(20)}` }, "anchor.chain_unknown"],
      [{ rpc: "http://127.0.0.1:1" }, "anchor.unavailable"],
    ];
    for (const [settings, code] of cases) {
      const publisher = new Publisher(chain, { settings });
      publisher.head = checkpoint(3, 3);
      for (let failures = 1; failures <= 3; failures += 1) {
        await publisher.object.alarm();
        expect(await publisher.object.status()).toMatchObject({ state: "failing", code, failures });
      }
      const waits = publisher.storage.alarm_ms! - Date.now();
      expect(waits).toBe(LIMITS.anchoring_retry_ms * 4);
      expect(publisher.asked.some(({ method }) => method === "eth_sendRawTransaction")).toBe(false);
    }
    await chain.client.setBalance({ address: ADDRESS as `0x${string}`, value: 1n });
    const poor = new Publisher(chain);
    poor.head = checkpoint(3, 3);
    await poor.object.alarm();
    expect(await poor.object.status()).toMatchObject({ state: "failing", code: "anchor.unfunded" });
    await chain.client.setBalance({ address: ADDRESS as `0x${string}`, value: parseEther("1") });
    await poor.drive(done(poor, 3), mine);
    expect(await poor.object.status()).toMatchObject({ state: "idle", failures: 0 });
  });

  it("goes on where its nonce was used by somebody else", async () => {
    await chain.client.setAutomine(false);
    const publisher = new Publisher(chain);
    publisher.head = checkpoint(3, 3);
    await publisher.object.alarm();
    const { tx } = (await publisher.object.status()).flight!;
    await chain.client.dropTransaction({ hash: tx as `0x${string}` });
    await chain.client.sendTransaction({
      account: privateKeyToAccount(KEY),
      chain: null,
      to: ADDRESS as `0x${string}`,
      nonce: 0,
      gas: 21_000n,
      maxFeePerGas: 5_000_000_000n,
      maxPriorityFeePerGas: 1_000_000_000n,
    });
    await mine();
    await publisher.drive(done(publisher, 3), mine);
    expect(await logs()).toHaveLength(1);
  });

  it("shows neither key nor node in what it says", async () => {
    const publisher = new Publisher(chain, { settings: { rpc: "http://127.0.0.1:1/secret-of-the-node" } });
    publisher.head = checkpoint(3, 3);
    await publisher.object.alarm();
    const said = JSON.stringify([await publisher.object.status(), vi.mocked(console.warn).mock.calls]);
    expect(said).toContain("anchor.unavailable");
    for (const secret of [KEY.slice(2), "secret-of-the-node"]) expect(said).not.toContain(secret);
  });

  it("costs what the docs say", async () => {
    const publisher = new Publisher(chain);
    const used: number[] = [];
    for (const size of [1, 2, 3]) {
      publisher.head = checkpoint(size, size);
      await publisher.drive(done(publisher, size), mine);
      const [log] = (await logs()).slice(-1);
      const receipt = await chain.client.getTransactionReceipt({ hash: log!.transactionHash });
      used.push(Number(receipt.gasUsed));
      pass(60_000);
    }
    console.info(`gas: deployment ${chain.gas}, first ${used[0]}, later ${used[1]}`);
    expect([chain.gas < 300_000, used[0]! < 80_000, used[1]! < 40_000, used[2]! < 40_000]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });
});

describe.skipIf(anvilBinary() === undefined)("the registry", () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await startChain();
  });
  afterAll(() => chain?.stop());

  it("refuses a smaller tree, another of the same size, and nothing; the same again changes nothing", async () => {
    const account = privateKeyToAccount(KEY);
    const log = bytesToHex(logId(ORIGIN));
    const word = (n: number) => toHex(n, { size: 32 });
    const anchor = (size: number, hash: number, from = account) =>
      chain.client.simulateContract({
        ...{ address: chain.contract, abi: REGISTRY_ABI, functionName: "anchor", account: from },
        args: [log, BigInt(size), word(hash), word(hash)],
      } as const);
    const write = async (size: number, hash: number) => {
      const { request } = await anchor(size, hash);
      const sent = await chain.client.writeContract({ ...request, chain: null });
      await chain.client.waitForTransactionReceipt({ hash: sent, pollingInterval: 20 }); // what comes next sees it
    };
    await write(5, 5);
    await expect(anchor(4, 4)).rejects.toThrow("Rollback(uint64 recorded)");
    await expect(anchor(5, 6)).rejects.toThrow("Fork(bytes32 recorded)");
    await expect(anchor(0, 5)).rejects.toThrow("Empty()");
    await expect(anchor(6, 0)).rejects.toThrow("Empty()");
    await write(5, 5);
    await write(6, 6);
    await expect(anchor(1, 1, privateKeyToAccount(ANVIL_KEYS[2]))).resolves.toBeDefined();
    const events = await chain.client.getContractEvents({ address: chain.contract, abi: REGISTRY_ABI, fromBlock: 0n });
    expect(events.map((event) => event.args.size)).toEqual([5n, 6n]);
    const [size, hash] = await chain.client.readContract({
      ...{ address: chain.contract, abi: REGISTRY_ABI, functionName: "newest", args: [account.address, log] },
    } as const);
    expect([size, hash]).toEqual([6n, word(6)]);
  });
});
