/** A CPU profile of a script in workerd, taken through the inspector while something runs against it. */
import { inspect, targets } from "./inspector.ts";

interface Node {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}
interface Profile {
  nodes: Node[];
  samples: number[];
  timeDeltas: number[];
}

/** Shares of the time, in percent of what was not idle: of each function alone, and with what it called. */
export async function profiled(port: number, script: string, work: () => Promise<unknown>): Promise<string> {
  const listed = await targets(port);
  const target = listed.find(({ id, webSocketDebuggerUrl }) => `${id} ${webSocketDebuggerUrl}`.includes(script));
  if (target === undefined) throw new Error(`no such script: ${JSON.stringify(listed)}`);
  const { call, close } = await inspect(target);
  await call("Profiler.enable");
  await call("Profiler.setSamplingInterval", { interval: 200 });
  await call("Profiler.start");
  await work();
  const { profile } = await call<{ profile: Profile }>("Profiler.stop");
  close();
  return summary(profile);
}

function summary({ nodes, samples, timeDeltas }: Profile): string {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  const name = ({ callFrame: { functionName, url, lineNumber } }: Node): string =>
    `${functionName || "(anonymous)"} ${url.slice(url.lastIndexOf("/") + 1)}:${lineNumber + 1}`;
  const self = new Map<string, number>();
  const whole = new Map<string, number>();
  let total = 0;
  samples.forEach((id, i) => {
    const node = byId.get(id)!;
    const us = timeDeltas[i]!;
    if (node.callFrame.functionName === "(idle)") return;
    total += us;
    self.set(name(node), (self.get(name(node)) ?? 0) + us);
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) seen.add(name(byId.get(at)!));
    for (const each of seen) whole.set(each, (whole.get(each) ?? 0) + us);
  });
  const top = (of: Map<string, number>): string[] =>
    [...of]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 45)
      .map(([each, us]) => `${((100 * us) / total).toFixed(1).padStart(6)} %  ${each}`);
  return [
    `busy ${(total / 1_000).toFixed(0)} ms`,
    "alone",
    ...top(self),
    "with what it called",
    ...top(whole),
    "",
  ].join("\n");
}
