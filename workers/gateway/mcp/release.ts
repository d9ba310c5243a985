/**
 * The gate on the way down: an upstream's response reaches the caller only when it is matched to a call of this very
 * caller and, where the call has an intent, its outcome is durable. Requests and notifications of the server pass.
 * Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25, contracts/spec/audit.md#order.
 */
import { TalosError } from "@talos/contracts";
import { PublicError, rpcErrorText } from "../../shared/errors.ts";
import type { AppContext } from "../../shared/ports.ts";
import type { Evaluation } from "../authorize.ts";
import type { Meta } from "../events.ts";
import { type Call, type Caller, openCall } from "./call-id.ts";
import { shownResult } from "./lists.ts";
import { readMessage, replaceMember, type UpstreamMessage } from "./message.ts";
import { type CallRecord, type Ending, recordOutcome, unrecordedCode } from "./outcome.ts";

export interface Released {
  /** what to send down, or null when it may not pass */
  text: string | null;
  /** the call that this answers; its outcome is durable, or `text` says that it is not */
  answered?: Call;
  /** the outcome could not be made durable: `text` is the error to show instead of the answer */
  failure?: TalosError;
}

export interface Gate {
  c: AppContext;
  evaluation: Evaluation;
  caller: Caller;
  server: string;
  /** the call of this POST, if it has an intent */
  record?: CallRecord;
  meta: Meta;
}

/**
 * Judge one message of the upstream.
 * @throws `upstream.invalid` for what is no JSON-RPC message; what the log says when a read's intent cannot be recorded
 */
export async function releaseMessage(gate: Gate, text: string, upstreamStatus: number): Promise<Released> {
  const message = readMessage(text);
  if (message === null) throw new TalosError("upstream.invalid", { why: "no JSON-RPC message", server: gate.server });
  if (message.kind !== "response") return { text };
  const { evaluation, caller } = gate;
  const call = openCall(evaluation.asker.config.mcp, message.value.id as string, caller, Date.now());
  if (call === null) {
    evaluation.asker.config.log("warn", "mcp.unmatched_response", { server: gate.server, tenant: caller.tenant });
    return { text: null };
  }
  if (call.intent !== undefined) {
    const failure = await recordAnswer(gate, call, message, upstreamStatus);
    if (failure !== undefined)
      return { text: rpcErrorText(failure, gate.c.get("request_id"), call.id), answered: call, failure };
  }
  return { text: shown(evaluation, call, message), answered: call };
}

/** The member of a response that the caller is after, as it came. */
const answerText = (message: UpstreamMessage): string => {
  const span = message.spans.get("result") ?? message.spans.get("error")!;
  return message.text.slice(span.start, span.end);
};

async function recordAnswer(
  gate: Gate,
  call: Call,
  message: UpstreamMessage,
  upstreamStatus: number,
): Promise<TalosError | undefined> {
  const result = answerText(message);
  const isError =
    message.spans.has("error") || (message.value.result as { isError?: unknown } | null)?.isError === true;
  const ending: Ending = {
    state: message.spans.has("error") ? "failed" : "confirmed",
    status: 200,
    upstream_status: upstreamStatus,
    result,
    meta: { result_is_error: isError, result_bytes: result.length },
  };
  // A response to an earlier POST arrives on a resumed stream: its record is rebuilt from what its id carries.
  const record: CallRecord =
    gate.record !== undefined && gate.record.intent === call.intent
      ? gate.record
      : {
          c: gate.c,
          evaluation: gate.evaluation,
          server: gate.server,
          intent: call.intent!,
          started_ms: Date.now(),
          salt: call.salt,
          keep: call.keep === true ? "result" : undefined,
          meta: gate.meta,
        };
  try {
    await recordOutcome(record, ending);
    return undefined;
  } catch (cause) {
    if (record.unrecorded !== undefined) throw record.unrecorded;
    const code = unrecordedCode(cause);
    const error = new PublicError(code, { intent_id: call.intent! }, { server: gate.server }, { cause });
    gate.evaluation.asker.config.log("error", "mcp.outcome_unrecorded", { intent: call.intent, error });
    return error;
  }
}

function shown(evaluation: Evaluation, call: Call, message: UpstreamMessage): string {
  const result = message.spans.has("result") ? shownResult(evaluation, call.method, message.value.result) : null;
  if (result === null) return replaceMember(message, "id", call.id);
  return `{"jsonrpc":"2.0","id":${call.id},"result":${JSON.stringify(result)}}`;
}
