import { revoke } from "../client.ts";
import { chainUpTo, type Revocation } from "../revocation.ts";
import { type Command, IDENTITY, text, UsageError, type Values, whole } from "./command.ts";
import type { Context } from "./context.ts";

const LINK: NonNullable<Command["options"]> = {
  link: {
    type: "string",
    short: "l",
    value: "N",
    help: "the capability's link spoken of: 0 the root (default: the last)",
  },
};

const link: Command = {
  name: "revoke link",
  summary: "Revoke one link of a capability, and with it all that was delegated from it",
  about: "Signed by the link's issuer, or by an issuer above it. Exit code 1 when the key has no such authority.",
  options: { ...IDENTITY, ...LINK },
  examples: [
    "talos revoke link --cap sub-agent.cap                      # as the agent that issued it",
    "talos revoke link --cap agent.cap --link 0 --key operator.json",
  ],
  run: (context, values) => send(context, values, { kind: "link" }),
};

const key: Command = {
  name: "revoke key",
  summary: "Revoke a key: one's own everywhere, another's below a link or an anchor of one's own",
  about: `Without --jkt the signing key revokes itself in the whole tenant, for good.
With --jkt, --below link revokes that key under the capability's link (signed by that link's holder), --below anchor in all
chains that the signing anchor roots.`,
  options: {
    ...IDENTITY,
    ...LINK,
    jkt: { type: "string", value: "THUMBPRINT", help: "another key than the signing one" },
    below: { type: "string", value: "link|anchor", help: "where the other key is revoked" },
  },
  examples: [
    "talos revoke key",
    "talos revoke key --jkt 9zKn… --below link",
    "talos revoke key --jkt 9zKn… --below anchor --key operator.json",
  ],
  run(context, values) {
    const jkt = text(values, "jkt");
    const below = text(values, "below");
    if (jkt === undefined && below === undefined) return send(context, values, { kind: "key" });
    if (jkt === undefined || (below !== "link" && below !== "anchor")) {
      throw new UsageError("--jkt and --below link|anchor go together");
    }
    return send(context, values, { kind: "key", jkt, below });
  },
};

const epoch: Command = {
  name: "revoke epoch",
  usage: "N",
  summary: "Raise the signing key's epoch: all links it signed with a lower one are revoked",
  about: "Issue new links with --epoch N from then on. An epoch never goes down.",
  positionals: [1, 1],
  options: IDENTITY,
  examples: ["talos revoke epoch 1"],
  run(context, values, [given]) {
    if (!/^[1-9]\d{0,9}$/.test(given!) || Number(given) > 2_147_483_647) {
      throw new UsageError("N is a whole number from 1 to 2147483647");
    }
    return send(context, values, { kind: "epoch", epoch: Number(given) });
  },
};

async function send(context: Context, values: Values, what: Revocation): Promise<undefined> {
  const index = whole(values, "link", 0, 7);
  const chain = index === undefined ? context.chain() : chainUpTo(context.chain(), index);
  const aud = context.aud();
  const answer = await revoke({ key: context.key(), chain, what, ...(aud ? { aud } : {}) });
  context.print(answer, [
    ...answer.entries.map((entry) => `revoked  ${entry}`),
    `in force from revocation ${answer.rev_seq} on: for writes within 5 s, for reads within 30 s`,
  ]);
}

export const revokeCommands = [link, key, epoch];
