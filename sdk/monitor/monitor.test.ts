/** A monitor over logs that are honest, and over each way in which one can stop being that. */
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditPromise } from "@talos/contracts";
import * as log from "@talos/core/log";
import { beforeEach, expect, it } from "vitest";
import { ROUND_BUNDLES } from "./follow.ts";
import { type MonitorState, monitorRound, newState } from "./monitor.ts";
import { readState, writeState } from "./state.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const NOW = 1_767_225_600_000;
const STALE = 120_000;

function signer(name: string, cosigns = false) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  const key: log.NoteKey = { name, publicKey: raw, cosigns };
  const line = (text: string) => {
    const time = cosigns ? NOW / 1_000 : undefined;
    const message = time === undefined ? text : log.cosignedText(text, time);
    return log.signatureLine(key, new Uint8Array(sign(null, utf8(message), privateKey)), time);
  };
  return { vkey: log.verifierKey(key), line };
}
type Signer = ReturnType<typeof signer>;

/** A log as it lies in a bucket. */
class Published {
  readonly files = new Map<string, Uint8Array>();
  readonly origin: string;
  entries: Uint8Array[] = [];
  #signers: Signer[];
  constructor(origin: string, signers: Signer[]) {
    this.origin = origin;
    this.#signers = signers;
  }

  /** As if nothing had been before: another history under the same keys. */
  static of(other: Published, entries: Uint8Array[]): Published {
    const made = new Published(other.origin, other.#signers);
    made.append(entries);
    return made;
  }

  append(fresh: Uint8Array[], signers = this.#signers): string {
    const size = this.entries.length;
    const edge = Buffer.concat(log.edgeTiles(size).map((path) => this.files.get(path)!));
    const { root, tiles } = log.append({ size, edge, leaves: Buffer.concat(fresh.map(log.leafHash)) });
    for (const { path, hashes } of tiles) this.files.set(path, hashes);
    this.entries = [...this.entries, ...fresh];
    const from = Math.floor(size / 256);
    for (let index = from; index * 256 < this.entries.length; index += 1) {
      const path = log.tileAt("entries", index, this.entries.length)!;
      this.files.set(path, log.bundle(this.entries.slice(index * 256, (index + 1) * 256)));
    }
    const text = log.checkpointText(this.origin, { size: this.entries.length, root });
    this.files.set(
      "checkpoint",
      utf8(
        log.note(
          text,
          signers.map(({ line }) => line(text)),
        ),
      ),
    );
    return text;
  }

  read = async (path: string) => this.files.get(path) ?? null;

  flip(path: string, at: number): void {
    const bytes = this.files.get(path)!.slice();
    bytes[at]! ^= 1;
    this.files.set(path, bytes);
  }
}

const entriesOf = (from: number, count: number, salt = "") =>
  Array.from({ length: count }, (_, index) => utf8(`{"entry":${from + index}${salt}}`));

const ORIGIN = "talos.example/log/AAAAAAAAAAAAAAAAAAAAAA";
const META = "talos.example/meta";
let keys: { tenant: Signer; meta: Signer; w1: Signer; w2: Signer };
let policy: Uint8Array;
let tenant: Published;
let meta: Published;
let state: MonitorState;

beforeEach(() => {
  keys = { tenant: signer(ORIGIN), meta: signer(META), w1: signer("w1.example", true), w2: signer("w2.example", true) };
  policy = utf8(
    `log ${keys.tenant.vkey}\nlog ${keys.meta.vkey}\nwitness w1 ${keys.w1.vkey}\nwitness w2 ${keys.w2.vkey}\n` +
      "group both all w1 w2\nquorum both\n",
  );
  tenant = new Published(ORIGIN, [keys.tenant]);
  meta = new Published(META, [keys.meta, keys.w1, keys.w2]);
  state = newState();
});

/** The tenant's log grows, and the meta-log takes its head, after another tenant's. */
function grow(count: number): void {
  const text = tenant.append(entriesOf(tenant.entries.length, count));
  meta.append([utf8(`other.example/log\n${count}\n${"A".repeat(43)}=\n`), utf8(text)]);
}

interface More {
  now_ms?: number;
  appended?: number;
  promises?: AuditPromise[];
  tenant?: Published | null;
  meta?: Published | null;
}
function round(more: More = {}) {
  const log = more.tenant === undefined ? tenant : more.tenant;
  const heads = more.meta === undefined ? meta : more.meta;
  return monitorRound(state, {
    policy,
    ...(log && { tenant: { read: log.read, origin: ORIGIN, ...(more.appended && { appended: more.appended }) } }),
    ...(heads && { meta: { read: heads.read } }),
    promises: more.promises ?? [],
    stale_ms: STALE,
    now_ms: more.now_ms ?? NOW,
  });
}
const names = async (more: More = {}) => (await round(more)).alarms.map(({ alarm, log }) => `${alarm} ${log}`);

it("follows logs that grow, and says nothing", async () => {
  expect(await names()).toEqual([]);
  for (const count of [1, 255, 3, 600, 1]) {
    grow(count);
    expect(await round()).toMatchObject({ alarms: [], more: false, tenant: tenant.entries.length });
    expect(state.vouched?.size).toBe(tenant.entries.length);
  }
  expect(state.waiting).toEqual([]);
  expect(await names({ now_ms: NOW + 10 * STALE })).toEqual([]); // an idle log is not stale
});

it("needs many rounds for a long log, and keeps what it hashed", async () => {
  for (let i = 0; i < 2; i += 1) tenant.append(entriesOf(tenant.entries.length, 33_000));
  meta.append([utf8(tenant.append(entriesOf(66_000, 2)))]);
  expect(await round()).toMatchObject({ alarms: [], more: true });
  expect(state.tenant?.hashed.size).toBe(ROUND_BUNDLES * 256);
  expect(await round()).toMatchObject({ alarms: [], more: false, tenant: 66_002 });
});

it("equivocation: another history of the same size, a larger one, one while much is left to hash", async () => {
  grow(300);
  await round();
  const other = Published.of(tenant, [...tenant.entries.slice(0, 299), utf8("{}")]);
  expect(await round({ tenant: other })).toMatchObject({
    alarms: [{ alarm: "equivocation", detail: "two heads of 300" }],
  });
  other.append(entriesOf(300, 50));
  const { alarms } = await round({ tenant: other });
  expect(alarms).toMatchObject([{ alarm: "equivocation", evidence: [expect.any(String), expect.any(String)] }]);
  // Both notes are signed: anybody can see that one key said both.
  for (const note of alarms[0]!.evidence!) {
    const found = await log.verifyCheckpoint({
      note: utf8(note),
      policy: utf8(`log ${keys.tenant.vkey}\nquorum none\n`),
    });
    expect(found.origin).toBe(ORIGIN);
  }
  expect(await names()).toEqual([]); // the honest one is still followed
  other.append(entriesOf(350, 70_000));
  expect(await names({ tenant: other })).toEqual([`equivocation ${ORIGIN}`]);
});

it("equivocation beyond what was hashed so far", async () => {
  tenant.append(entriesOf(0, 66_000));
  expect(await round()).toMatchObject({ alarms: [], more: true }); // the head is known, its last entries are not
  const other = Published.of(tenant, [...tenant.entries.slice(0, 65_900), ...entriesOf(65_900, 2_000, ',"other":1')]);
  expect(await names({ tenant: other })).toEqual([`equivocation ${ORIGIN}`]);
  expect(await round()).toMatchObject({ alarms: [], more: false });
});

it("rollback: an older head, or none any more", async () => {
  grow(300);
  const old = tenant.files.get("checkpoint")!;
  grow(10);
  await round();
  tenant.files.set("checkpoint", old);
  expect(await names()).toEqual([`rollback ${ORIGIN}`]);
  tenant.files.delete("checkpoint");
  expect(await names()).toEqual([`rollback ${ORIGIN}`]);
});

it("tampered: an entry, a tile of hashes, a tile above, one that is gone", async () => {
  grow(700);
  for (const [path, at] of [
    ["tile/entries/000", 5],
    ["tile/0/001", 40],
    ["tile/entries/002.p/188", 3],
    ["tile/entries/001", 1],
  ] as const) {
    tenant.flip(path, at);
    expect(await names(), path).toContain(`tampered ${ORIGIN}`);
    tenant.flip(path, at);
  }
  // Entry and tile together: they agree, and are not what was signed.
  tenant.flip("tile/entries/002.p/188", 5);
  const tile = tenant.files.get("tile/0/002.p/188")!;
  tenant.files.set("tile/0/002.p/188", log.bundleLeaves(tenant.files.get("tile/entries/002.p/188")!));
  expect(await names()).toContain(`tampered ${ORIGIN}`);
  tenant.flip("tile/entries/002.p/188", 5);
  tenant.files.set("tile/0/002.p/188", tile);
  const kept = tenant.files.get("tile/0/000")!;
  tenant.files.delete("tile/0/000");
  expect(await names()).toContain(`tampered ${ORIGIN}`);
  tenant.files.set("tile/0/000", kept);
  expect(await names()).toEqual([]);
});

it("tampered: what was hashed long ago, entry and tile together, is looked into again", async () => {
  grow(513);
  await round();
  for (const path of ["tile/entries/000", "tile/entries/001"]) tenant.flip(path, 5);
  expect(await names()).toEqual([`tampered ${ORIGIN}`]); // whichever was drawn
  const whole = ["000", "001"].map((name) => tenant.files.get(`tile/0/${name}`)!);
  for (const name of ["000", "001"]) {
    tenant.files.set(`tile/0/${name}`, log.bundleLeaves(tenant.files.get(`tile/entries/${name}`)!));
  }
  expect(await names()).toEqual([`tampered ${ORIGIN}`]); // not the tile above
  for (const [at, name] of ["000", "001"].entries()) {
    tenant.flip(`tile/entries/${name}`, 5);
    tenant.files.set(`tile/0/${name}`, whole[at]!);
  }
  expect(await names()).toEqual([]);
});

it("a second history that only the meta-log holds is equivocation", async () => {
  grow(300);
  await round();
  const other = Published.of(tenant, [...tenant.entries, utf8("{}")]);
  meta.append([utf8(other.append(entriesOf(301, 5)))]);
  grow(40);
  expect(await names()).toEqual([`equivocation ${ORIGIN}`]);
  expect(state.vouched?.size).toBe(300);
});

it("heads of the tenant in the meta-log: a smaller one is a rollback, two of one size are two histories", async () => {
  const first = tenant.append(entriesOf(0, 10));
  meta.append([utf8(tenant.append(entriesOf(10, 5))), utf8(first)]);
  expect(await names()).toEqual([`rollback ${ORIGIN}`]);
  const forked = new Published(META, [keys.meta, keys.w1, keys.w2]);
  const text = log.checkpointText(ORIGIN, { size: 15, root: new Uint8Array(32) });
  forked.append([utf8(`${new TextDecoder().decode(tenant.files.get("checkpoint")!).split("\n\n")[0]}\n`), utf8(text)]);
  state = newState();
  expect(await round({ meta: forked })).toMatchObject({
    alarms: [{ alarm: "equivocation", log: ORIGIN, detail: "the meta-log holds two heads of 15" }],
  });
});

it("the meta-log itself: rollback, two histories, an edited entry", async () => {
  grow(5);
  const old = meta.files.get("checkpoint")!;
  grow(5);
  await round();
  const whole = meta.files.get("checkpoint")!;
  meta.files.set("checkpoint", old);
  expect(await names()).toEqual([`rollback ${META}`]);
  meta.files.set("checkpoint", whole);
  const other = Published.of(meta, [...meta.entries.slice(0, 3), utf8("x\n1\n"), utf8("y\n1\n")]);
  expect(await names({ meta: other })).toEqual([`equivocation ${META}`]);
  grow(5);
  meta.flip("tile/entries/000.p/6", 4);
  expect(await names()).toContain(`tampered ${META}`);
});

it("stale: appended and not published, or published and not in the meta-log, for too long", async () => {
  grow(5);
  expect(await names({ appended: 9 })).toEqual([]);
  expect(await names({ appended: 9, now_ms: NOW + STALE })).toEqual([]);
  expect(await names({ appended: 9, now_ms: NOW + STALE + 1 })).toEqual([`stale ${ORIGIN}`]);
  tenant.append(entriesOf(5, 4));
  expect(await names({ appended: 9, now_ms: NOW + STALE + 2 })).toEqual([]);
  expect(await names({ appended: 9, now_ms: NOW + 3 * STALE })).toEqual([`stale ${ORIGIN}`]);
});

it("quorum: one witness of two; invalid: a head that the log did not sign, or another log's", async () => {
  grow(5);
  meta.append([utf8("other.example/log\n1\nx\n")], [keys.meta, keys.w1]);
  expect(await names()).toEqual([`quorum ${META}`]);
  meta.append([utf8("other.example/log\n2\nx\n")]);
  expect(await names()).toEqual([]);
  tenant.append(entriesOf(5, 1), [signer(ORIGIN)]);
  expect(await names()).toEqual([`invalid ${ORIGIN}`]);
  const strange = new Published(META, [keys.meta]);
  strange.append(entriesOf(0, 9));
  expect(await names({ tenant: strange })).toEqual([`invalid ${ORIGIN}`]);
});

it("promises: kept, late, broken", async () => {
  grow(5);
  const promise = (seq: number, entry: Uint8Array): AuditPromise => ({
    event_id: "019b76da-a800-7000-8000-000000000001",
    leaf: Buffer.from(log.leafHash(entry)).toString("base64url"),
    log: "default",
    max_delay_seconds: 60,
    seq,
    time_ms: NOW,
  });
  const kept = promise(3, tenant.entries[3]!);
  const open = promise(5, utf8("later"));
  expect(await names({ promises: [kept, open], now_ms: NOW + 60_000 })).toEqual([]);
  expect(await names({ promises: [kept, open], now_ms: NOW + 61_000 })).toEqual([`overdue ${ORIGIN}`]);
  grow(1);
  expect(await names({ promises: [kept, open] })).toEqual([`broken ${ORIGIN}`]);
});

it("a rotated log: the old tree to its end, then the new one, whose key the policy must list", async () => {
  grow(5);
  await round();
  const next = signer("talos.example/log/BBBBBBBBBBBBBBBBBBBBBB");
  const second = new Published("talos.example/log/BBBBBBBBBBBBBBBBBBBBBB", [next]);
  second.append(entriesOf(5, 3));
  const look = () =>
    monitorRound(state, {
      policy,
      tenant: { read: second.read, origin: second.origin, first_seq: 5, appended: 3 },
      promises: [],
      stale_ms: STALE,
      now_ms: NOW,
    });
  expect((await look()).alarms).toMatchObject([{ alarm: "invalid", detail: "log.origin_unknown" }]);
  expect(state.tenant?.origin).toBe(ORIGIN); // not left for a tree that nobody vouches for
  policy = utf8(`log ${next.vkey}\n${new TextDecoder().decode(policy)}`);
  expect(await look()).toMatchObject({ alarms: [], more: false, tenant: 3 });
  expect(state.past).toMatchObject([{ origin: ORIGIN, head: { size: 5 } }]);
  const older = Published.of(tenant, tenant.entries.slice(0, 4));
  expect(await names({ tenant: older, meta: null })).toEqual([`rollback ${ORIGIN}`]); // the old tree is not forgotten
});

it("unreachable is a condition: what was known stays, and the other log is followed", async () => {
  grow(5);
  await round();
  const read = tenant.read;
  tenant.read = async () => {
    throw new TypeError("fetch failed");
  };
  grow(5);
  expect(await names()).toContain(`unreachable ${ORIGIN}`);
  expect(state.meta?.head?.size).toBe(4);
  tenant.read = read;
  expect(await names()).toEqual([]);
});

it("works without a tenant's log, and without the meta-log", async () => {
  grow(5);
  expect(await round({ tenant: null })).toMatchObject({ alarms: [], meta: 2 });
  state = newState();
  expect(await round({ meta: null })).toMatchObject({ alarms: [], tenant: 5 });
});

it("keeps its state in a file, whole or not at all, and refuses one that is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "talos-monitor-"));
  const path = join(folder, "state.json");
  try {
    expect(readState(path)).toEqual(newState());
    grow(300);
    await round();
    writeState(path, state);
    state = readState(path);
    tenant = Published.of(tenant, entriesOf(0, 400, ',"other":1'));
    expect(await names()).toEqual([`equivocation ${ORIGIN}`]); // also after a restart
    expect(state.alarms).toMatchObject([{ alarm: "equivocation", time_ms: NOW }]);
    writeFileSync(path, readFileSync(path, "utf8").slice(0, 40));
    expect(() => readState(path)).toThrow(/not JSON/);
    writeFileSync(path, "{}");
    expect(() => readState(path)).toThrow(/not a monitor's state/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
