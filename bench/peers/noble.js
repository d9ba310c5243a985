/** noble: one Ed25519 verification in JavaScript, 256 bytes. */
import * as ed from "@noble/ed25519";
import { must, serve } from "../worker/serve.ts";

export default serve(async () => {
  const { secretKey, publicKey } = await ed.keygenAsync();
  const message = new Uint8Array(256).fill(7);
  const signature = await ed.signAsync(message, secretKey);
  return {
    "peer.noble_verify": {
      async run(n) {
        for (let i = 0; i < n; i += 1) must(await ed.verifyAsync(signature, message, publicKey), "a signature");
      },
    },
  };
});
