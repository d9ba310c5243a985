import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Context } from "./context.ts";

/** Exit codes; `talos --help` prints this table. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unavailable: 3 } as const;

export type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

export interface Command {
  /** the words that select it, e.g. `cap issue` */
  name: string;
  /** what follows the name in the usage line */
  usage?: string;
  summary: string;
  /** further lines for `--help` */
  about?: string;
  options?: Record<
    string,
    { type: "string" | "boolean"; short?: string; multiple?: boolean; value?: string; help: string }
  >;
  /** how many positional arguments it takes, at least and at most */
  positionals?: [number, number];
  examples: string[];
  /** @returns the exit code; 0 when nothing is returned */
  run(context: Context, values: Values, positionals: string[]): Promise<number | undefined> | number | undefined;
}

/** Wrong use of the command: exit code 2, with a pointer to its help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What every command takes. */
export const COMMON: NonNullable<Command["options"]> = {
  help: { type: "boolean", short: "h", help: "show this help" },
  json: { type: "boolean", help: "print one JSON value instead of text" },
  state: { type: "string", value: "DIR", help: "state folder (TALOS_STATE; the nearest .talos)" },
};

/** For commands that talk to a gateway or sign. */
export const IDENTITY: NonNullable<Command["options"]> = {
  key: { type: "string", short: "k", value: "FILE", help: "private key, a JWK with mode 0600 (TALOS_KEY; agent.json)" },
  cap: { type: "string", short: "c", value: "FILE", help: "capability, - for standard input (TALOS_CAP; agent.cap)" },
  aud: { type: "string", value: "URL", help: "tenant to talk to, <origin>/t/<tenant> (TALOS_AUD; the capability's)" },
};

/** @throws UsageError for unknown options and wrong counts */
export function parse(command: Command, args: string[]): { values: Values; positionals: string[] } {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { type, short, multiple }] of Object.entries({ ...COMMON, ...command.options })) {
    options[name] = { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) };
  }
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true }) as typeof parsed;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const [least, most] = command.positionals ?? [0, 0];
  const count = parsed.positionals.length;
  if (parsed.values.help !== true && (count < least || count > most)) {
    throw new UsageError(
      count < least ? "an argument is missing" : `one argument too many: ${parsed.positionals[most]}`,
    );
  }
  return parsed;
}

export function help(command: Command): string {
  const lines = [
    `${command.summary}.`,
    "",
    `  talos ${command.name}${command.usage ? ` ${command.usage}` : ""} [options]`,
    "",
  ];
  if (command.about) lines.push(...command.about.trim().split("\n"), "");
  const rows = Object.entries({ ...command.options, ...COMMON }).map(([name, option]): [string, string] => [
    `${option.short ? `-${option.short}, ` : "    "}--${name}${option.value ? ` ${option.value}` : ""}`,
    option.multiple ? `${option.help} (repeatable)` : option.help,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  lines.push("Options:", ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`), "", "Examples:");
  lines.push(...command.examples.map((example) => `  ${example}`));
  return `${lines.join("\n")}\n`;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

export function list(values: Values, name: string): string[] {
  const value = values[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** A whole number of an option. @throws UsageError */
export function whole(values: Values, name: string, least: number, most: number): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d{1,10}$/.test(value) || number < least || number > most) {
    throw new UsageError(`--${name} is a whole number from ${least} to ${most}`);
  }
  return number;
}

/** `90`, `90s`, `15m`, `12h`, `30d` → seconds. @throws UsageError */
export function duration(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const match = /^(\d{1,9})([smhd]?)$/.exec(value);
  if (!match || Number(match[1]) === 0) throw new UsageError(`--${name} is a time like 90s, 15m, 12h or 30d`);
  return Number(match[1]) * { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 }[match[2] as "" | "s" | "m" | "h" | "d"];
}
