import type { AuditValues, Erasure, PrivacySubject } from "@talos/contracts";
import { commitment } from "@talos/core";
import { b64uDecode } from "@talos/core";
import { ClientError } from "./errors.ts";
import type { Ask } from "./sinks.ts";

export type { AuditValues, Erasure, PrivacySubject };

/** What is kept of calls, and its end (contracts/spec/erasure.md). */
export class Privacy {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /**
   * What opens an event's commitments. Needs a grant for `talos/audit.values`.
   * @throws ClientError `client.answer_invalid` for a value that is not what was committed to; GatewayError
   *   `value.erased`, `value.none`
   */
  async values(event_id: string, signal?: AbortSignal): Promise<AuditValues> {
    const path = `/audit/events/${encodeURIComponent(event_id)}/values`;
    const opened = await this.#ask("GET", path, "audit/values", { signal });
    for (const { name, commitment: committed, salt, value } of opened.values) {
      if (value === undefined) continue;
      if (salt === undefined || commitment(b64uDecode(salt), b64uDecode(value)) !== committed) {
        throw new ClientError("client.answer_invalid", `${name} is not what the event commits to`);
      }
    }
    return opened;
  }

  /**
   * Destroy what is kept of a subject's calls up to now; `erasure` says how far the rest is.
   * @param key the same key again is the same erasure, so a lost answer can be asked for again
   */
  erase(subject: string, reason?: string, key: string = crypto.randomUUID(), signal?: AbortSignal): Promise<Erasure> {
    const body = { subject, ...(reason === undefined ? {} : { reason }) };
    const headers = { "idempotency-key": key };
    return this.#ask("POST", "/privacy/erasures", "privacy/erasure", { body, headers, signal });
  }

  erasure(id: string, signal?: AbortSignal): Promise<Erasure> {
    return this.#ask("GET", `/privacy/erasures/${encodeURIComponent(id)}`, "privacy/erasure", { signal });
  }

  /** What is kept of a subject: counts, no value. */
  subject(did: string, signal?: AbortSignal): Promise<PrivacySubject> {
    return this.#ask("GET", `/privacy/subjects/${encodeURIComponent(did)}`, "privacy/subject", { signal });
  }

  /** No erasure of the subject begins while it is held. */
  hold(did: string, signal?: AbortSignal): Promise<PrivacySubject> {
    return this.#ask("PUT", `/privacy/holds/${encodeURIComponent(did)}`, "privacy/subject", { signal });
  }

  release(did: string, signal?: AbortSignal): Promise<PrivacySubject> {
    return this.#ask("DELETE", `/privacy/holds/${encodeURIComponent(did)}`, "privacy/subject", { signal });
  }
}
