/** Publishes one policy after the other while the object dies, as a publisher who tries again until it is confirmed. */
import { policySign } from "@talos/core";
import { signed, send } from "../fixtures.ts";
import type { Scene } from "./scene.ts";

/** How long a publisher hears "not now" before he gives up. */
const PATIENCE_MS = 30_000;

export class Publishing {
  /** versions that were confirmed, in order */
  readonly published: number[] = [];
  readonly #scene: Scene;
  #version = 1;
  #jws = "";

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Send the next version; whether an answer comes is left open. */
  async next(): Promise<void> {
    this.#version += 1;
    const { seed } = this.#scene.publisher;
    this.#jws = policySign({ seed, snapshot: { ...this.#scene.policy, version: this.#version } }).jws;
    await this.#put().catch(() => undefined);
  }

  /**
   * Send it again: the object goes on from whatever it had done.
   * @throws Error when it does not take it; when it says for `PATIENCE_MS` that it cannot be reached yet
   */
  async retry(): Promise<void> {
    const untilMs = Date.now() + PATIENCE_MS;
    for (;;) {
      const answer = await this.#put();
      const body = (await answer.json()) as { policy_version: number; retryable?: boolean };
      if (answer.ok) {
        this.published.push(body.policy_version);
        return;
      }
      // An answer that says so itself asks for the same again, as an object that starts on a busy machine gives it.
      if (body.retryable !== true || Date.now() > untilMs) {
        throw new Error(`version ${this.#version}: ${answer.status} ${JSON.stringify(body)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  #put(): Promise<Response> {
    return fetch(`${this.#scene.aud}/v1/policy`, {
      ...{ method: "PUT", headers: { "content-type": "application/jose" }, body: this.#jws },
    });
  }

  /** The number in the signed head. */
  async inForce(): Promise<number> {
    const { aud, agent, chain } = this.#scene;
    const answer = await send(signed(agent, chain, { aud, path: "/v1/head", method: "GET" }));
    const { head } = (await answer.json()) as { head: string };
    const payload = Buffer.from(head.split(".")[1]!, "base64url").toString();
    return (JSON.parse(payload) as { policy_version: number }).policy_version;
  }
}
