/** Publishes one policy after the other while the object dies, as a publisher who tries again until it is confirmed. */
import { policySign } from "@talos/core";
import { signed, send } from "../fixtures.ts";
import type { Scene } from "./scene.ts";

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

  /** Send it again: the object goes on from whatever it had done. @throws Error when it does not take it */
  async retry(): Promise<void> {
    const answer = await this.#put();
    if (!answer.ok) throw new Error(`version ${this.#version}: ${answer.status} ${await answer.text()}`);
    this.published.push(((await answer.json()) as { policy_version: number }).policy_version);
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
