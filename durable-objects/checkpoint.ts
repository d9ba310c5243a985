/** The text of a signed checkpoint, which its signatures follow, and what it says. Who signed is for others to check. */
import { TalosError } from "@talos/contracts";
import { fromBase64 } from "@talos/core/anchor";
import { checkpointText, HASH_BYTES } from "@talos/core/log";

/** @throws `log.checkpoint_malformed` for a text that a log of ours does not write */
export function checkpointOf(note: string): { text: string; origin: string; size: number; root: Uint8Array } {
  const text = note.slice(0, note.indexOf("\n\n") + 1);
  const [origin = "", sized = "", rooted = ""] = text.split("\n");
  const size = Number(sized);
  const root = /^[A-Za-z0-9+/]{43}=$/.test(rooted) ? fromBase64(rooted) : new Uint8Array(0);
  if (!Number.isSafeInteger(size) || root.length !== HASH_BYTES || checkpointText(origin, { size, root }) !== text)
    throw new TalosError("log.checkpoint_malformed");
  return { text, origin, size, root };
}
