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

/** Resident memory, kilobytes. */
export async function workerdKilobytes(): Promise<number> {
  const status = await readFile(`/proc/${workerd()}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]);
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
