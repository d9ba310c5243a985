/**
 * What a caller is shown: lists hold what it may use, `initialize` offers no tasks.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.
 */
import { filterList, type ToolClass } from "@talos/core";
import { type Evaluation, frameOf } from "../authorize.ts";

interface Listed {
  member: "tools" | "resources" | "resourceTemplates" | "prompts";
  kind: Parameters<typeof filterList>[4];
  name: "name" | "uri" | "uriTemplate";
}

const LISTS: Readonly<Record<string, Listed>> = {
  "tools/list": { member: "tools", kind: "tools", name: "name" },
  "resources/list": { member: "resources", kind: "resources", name: "uri" },
  "resources/templates/list": { member: "resourceTemplates", kind: "resource_templates", name: "uriTemplate" },
  "prompts/list": { member: "prompts", kind: "prompts", name: "name" },
};

type Entry = Record<string, unknown>;

/**
 * The result to show in place of an upstream's, or null when it may pass as it is.
 * @throws nothing for a malformed list: entries without a name are not shown
 */
export function shownResult(evaluation: Evaluation, method: string, result: unknown): unknown {
  if (typeof result !== "object" || result === null) return null;
  const own = result as Record<string, unknown>;
  if (method === "initialize") return withoutTasks(own);
  const list = LISTS[method];
  if (list === undefined) return null;
  const given: unknown[] = Array.isArray(own[list.member]) ? (own[list.member] as unknown[]) : [];
  const entries = given.filter(
    (entry): entry is Entry =>
      typeof entry === "object" && entry !== null && typeof (entry as Entry)[list.name] === "string",
  );
  const names = entries.map((entry) => entry[list.name] as string);
  const { generation, verdicts, asker } = evaluation;
  const { allowed, classes } = filterList(
    frameOf(evaluation),
    generation.policy,
    asker.config.tickets,
    verdicts,
    list.kind,
    names,
  );
  const shown = entries.flatMap((entry, i) => (allowed[i] === true ? [withClass(entry, classes[i] ?? null)] : []));
  return { ...own, [list.member]: shown };
}

function withClass(entry: Entry, toolClass: ToolClass | null): Entry {
  if (toolClass === null) return entry;
  const meta = typeof entry._meta === "object" && entry._meta !== null ? entry._meta : {};
  return { ...entry, _meta: { ...meta, "talos/class": toolClass } };
}

/** Tasks outlive their request and would be answered outside of intent and outcome: they are not offered. */
function withoutTasks(result: Record<string, unknown>): unknown {
  const { capabilities } = result;
  if (typeof capabilities !== "object" || capabilities === null) return null;
  const { tasks: _withheld, ...kept } = capabilities as Record<string, unknown>;
  return { ...result, capabilities: kept };
}
