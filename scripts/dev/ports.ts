/**
 * Ports for servers that are started on a port chosen before, or again on the port they had. They lie below what the
 * kernel hands out by itself (32768–60999 on Linux, from 49152 on macOS), as source of a connection or for port 0: from
 * there, anybody's connection could take a port in the moment when its server is not listening, and hold it.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

const LOOPBACK = "127.0.0.1";
const LOWEST = 20_000;
const HIGHEST = 32_000;
/** Ports to try; each of them is taken only when some 100 servers run here, or another range was configured. */
const ATTEMPTS = 100;

/** Handed out by this process: chosen is not yet listening, so asking the kernel is not enough. */
const handedOut = new Set<number>();

/** Whether nothing listens on this loopback port now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, LOOPBACK);
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
  server.close();
  await once(server, "close");
  return true;
}

/**
 * A loopback port where nothing listens, and that nobody gets by chance. Another program may choose it too before we
 * listen; then starting fails and says so.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} in ${ATTEMPTS} attempts`);
}

/** The preferred port when it is free, else one that is; 0 prefers none. */
export async function choosePort(preferred: number): Promise<number> {
  return preferred !== 0 && (await isFree(preferred)) ? preferred : freePort();
}
