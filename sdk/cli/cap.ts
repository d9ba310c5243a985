import { resolve } from "node:path";
import { validate } from "@talos/contracts";
import { type Anchor, grantFromScope, scopeFromGrant } from "@talos/core";
import {
  audienceOf,
  type GrantInit,
  grant,
  inspectCapability,
  issueCapability,
  narrowCapability,
  sortGrants,
  verifyCapability,
} from "../capability.ts";
import { isRecord } from "../errors.ts";
import { writeSecretFile } from "../key-file.ts";
import { type Command, duration, EXIT, IDENTITY, list, text, UsageError, type Values, whole } from "./command.ts";
import { type Context, parseJson, readChain, readInput } from "./context.ts";
import { chainLines } from "./show.ts";

const GRANTS: NonNullable<Command["options"]> = {
  grant: { type: "string", short: "g", multiple: true, value: "SCOPE", help: "a grant as a scope string" },
  grants: {
    type: "string",
    value: "FILE",
    help: "grants as a JSON array, for those with rules on arguments; - for stdin",
  },
  to: { type: "string", value: "DID", help: "who is to hold it: a did:key or did:jwk" },
  ttl: { type: "string", value: "TIME", help: "how long it lives: 90s, 15m, 12h, 30d" },
  depth: { type: "string", value: "N", help: "how often it may be delegated further, 0 to 7 (default 0)" },
  epoch: { type: "string", value: "N", help: "epoch of the signing key (default 0)" },
  out: {
    type: "string",
    short: "o",
    value: "FILE",
    help: "write the capability there (mode 0600) instead of printing it",
  },
};

const issue: Command = {
  name: "cap issue",
  summary: "Issue a capability as a trust anchor",
  about: `A scope string reads <server>/<tool>:<classes>:<actions>:<resource>, resource * for any, =P exact, ^P prefix.
Signs offline; nothing is sent. The key is the operator's: --key, TALOS_KEY, or operator.json of the state folder.`,
  options: { key: IDENTITY.key!, aud: IDENTITY.aud!, ...GRANTS },
  examples: [
    "talos cap issue --to did:key:z6Mk… -g 'everything/echo:read:call:*' --ttl 1h",
    "talos cap issue --to did:key:z6Mk… --grants grants.json --ttl 30d --depth 2 -o agent.cap",
  ],
  run(context, values) {
    const grants = readGrants(context, values);
    if (grants.length === 0) throw new UsageError("give at least one --grant SCOPE, or --grants FILE");
    const chain = issueCapability({
      key: context.key("operator.json"),
      holder: required(values, "to"),
      aud: context.requireAud(),
      grants,
      ttl_seconds: duration(values, "ttl") ?? 3_600,
      depth: whole(values, "depth", 0, 7) ?? 0,
      epoch: whole(values, "epoch", 0, 2_147_483_647) ?? 0,
    });
    return give(context, values, chain);
  },
};

const narrow: Command = {
  name: "cap narrow",
  summary: "Hand on a narrower capability, offline",
  about: `Appends a link for another holder to the capability of --cap, signed with its holder's key. What would be wider than
the parent in any way is refused. Without grants the child gets the parent's.`,
  options: { ...IDENTITY, ...GRANTS },
  examples: [
    "talos cap narrow --to did:key:z6Mk… -g 'everything/echo:read:call:*' --ttl 15m -o sub-agent.cap",
    "talos cap narrow --to did:key:z6Mk… --grants - < grants.json",
  ],
  run(context, values) {
    const grants = readGrants(context, values);
    const aud = context.aud();
    const ttl = duration(values, "ttl");
    const chain = narrowCapability({
      key: context.key(),
      chain: context.chain(),
      holder: required(values, "to"),
      ...(grants.length > 0 ? { grants } : {}),
      ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
      ...(aud ? { aud } : {}),
      depth: whole(values, "depth", 0, 7) ?? 0,
      epoch: whole(values, "epoch", 0, 2_147_483_647) ?? 0,
    });
    return give(context, values, chain);
  },
};

const inspect: Command = {
  name: "cap inspect",
  usage: "[FILE]",
  summary: "Read a capability, link by link, without trusting it",
  positionals: [0, 1],
  options: { cap: IDENTITY.cap! },
  examples: ["talos cap inspect", "talos cap inspect sub-agent.cap --json", "talos cap inspect - < sub-agent.cap"],
  run(context, _values, [file]) {
    const links = inspectCapability(chainFrom(context, file));
    context.print({ links }, chainLines(links, Date.now()));
    return undefined;
  },
};

const verify: Command = {
  name: "cap verify",
  usage: "[FILE]",
  summary: "Verify a capability offline: signatures, structure, root, audience, times",
  about:
    "What is in force (revocations, roles, forbid rules) only the gateway knows. Exit code 1 when it is not valid.",
  positionals: [0, 1],
  options: {
    cap: IDENTITY.cap!,
    aud: IDENTITY.aud!,
    anchor: {
      type: "string",
      short: "a",
      multiple: true,
      value: "DID",
      help: "trusted issuer: a did:key or did:jwk, or did:web:…=<public key> (the local operator)",
    },
  },
  examples: ["talos cap verify", "talos cap verify sub-agent.cap --anchor did:key:z6Mk…"],
  run(context, values, [file]) {
    const chain = chainFrom(context, file);
    const aud = context.aud() ?? audienceOf(chain).aud;
    const anchors = list(values, "anchor").map(anchorFrom);
    const operator = context.state()?.operator;
    if (anchors.length === 0 && operator) anchors.push({ did: operator });
    if (anchors.length === 0) throw new UsageError("name whom you trust: --anchor DID");
    const result = verifyCapability({ chain, aud, anchors });
    if (result.ok) {
      context.print({ valid: true, aud }, `Valid for ${aud}.`);
      return EXIT.ok;
    }
    const { code, link, field } = result.decision;
    const where = `${link === undefined ? "" : ` at link ${link}`}${field ? `, field ${field}` : ""}`;
    context.print({ valid: false, aud, decision: result.decision }, `Not valid: ${code}${where}.`);
    return EXIT.refused;
  },
};

const scope: Command = {
  name: "cap scope",
  usage: "SCOPE|JSON|-",
  summary: "Turn a scope string into a grant, or a grant into its scope string",
  positionals: [1, 1],
  examples: [
    "talos cap scope 'everything/echo:read:call:*'",
    `talos cap scope '{"tool":"everything/echo","classes":["read"]}'`,
  ],
  run(context, _values, [given]) {
    const input = given === "-" ? readInput("-").trim() : given!;
    if (!input.startsWith("{")) {
      const found = grantFromScope(input);
      context.print({ grant: found }, JSON.stringify(found, null, 2));
      return undefined;
    }
    const value = scopeFromGrant(toGrant(parseJson(input, "the grant")));
    context.print({ scope: value }, value);
    return undefined;
  },
};

function chainFrom(context: Context, file: string | undefined): string {
  if (file === undefined) return context.chain();
  return readChain(file === "-" ? file : resolve(context.io.cwd, file));
}

function readGrants(context: Context, values: Values): GrantInit[] {
  const grants: GrantInit[] = list(values, "grant").map((scope) => grantFromScope(scope));
  const file = text(values, "grants");
  if (file !== undefined) {
    const parsed = parseJson(readInput(file === "-" ? file : resolve(context.io.cwd, file)), file);
    if (!Array.isArray(parsed)) throw new UsageError(`${file} is not a JSON array of grants`);
    grants.push(...parsed.map(toGrant));
  }
  return sortGrants(grants.map(grant));
}

function toGrant(value: unknown) {
  if (!isRecord(value) || typeof value.tool !== "string" || !Array.isArray(value.classes)) {
    throw new UsageError("a grant has at least `tool` and `classes`");
  }
  const checked = validate("capability/grant", grant(value as unknown as GrantInit));
  if (!checked.ok) throw new UsageError(`not a grant: ${checked.errors[0]}`);
  return checked.value;
}

function anchorFrom(given: string): Anchor {
  const at = given.indexOf("=");
  if (at < 0) return { did: given };
  return { did: given.slice(0, at), jwk: { crv: "Ed25519", kty: "OKP", x: given.slice(at + 1) } };
}

function required(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined) throw new UsageError(`--${name} is missing`);
  return value;
}

function give(context: Context, values: Values, chain: string): undefined {
  const out = text(values, "out");
  if (out === undefined) {
    context.print({ capability: chain }, chain);
    return;
  }
  // A capability is of no use without its holder's key; it still says what that holder may do, which is nobody's business.
  writeSecretFile(resolve(context.io.cwd, out), `${chain}\n`, { overwrite: true });
  const leaf = inspectCapability(chain).at(-1)!;
  const until = new Date(leaf.claims.exp * 1000).toISOString();
  context.print(
    { file: out, link: leaf.id, exp: leaf.claims.exp },
    `Wrote ${out}: held by ${leaf.claims.sub}, until ${until}.`,
  );
}

export const capCommands = [issue, narrow, inspect, verify, scope];
