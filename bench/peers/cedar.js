/** Cedar: two policies parsed once, the request and no entities given at each call; half of the calls are allowed. */
import { must, serve } from "../worker/serve.ts";
import { start } from "./lib.js";
import * as cedar from "./node_modules/@cedar-policy/cedar-wasm/esm/cedar_wasm_bg.js";
import module from "./node_modules/@cedar-policy/cedar-wasm/esm/cedar_wasm_bg.wasm";

const POLICIES = `
permit(principal == Agent::"reader", action == Action::"call", resource == Tool::"files/read_file")
when { context.path like "/desk/*" && context.limit >= 1 && context.limit <= 1000 && ["latin1", "utf8"].contains(context.encoding) };
permit(principal == Agent::"writer", action == Action::"call", resource == Tool::"files/write_file")
when { context.path like "/desk/*" };`;

export default serve((given) => {
  start(module, "./cedar_wasm_bg.js", cedar);
  must(cedar.preparsePolicySet("bench", { staticPolicies: POLICIES }).type === "success", "policies");
  const calls = given.needs.map(({ need, allow }) => ({
    expected: allow ? "allow" : "deny",
    call: {
      principal: { type: "Agent", id: "reader" },
      action: { type: "Action", id: "call" },
      resource: { type: "Tool", id: need.tool },
      context: need.args,
      entities: [],
      preparsedPolicySetId: "bench",
    },
  }));
  return {
    "peer.cedar": {
      run(n) {
        for (let i = 0; i < n; i += 1) {
          const { call, expected } = calls[i % calls.length];
          const answer = cedar.statefulIsAuthorized(call);
          must(answer.type === "success" && answer.response.decision === expected, JSON.stringify(answer));
        }
      },
    },
  };
});
