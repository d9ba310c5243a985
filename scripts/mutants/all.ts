/** Every list. */
import { admission } from "./admission.ts";
import { anchorEvidence } from "./anchor-evidence.ts";
import { anchors } from "./anchors.ts";
import { asks } from "./asks.ts";
import { archive } from "./archive.ts";
import { authorize } from "./authorize.ts";
import { bundle } from "./bundle.ts";
import { chain } from "./chain.ts";
import { containment } from "./containment.ts";
import { exports } from "./exports.ts";
import { inForce } from "./in-force.ts";
import { edge } from "./edge.ts";
import type { Area } from "./list.ts";
import { log } from "./log.ts";
import { meta } from "./meta.ts";
import { proof } from "./proof.ts";

export const AREAS: readonly Area[] = [
  ...containment,
  ...chain,
  ...proof,
  ...inForce,
  ...authorize,
  ...asks,
  ...admission,
  ...edge,
  ...log,
  ...meta,
  ...bundle,
  ...anchorEvidence,
  ...anchors,
  ...exports,
  ...archive,
];
