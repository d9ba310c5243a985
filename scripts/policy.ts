import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadKey } from "@talos/sdk/node";
import { checkPolicy, PolicyFileError } from "./policy/check.ts";
import { PublishError, publishPolicy } from "./policy/publish.ts";

export { PolicyFileError, PublishError, publishPolicy };

const USAGE = `usage: npm run policy -- check FILE
       npm run policy -- publish FILE [options]

FILE is a policy snapshot without "version" (contracts/schemas/policy/snapshot.schema.json).

  --aud URL            <origin>/t/{tenant} of the gateway
  --key FILE           the publisher's private JWK
  --database-url URL   default: DATABASE_URL
  --endpoint URL       a running local database endpoint; default: TALOS_DATABASE_ENDPOINT
  --state DIR          where a local stack keeps its state, for whatever is not given; default: .talos
  --version N          the number to publish under, when it cannot be found out

exit codes: 0 in force, 1 refused, 2 wrong usage`;

/** What a local stack leaves in its state folder for commands like this one. */
interface StackState {
  aud?: string;
  database?: { url: string; endpoint: string };
}

const OPTIONS = {
  aud: { type: "string" },
  key: { type: "string" },
  "database-url": { type: "string" },
  endpoint: { type: "string" },
  state: { type: "string", default: ".talos" },
  version: { type: "string" },
  help: { type: "boolean" },
} as const;

class UsageError extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.help) return console.log(USAGE);
  const [command, file] = positionals;
  if (file === undefined || positionals.length !== 2) throw new UsageError("a command and a file are needed");
  const policy: unknown = JSON.parse(readFileSync(file, "utf8"));
  const tenant = String((policy as { tenant?: unknown } | null)?.tenant);
  if (command === "check") {
    checkPolicy(policy, tenant);
    return console.log(`${file}: shape and references are right`);
  }
  if (command !== "publish") throw new UsageError(`unknown command ${command}`);

  const stateFile = join(values.state, "state.json");
  const state: StackState = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, "utf8")) : {};
  const databaseUrl = given(
    "--database-url",
    values["database-url"] ?? process.env.DATABASE_URL ?? state.database?.url,
  );
  const endpoint = values.endpoint ?? process.env.TALOS_DATABASE_ENDPOINT ?? state.database?.endpoint;
  const { version, hash, repeated } = await publishPolicy({
    aud: given("--aud", values.aud ?? state.aud),
    tenant,
    policy,
    publisher: loadKey(values.key ?? join(values.state, "publisher.json")),
    databaseUrl,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(values.version === undefined ? {} : { version: positive(values.version) }),
  });
  console.log(`${tenant}: policy version ${version} ${repeated ? "is" : "is now"} in force, ${hash}`);
}

function given(option: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`${option} is needed`);
  return value;
}

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError("--version is a whole number from 1");
  return number;
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    console.error(usage ? `${(error as Error).message}\n\n${USAGE}` : (error as Error).message);
    process.exitCode = usage ? 2 : 1;
  }
}
