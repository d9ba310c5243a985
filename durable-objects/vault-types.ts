/** What crosses the RPC boundary of SubjectVault. Expected outcomes are values with a code of contracts/errors.json. */
import type { Erasure, ErrorCode, PrivacySubject, Principal } from "@talos/contracts";
import type { Salts, SealedSalts } from "./value-keys.ts";

export type ValueName = "args" | "result";

export interface Refused {
  ok: false;
  code: Extract<
    ErrorCode,
    "value.erased" | "value.unavailable" | "privacy.held" | "privacy.unknown" | "config.incomplete" | "contract.invalid"
  >;
}

/** Salts of events that are durable in the log. */
export interface TakeAsk {
  salts: (SealedSalts & { event_id: string })[];
}
/** `dropped`: of before an erasure; `lost`: sealed by a key that is gone, or damaged, so nothing opens them any more. */
export type Taken = { ok: true; dropped: number; lost: number } | Refused;

/** One value, exactly as it was committed to; its event is durable in the log. */
export interface KeepAsk {
  event_id: string;
  name: ValueName;
  /** absent: it is longer than `value_bytes`, and that is what is kept of it */
  value?: Uint8Array;
}
export type Kept = { ok: true; state: "kept" | "too_large" } | Refused;

/** What is known of one event. A value comes with state `kept` only. */
export interface Opened {
  ok: true;
  salts: Salts;
  values: { name: ValueName; state: "kept" | "pending" | "unsealed" | "too_large"; value?: Uint8Array }[];
}
export type OpenedAnswer = Opened | Refused;

export interface EraseAsk {
  /** 64 characters, made by `erasureId` */
  id: string;
  subject: string;
  reason?: string;
  /** who asked, for the event */
  principal: Principal;
  request_id: string;
}
export type ErasureAnswer = { ok: true; erasure: Erasure } | Refused;

/** All of `PrivacySubject` but the name, which the vault knows as a hash only. */
export type SubjectAnswer = { ok: true; standing: Omit<PrivacySubject, "subject"> } | Refused;
