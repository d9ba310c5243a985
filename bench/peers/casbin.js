/** Casbin: eight policies of subject, tool and action, no conditions on arguments; half of the calls are allowed. */
import { newEnforcer, newModelFromString } from "casbin";
import { must, serve } from "../worker/serve.ts";

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act`;

export default serve(async (given) => {
  const enforcer = await newEnforcer(newModelFromString(MODEL));
  await enforcer.addPolicies(given.grants.map(({ tool }) => ["agent", tool, "call"]));
  return {
    "peer.casbin": {
      run(n) {
        for (let i = 0; i < n; i += 1) {
          const allow = i % 2 === 0;
          const tool = allow ? "files/read_file" : "files/delete_file";
          must(enforcer.enforceSync("agent", tool, "call") === allow, tool);
        }
      },
    },
  };
});
