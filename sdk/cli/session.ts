import { type Command, IDENTITY } from "./command.ts";

export const sessionCommand: Command = {
  name: "session",
  summary: "Open a session and show what the gateway says of it",
  about: `Checks key, capability, clock and gateway in one go: the gateway's signed statement is verified against its DID document.
The session ends with the command; the other commands open their own. Ticket and MAC key are never printed.`,
  options: { ...IDENTITY, reads: { type: "boolean", help: "ask for a session that can only read" } },
  examples: ["talos session", "talos session --cap sub-agent.cap --key sub-agent.json"],
  async run(context, values) {
    const client = context.client(undefined, { writes: values.reads !== true });
    const gateway = await client.gateway();
    const session = (await client.transport.session()).toJSON();
    const until = new Date(session.expires_at * 1000).toISOString();
    context.print({ ...session, aud: client.aud, gateway: gateway.did }, [
      `session  ${session.session_id}`,
      `tenant   ${client.aud}`,
      `gateway  ${gateway.did} (statement verified)`,
      `until    ${until}`,
      `writes   ${session.writes ? "yes" : "no"}`,
    ]);
    return undefined;
  },
};
