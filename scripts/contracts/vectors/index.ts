/** Every byte-exact vector file, by its path below contracts/vectors/. */
import { anchorVectors } from "./anchors.ts";
import { commitments, events, signedAnswers } from "./audit.ts";
import { proofBundles } from "./bundles.ts";
import { chains } from "./chains.ts";
import { signatures } from "./ed25519.ts";
import { dids, keys } from "./identity.ts";
import { heads, policies, revocationBodies, statements } from "./in-force.ts";
import type { VectorFile } from "./lib.ts";
import { logTexts } from "./log.ts";
import { sessionProofs, signed } from "./proofs.ts";
import { opening, sealing, session } from "./sessions.ts";

export function byteExactVectors(): Map<string, VectorFile> {
  return new Map([
    ...anchorVectors(),
    ["audit/commitments", commitments()],
    ["audit/events", events()],
    ["audit/signed", signedAnswers()],
    ["capability/chains", chains()],
    ["identity/dids", dids()],
    ["identity/ed25519", signatures()],
    ["identity/keys", keys()],
    ["in-force/heads", heads()],
    ["in-force/policies", policies()],
    ["in-force/revocation-bodies", revocationBodies()],
    ["in-force/statements", statements()],
    ...logTexts(),
    ["log/proof-bundles", proofBundles()],
    ["proof/session", sessionProofs(session.ticket, session.id, session.macKey)],
    ["proof/signed", signed()],
    ["session/opening", opening()],
    ["session/sealing", sealing()],
  ]);
}

/** The text of a vector file: stable, ASCII, one member a line. */
export function printVectors(file: VectorFile): string {
  const text = JSON.stringify(file, null, 2);
  return `${text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
}
