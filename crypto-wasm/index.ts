/**
 * @talos/core: the protocol core, Rust compiled to WebAssembly, behind typed functions.
 *
 * Everything but `verifyChecks` and `authorize` is synchronous; importing this module makes the core ready, and fails
 * when core and contracts are not of one build. Functions throw TalosError with a code of contracts/errors.json.
 */
export * from "./audit.ts";
export * from "./capability.ts";
export { CORE_HASH } from "./core.ts";
export * from "./encoding.ts";
export { encodeRequest, frameBound, REQUEST_HEADERS } from "./frame.ts";
export * from "./identity.ts";
export * from "./in-force.ts";
export {
  decideKept,
  decideLeaf,
  type LeafAnswer,
  type LeafHandle,
  leafLoad,
  type NeedHandle,
  needLoad,
  readLeafAnswer,
} from "./leaf.ts";
export * from "./proof.ts";
export { jwsSignNative } from "./sign.ts";
export {
  type DecidedRead,
  decideRead,
  READ_FRAME_BYTES,
  type ReadEvent,
  ReadFacts,
  type SessionFacts,
  sealRead,
} from "./read.ts";
export {
  authorizePure,
  begin,
  filterList,
  finish,
  openMcp,
  openSession,
  openText,
  recheck,
  sealMcp,
  sealText,
} from "./request.ts";
export * from "./types.ts";
export { authorize, verifyChecks } from "./verify.ts";
