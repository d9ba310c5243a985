/** Biscuit: a token of one block is read from bytes (which verifies its signature), then authorized. */
import { serve } from "../worker/serve.ts";
import { start } from "./lib.js";
import * as biscuit from "./node_modules/@biscuit-auth/biscuit-wasm/module/biscuit_bg.js";
import * as clock from "./node_modules/@biscuit-auth/biscuit-wasm/module/snippets/biscuit-auth-314ca57174ae0e6d/inline0.js";
import module from "./node_modules/@biscuit-auth/biscuit-wasm/module/biscuit_bg.wasm";

const LIMITS = { max_facts: 100, max_iterations: 100, max_time_micro: 1_000_000 };

export default serve(() => {
  start(module, "./biscuit_bg.js", biscuit, { "./snippets/biscuit-auth-314ca57174ae0e6d/inline0.js": clock });
  const keys = new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519);
  const builder = biscuit.Biscuit.builder();
  builder.addFact(biscuit.Fact.fromString('right("files/read_file", "call")'));
  builder.addCheck(biscuit.Check.fromString('check if path($p), $p.starts_with("/desk/")'));
  builder.addCheck(biscuit.Check.fromString("check if limit($l), $l >= 1, $l <= 1000"));
  const bytes = builder.build(keys.getPrivateKey()).toBytes();
  const root = keys.getPublicKey();
  return {
    "peer.biscuit": {
      run(n) {
        for (let i = 0; i < n; i += 1) {
          const token = biscuit.Biscuit.fromBytes(bytes, root);
          const ask = new biscuit.AuthorizerBuilder();
          ask.addFact(biscuit.Fact.fromString('path("/desk/notes/today.txt")'));
          ask.addFact(biscuit.Fact.fromString("limit(100)"));
          ask.addPolicy(biscuit.Policy.fromString('allow if right("files/read_file", "call")'));
          const authorizer = ask.buildAuthenticated(token);
          authorizer.authorizeWithLimits(LIMITS); // throws unless allowed
          authorizer.free();
          token.free();
        }
      },
    },
  };
});
