/**
 * The id under which a request goes up: sealed, it names the caller, its own id and the intent, so that the response
 * is matched on whatever stream and in whatever isolate it arrives, and no upstream can answer a call it never got.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { b64uDecode, b64uEncode, type KeyringHandle, openText, sealText } from "@talos/core";
import { randomBytes } from "../../shared/request.ts";

/** Who may be answered: the call's principal, on the same server and upstream session. */
export interface Caller {
  tenant: string;
  server: string;
  sub: string;
  jkt: string;
  /** the upstream's session id, "" without one */
  session: string;
}

export interface Call {
  /** the caller's JSON-RPC id, as JSON text */
  id: string;
  method: string;
  /** absent for messages that are recorded as decisions */
  intent?: string;
  /** salt of the result's commitment: fixed with the call, so that a response replayed elsewhere commits alike */
  salt: Uint8Array;
  /** the policy that the call was decided under keeps its result */
  keep?: boolean;
}

interface Sealed extends Caller {
  talos: "call-1";
  id: string;
  method: string;
  intent?: string;
  salt: string;
  keep?: true;
}

/** The id to send up for a call. */
export function sealCall(keyring: KeyringHandle, caller: Caller, call: Call): string {
  const { id, method, intent, salt, keep } = call;
  const plain: Sealed = {
    talos: "call-1",
    ...caller,
    id,
    method,
    ...(intent === undefined ? {} : { intent }),
    salt: b64uEncode(salt),
    ...(keep === true ? { keep } : {}),
  };
  return sealText(keyring, randomBytes(32), JSON.stringify(plain));
}

/** The call that an upstream's response answers, or null when it is not one of this caller's. */
export function openCall(keyring: KeyringHandle, text: string, caller: Caller, nowMs: number): Call | null {
  let plain: Partial<Sealed>;
  try {
    plain = JSON.parse(openText(keyring, text, nowMs)) as Partial<Sealed>;
  } catch {
    return null; // nothing that we sealed: the upstream made it up
  }
  if (plain.talos !== "call-1") return null; // a session id, sealed under the same keyset
  const same =
    plain.tenant === caller.tenant &&
    plain.server === caller.server &&
    plain.sub === caller.sub &&
    plain.jkt === caller.jkt &&
    plain.session === caller.session;
  if (!same) return null;
  return {
    id: plain.id!,
    method: plain.method!,
    ...(plain.intent === undefined ? {} : { intent: plain.intent }),
    salt: b64uDecode(plain.salt!),
    ...(plain.keep === true ? { keep: true } : {}),
  };
}
