import { describe, expect, it } from "vitest";
import type { Anchored } from "./anchor-types.ts";
import { type AnchorsSource, anchoredAt, newestAnchored } from "./anchored.ts";

const note = (size: number, signatures = "— a AAAAAAAA\n", root = "R") => `o\n${size}\n${root}\n\n${signatures}`;
const anchored = (kind: "evm" | "ots", size: number, text = note(size)): Anchored => ({
  ...{ size, note: text, done_ms: 1 },
  anchor: kind === "ots" ? { kind, file: `ots ${size}` } : ({ kind, header: `evm ${size}` } as Anchored["anchor"]),
});
const source = (answer: () => Promise<Anchored | null>): AnchorsSource => ({
  covering: answer,
  list: async () => ({ anchors: [] }),
  status: async () => ({ state: "idle", anchored_size: 0, failures: 0 }),
});
const has = (one: Anchored | null) => source(async () => one);

describe("anchored checkpoints of several kinds", () => {
  it("are the smallest one that covers, with the evidence of every kind for that very text", async () => {
    const [evm, ots] = [anchored("evm", 8), anchored("ots", 5)];
    expect(await anchoredAt(5, [has(evm), has(ots)])).toEqual({ size: 5, note: ots.note, anchors: [ots.anchor] });
    const later = anchored("ots", 8, note(8, "— a AAAAAAAA\n— w AAAAAAAA\n"));
    expect(await anchoredAt(6, [has(evm), has(later)])).toEqual({
      ...{ size: 8, note: evm.note },
      anchors: [evm.anchor, later.anchor],
    });
  });

  it("leave out evidence for another text of the same size", async () => {
    const [evm, other] = [anchored("evm", 8), anchored("ots", 8, note(8, undefined, "S"))];
    expect((await anchoredAt(8, [has(evm), has(other)]))?.anchors).toEqual([evm.anchor]);
  });

  it("are none where nothing covers, where nobody is asked, and where nobody answers", async () => {
    expect(await anchoredAt(1, [])).toBeUndefined();
    expect(await anchoredAt(1, [has(null), has(null)])).toBeUndefined();
    expect(await anchoredAt(9, [has(anchored("evm", 8))])).toBeUndefined();
    const dead = source(async () => {
      throw new Error("down");
    });
    const ots = anchored("ots", 9);
    expect((await anchoredAt(9, [dead, has(ots)]))?.anchors).toEqual([ots.anchor]);
  });
});

describe("the newest anchored checkpoint", () => {
  const kept = (anchors: Anchored[], state: "idle" | "off" = "idle"): AnchorsSource => ({
    covering: async () => null,
    list: async () => ({ anchors }),
    status: async () => ({ kind: "evm", state, anchored_size: anchors[0]?.size ?? 0, failures: 0 }),
  });

  it("is the largest of all kinds; null before the first and undefined where none is set up; what is off keeps what it has", async () => {
    const [evm, ots] = [anchored("evm", 8), anchored("ots", 5)];
    expect(await newestAnchored([kept([evm]), kept([ots])])).toEqual(evm);
    expect(await newestAnchored([kept([], "off"), kept([ots])])).toEqual(ots);
    expect(await newestAnchored([kept([], "off"), kept([])])).toBeNull();
    expect(await newestAnchored([kept([], "off"), kept([], "off")])).toBeUndefined();
    expect(await newestAnchored([])).toBeUndefined();
    expect(await newestAnchored([kept([evm], "off")])).toEqual(evm);
  });

  it("is not known while one of them cannot be asked", async () => {
    const dead: AnchorsSource = { ...kept([]), list: () => Promise.reject(new Error("down")) };
    await expect(newestAnchored([kept([anchored("evm", 8)]), dead])).rejects.toThrow("down");
  });
});
