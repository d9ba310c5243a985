/**
 * Memory under load, told apart: the gateway's isolate (V8 after a forced collection, buffers, the wasm modules' memories),
 * the isolates that stand in for bucket, KV and cache in the same process, the process as a whole, and the files on disk.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../scripts/dev/ports.ts";
import { rpc } from "../test/fixtures.ts";
import { inspect, type Target, targets } from "./http/inspector.ts";
import { startStack } from "./http/stack.ts";
import { type Options, type Report, round, row } from "./measure.ts";
import { onLinux, workerdMemory } from "./process.ts";
import { agent, CALL } from "./scene.ts";

const POINTS = 10;
const KB = 1_024;
const PAGE = 65_536;
const MIX = [..."rrrrrsrrrrrrrrrsrrrt"].map((letter) => ({ r: "read", s: "signed", t: "tool" })[letter]!);

const TOOL_CALL = rpc("tools/call", {
  name: "read_file",
  arguments: { encoding: "utf8", limit: 100, path: "/desk/notes/today.txt" },
});
const MCP_HEADERS = { accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25" };

interface Heap {
  usedSize: number;
  totalSize: number;
  embedderHeapUsedSize?: number;
  backingStorageSize?: number;
}

/** @param collect an isolate that nobody asks anything does not answer this */
async function heapOf(target: Target, collect: boolean): Promise<Heap> {
  const inspector = await inspect(target);
  try {
    if (collect) await inspector.call("HeapProfiler.collectGarbage");
    return await inspector.call<Heap>("Runtime.getHeapUsage");
  } finally {
    inspector.close();
  }
}

/** Memories of wasm modules, which no other figure of the inspector holds: out of a snapshot, where they are buffers of whole pages. */
async function wasmBytes(target: Target): Promise<number> {
  const inspector = await inspect(target);
  let text = "";
  inspector.on("HeapProfiler.addHeapSnapshotChunk", (params) => {
    text += (params as { chunk: string }).chunk;
  });
  try {
    await inspector.call("HeapProfiler.enable");
    await inspector.call("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  } finally {
    inspector.close();
  }
  const { snapshot, nodes, strings } = JSON.parse(text) as {
    snapshot: { meta: { node_fields: string[] } };
    nodes: number[];
    strings: string[];
  };
  const fields = snapshot.meta.node_fields;
  const [name, size] = [fields.indexOf("name"), fields.indexOf("self_size")];
  let bytes = 0;
  for (let at = 0; at < nodes.length; at += fields.length) {
    const own = nodes[at + size]!;
    if (strings[nodes[at + name]!] === "system / JSArrayBufferData" && own >= PAGE && own % PAGE === 0) bytes += own;
  }
  return bytes;
}

async function diskBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      stat(join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** A proof is good for half a minute; on a machine that was held up for longer the step is made again, with fresh ones. */
async function again(work: () => Promise<void>, left = 5): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (left === 0 || !String(error).includes("PROOF_INVALID")) throw error;
    await again(work, left - 1);
  }
}

/** Reads in a session, signed reads and calls of a tool, in this proportion; figures at the start and after each tenth. */
export async function benchMemory(report: Report, options: Options): Promise<void> {
  if (!onLinux) {
    report.left_out.memory = "only Linux says how much memory a process holds";
    return;
  }
  const inspectorPort = await freePort();
  const stack = await startStack({ inspectorPort });
  try {
    const total = options.smoke ? 300 : options.full ? 1_000_000 : 20_000;
    const step = options.smoke ? 10 : 500;
    const holder = { ...agent, seed: [...agent.seed] } as never;
    const series = new Map<string, number[]>();
    const note = (name: string, bytes: number): void =>
      void series.set(name, [...(series.get(name) ?? []), round(bytes / KB)]);
    const wasm: number[] = [];
    const begun = performance.now();
    const look = async (done: number): Promise<void> => {
      for (const [name, kilobytes] of Object.entries(await workerdMemory())) note(`process.${name}`, kilobytes * KB);
      const all = await targets(inspectorPort);
      const gateway = all.find(({ id }) => id === "core:user:talos")!;
      let others = 0;
      const large: string[] = [];
      for (const target of all) {
        const {
          usedSize,
          totalSize,
          embedderHeapUsedSize = 0,
          backingStorageSize = 0,
        } = await heapOf(target, target === gateway);
        if (target !== gateway) {
          const held = totalSize + embedderHeapUsedSize + backingStorageSize;
          others += held;
          if (held > 8 * KB * KB) large.push(`${target.id} ${round(held / KB)}`);
        } else {
          note("gateway.heap_used", usedSize);
          note("gateway.heap_held", totalSize);
          note("gateway.buffers", backingStorageSize + embedderHeapUsedSize);
        }
      }
      // A snapshot takes memory of the process itself, so there are three of them.
      if (done % (total / 2) === 0) wasm.push(round((await wasmBytes(gateway)) / KB));
      note("stand_ins.heaps", others);
      note("disk", await diskBytes(stack.state));
      const seconds = Math.round((performance.now() - begun) / 1_000);
      const last = [...series].map(([name, values]) => `${name} ${values.at(-1)}`);
      if (!options.smoke)
        process.stderr.write(
          `memory: ${done} of ${total} requests, ${seconds} s, kB: ${[...last, ...large].join(", ")}\n`,
        );
    };
    await look(0);
    for (let done = 0, next = total / POINTS; done < total; done += step) {
      const { origin, aud } = stack;
      const kind = MIX[(done / step) % MIX.length]!;
      await again(async () => {
        const session = await stack.session(step);
        await stack.load({
          ...{ origin, connections: 8, count: step, chain: stack.chain, holder, session },
          form: kind === "signed" ? "signed" : "session_mac",
          ask:
            kind === "tool"
              ? { aud, path: "/mcp/files", body: TOOL_CALL, headers: MCP_HEADERS }
              : { aud, path: "/v1/authorize", body: CALL },
        });
      });
      if (done + step >= next) {
        await look(done + step);
        next += total / POINTS;
      }
    }
    wasm.forEach((kilobytes, i) => {
      report.rows.push(row(`memory.gateway.wasm.after_${(i * total) / 2}`, "kB", [kilobytes]));
    });
    for (const [name, values] of series) {
      values.forEach(
        (kilobytes, i) => void report.rows.push(row(`memory.${name}.after_${(i * total) / POINTS}`, "kB", [kilobytes])),
      );
      // The first half warms up: code is compiled, caches and the objects' bounded tables fill.
      report.ratios[`memory.${name}, end / after half`] = round(values.at(-1)! / values[POINTS / 2]!);
    }
  } finally {
    await stack.stop();
  }
}
