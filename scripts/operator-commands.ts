/**
 * Commands of `talos` that only an operator's checkout has: they reach the database itself, which the SDK's package must not
 * (.dependency-cruiser.cjs). `sdk/bin/talos.js` adds them where this file is.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LIMITS } from "@talos/contracts";
import { type Command, IDENTITY, list, text, UsageError } from "../sdk/cli/command.ts";
import { type Context, readInput } from "../sdk/cli/context.ts";

const auditRebuild: Command = {
  name: "audit rebuild",
  summary: "Make the projection in Postgres again out of the published log",
  about:
    "An operator's command: it needs the database's credentials, and a grant for talos/audit.events. It writes what the\n" +
    "projection of one tenant's log lacks, from where its cursor stands; each event is first proved to be in the signed head\n" +
    "of its tree. Stopped, it goes on from there; beside the Worker or another run every event is still written once.",
  options: {
    ...IDENTITY,
    reset: {
      type: "boolean",
      help: "first empty the projection, of ALL logs; the Worker writes the others again at their next event",
    },
    policy: {
      type: "string",
      short: "p",
      multiple: true,
      value: "FILE",
      help: "a policy to verify the log with, one for each of its trees; default: what the log says of itself",
    },
    "database-url": { type: "string", value: "URL", help: "the database (DATABASE_URL; the local stack's)" },
    endpoint: {
      type: "string",
      value: "URL",
      help: "a local database endpoint (TALOS_DATABASE_ENDPOINT; the local stack's)",
    },
  },
  examples: [
    "talos audit rebuild",
    "talos audit rebuild --reset",
    "DATABASE_URL=… talos audit rebuild --cap reader.cap --key reader.json --policy policy.txt",
  ],
  async run(context, values) {
    const { env } = context.io;
    const local = localDatabase(context);
    const databaseUrl = text(values, "database-url") ?? env.DATABASE_URL ?? local?.url;
    if (!databaseUrl) throw new UsageError("no database: give --database-url URL or DATABASE_URL, or run `npm start`");
    // The local endpoint leads to the local database: another one that is named is not reached through it.
    const own = databaseUrl === local?.url ? local.endpoint : undefined;
    const endpoint = text(values, "endpoint") ?? env.TALOS_DATABASE_ENDPOINT ?? own;
    const policies = list(values, "policy").map((file) => readInput(file, LIMITS.policy_text_bytes));
    const client = context.client();
    const { rebuild } = await import("./rebuild.ts"); // the database's client is loaded by this command alone
    let shown = -1;
    const { written, size } = await rebuild({
      client,
      databaseUrl,
      reset: values.reset === true,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(policies.length === 0 ? {} : { policies }),
      onProgress(done, of) {
        const percent = Math.floor((100 * done) / of);
        if (percent !== shown) context.io.err(`${done} of ${of} events, ${percent} %\n`);
        shown = percent;
      },
    });
    context.print({ written, size }, `the projection holds all ${size} published events; ${written} were written now`);
    return undefined;
  },
};

/** The database of the local stack, as `npm start` wrote it down. */
function localDatabase(context: Context): { url: string; endpoint: string } | undefined {
  if (context.state() === null) return undefined;
  const state = JSON.parse(readFileSync(join(context.stateDir()!, "state.json"), "utf8")) as {
    database?: { url: string; endpoint: string };
  };
  return state.database;
}

export const operatorCommands = [auditRebuild];
