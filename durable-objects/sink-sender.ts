/** Signs what a sink sends, under every secret that holds, and hands it to the courier. Source: contracts/spec/webhooks.md. */
import { LIMITS, TalosError } from "@talos/contracts";
import { withinMs } from "./deadline.ts";
import type { Env } from "./env.ts";
import { keysetsOf } from "./keysets.ts";
import { type Signer, signedHeaders, signerOf } from "./sink-secrets.ts";
import type { SinkStore } from "./sink-store.ts";
import type { CourierPort, Posted } from "./sink-types.ts";

/** Beyond the receiver's own time, for the way there. */
const COURIER_MS = LIMITS.sink_timeout_ms + 5_000;

/** No key of the deployment opens a secret of the sink any more. */
export class SecretLost extends Error {}

export interface SenderPorts {
  /** of the sink: its secrets are sealed to it */
  name: () => string;
  store: SinkStore;
  env: Env;
  courier: () => CourierPort;
}

export class SinkSender {
  readonly #ports: SenderPorts;
  /** imported keys by their id */
  readonly #signers = new Map<string, Signer>();

  constructor(ports: SenderPorts) {
    this.#ports = ports;
  }

  /** @throws {@link SecretLost}; `config.incomplete` without keysets; whatever the courier cannot be asked for */
  async post(url: string, id: string, body: string): Promise<Posted> {
    const nowMs = Date.now();
    const keysets = keysetsOf(this.#ports.env, nowMs);
    let headers: Record<string, string>;
    try {
      headers = await signedHeaders(await this.#signersAt(keysets, nowMs), id, body, nowMs);
    } catch (error) {
      if (!(error instanceof TalosError) || error.code !== "config.incomplete") throw error;
      throw new SecretLost("a secret that no key opens", { cause: error });
    }
    return withinMs(this.#ports.courier().post({ url, headers, body }), COURIER_MS, "delivering");
  }

  forget(): void {
    this.#signers.clear();
  }

  async #signersAt(keysets: ReturnType<typeof keysetsOf>, nowMs: number): Promise<Signer[]> {
    const { name, store } = this.#ports;
    const signers: Signer[] = [];
    for (const key of store.keys(nowMs)) {
      let signer = this.#signers.get(key.id);
      if (signer === undefined) {
        signer = await signerOf(keysets, name(), key, nowMs);
        if (signer.rewrapped !== undefined) store.rewrap(key.id, signer.rewrapped);
        this.#signers.set(key.id, signer);
      }
      signers.push(signer);
    }
    return signers;
  }
}
