/** jose: verification of one EdDSA JWT whose key was imported before; no proof of possession, no decision. */
import { generateKeyPair, jwtVerify, SignJWT } from "jose";
import { serve } from "../worker/serve.ts";

export default serve(async (given) => {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const claims = { grants: given.grants };
  const signing = new SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).setIssuer("bench").setExpirationTime("1h");
  const token = await signing.sign(privateKey);
  return {
    "peer.jose_verify": {
      async run(n) {
        for (let i = 0; i < n; i += 1) await jwtVerify(token, publicKey, { issuer: "bench" });
      },
    },
  };
});
