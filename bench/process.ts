/** What Linux says about the workerd that listens for us: our only child of that name. */
import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";

export const onLinux = process.platform === "linux";

function workerd(): string {
  const children = execFileSync("ps", ["--ppid", String(process.pid), "-o", "pid=,comm="], { encoding: "utf8" });
  const pid = /(\d+) workerd/.exec(children)?.[1];
  if (pid === undefined) throw new Error("workerd is not a child of this process");
  return pid;
}

/** Resident memory, kilobytes: all of it, and what no file stands behind (heaps, SQLite's caches, stacks). */
export async function workerdMemory(): Promise<{ resident: number; anonymous: number }> {
  const text = await readFile(`/proc/${workerd()}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  return { resident: of("VmRSS"), anonymous: of("RssAnon") };
}

/** Milliseconds that all of its threads have computed since it began. */
export async function workerdCpuMs(): Promise<number> {
  const tasks = `/proc/${workerd()}/task`;
  const read = async (id: string): Promise<number> => {
    const text = await readFile(`${tasks}/${id}/schedstat`, "utf8").catch(() => "0"); // a thread that ended just now
    return Number(text.split(" ")[0]) / 1e6;
  };
  const spent = await Promise.all((await readdir(tasks)).map(read));
  return spent.reduce((sum, ms) => sum + ms, 0);
}
