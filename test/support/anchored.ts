/**
 * A chain and two calendars for a running system to anchor on: a registry on anvil, a real node, and, where the outside world
 * ends, calendars on loopback whose blocks are at once there, with headers of a Bitcoin of the test's own.
 */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { deployRegistry } from "../../scripts/anchor-deploy.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, startAnvil } from "../../scripts/dev/anvil.ts";

export const CHAIN_ID = ANVIL_CHAIN_ID;
/** Height of the first calendar's block; the second's is the next one. */
export const HEIGHT = 300;
/** A target that every second hash meets. */
export const EASY = 0x207f_ffff;

export interface AnchorGround {
  rpc: string;
  /** for the Worker: anchor on both whenever there is something new */
  env: { TALOS_EVM: string; TALOS_EVM_KEY: string; TALOS_OTS: string };
  stop(): Promise<void>;
}

export async function startAnchorGround(dir: string): Promise<AnchorGround> {
  const { rpc, child } = await startAnvil({ dir });
  const calendars = await Promise.all([0, 1].map(startCalendar));
  const stop = async (): Promise<void> => {
    for (const calendar of calendars) calendar.close();
    await child.stop();
  };
  try {
    const { contract } = await deployRegistry({ rpc, key: ANVIL_KEYS[0] });
    const evm = { rpc, chain_id: CHAIN_ID, contract, confirmations: 0, interval_seconds: 1 };
    const urls = calendars.map((calendar) => `http://127.0.0.1:${(calendar.address() as AddressInfo).port}`);
    const ots = { calendars: urls, interval_seconds: 1 };
    const env = { TALOS_EVM: JSON.stringify(evm), TALOS_EVM_KEY: ANVIL_KEYS[1], TALOS_OTS: JSON.stringify(ots) };
    return { rpc, env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Takes a digest, and says how a block came of it: hashed once more, or twice, it is the root of the block. */
function startCalendar(index: number): Promise<Server> {
  const hashed = new Uint8Array(index + 1).fill(8);
  const answer = Buffer.from([...hashed, 0, 0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01, 2, 0xac + index, 2]);
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const right = request.method === "POST" && request.url === "/digest";
      response.writeHead(right ? 200 : 404, { "content-length": right ? answer.length : 0 }).end(right ? answer : "");
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** The header of a block with this root, mined against {@link EASY}. */
export function header(root: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(80);
  const view = new DataView(bytes.buffer);
  bytes.set(root, 36);
  view.setUint32(68, 1_767_225_600, true);
  view.setUint32(72, EASY, true);
  const sha256 = (of: Uint8Array) => createHash("sha256").update(of).digest();
  for (let tries = 0; sha256(sha256(bytes))[31]! > 0x7f; tries += 1) view.setUint32(76, tries, true);
  return bytes;
}
