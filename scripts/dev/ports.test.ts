import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { choosePort, freePort, isFree } from "./ports.ts";

const RANGE = "/proc/sys/net/ipv4/ip_local_port_range";

describe("a port chosen now for a server that starts later", () => {
  it("is none that the kernel gives to a connection meanwhile", async ({ skip }) => {
    if (!existsSync(RANGE)) skip("this system says nowhere which ports its kernel hands out");
    const lowest = Number(readFileSync(RANGE, "utf8").split(/\s+/)[0]);
    if (lowest < 32_000) skip("this kernel was told to hand out nearly all ports");
    for (let n = 0; n < 20; n += 1) expect(await freePort()).toBeLessThan(lowest);
  });

  it("is given to no two of them", async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
    expect(new Set(ports).size).toBe(50);
  });

  it("is not the preferred one while somebody listens there", async () => {
    const port = await freePort();
    expect(await choosePort(port)).toBe(port);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect(await isFree(port)).toBe(false);
    expect(await choosePort(port)).not.toBe(port);
    server.close();
  });
});
