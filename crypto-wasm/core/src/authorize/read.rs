//! Reads of a session under a MAC: all steps in one call, answered in bytes instead of JSON.
//!
//! The meaning is that of [`finish`], which this calls; only the answer has another form, and only where it can be short:
//! every other answer is left to the caller to print. Layout: crypto-wasm/read.ts.

use super::facts::Facts;
use super::{Decided, Finished, Memory, Mode, Site, Verdicts, finish, judge};
use crate::decide::{Decision, Resource};
use crate::grant::Class;
use crate::json::{self, Value};
use crate::mcp::Kind;
use crate::proof::Form;
use crate::registry::Keep;
use crate::revocation::{Answers, Revocations};
use crate::tickets::OpenTicket;
use crate::{Error, b64, frame, hash};

const RECEIPT: u8 = 1;
const WRITES: u8 = 2;
const MCP: u8 = 4;
const MCP_CALL: u8 = 8;
const KEEP_ARGS: u8 = 16;
const KEEP_RESULT: u8 = 32;

/// What an event needs of the facts of a read.
pub(super) struct Short<'a> {
    pub(super) class_of_need: Class,
    pub(super) tool: Option<&'a str>,
    pub(super) action: Option<&'a str>,
    pub(super) nonce: &'a str,
    pub(super) proof_hash: Option<&'a str>,
}

/// Whether `out` got the answer; if not, it is untouched and this is what there is to print.
pub enum Read<'a> {
    /// `out` holds it.
    Short,
    /// A look-up, somebody unauthenticated, or a request that is no single read of a session.
    Long(Finished<'a>),
}

/// As [`finish`] with [`Mode::First`] and no answers, for a request that carries a MAC.
///
/// With `record` the hash of the proof is among the facts: it covers the whole credential, and only the record needs it.
///
/// # Errors
/// As [`finish`].
pub fn read<'a>(
    frame: &'a [u8],
    site: &Site<'a>,
    revocations: &Revocations,
    memory: &mut Memory,
    record: bool,
    out: &mut Vec<u8>,
) -> Result<Read<'a>, Error> {
    let finished = finish(frame, site, revocations, memory, Verdicts::Given(&[]), &Answers::default(), Mode::First)?;
    if let Finished::Decided(Decided { decision, facts: Some(facts), inner }) = &finished
        && inner.is_empty()
        && write(decision, facts, record, out)
    {
        return Ok(Read::Short);
    }
    Ok(Read::Long(finished))
}

fn write(decision: &Decision, facts: &Facts<'_>, record: bool, out: &mut Vec<u8>) -> bool {
    let Facts { policy, surface, party, asked, .. } = facts;
    let Some(open) = party.session().filter(|_| party.proof.form == Form::SessionMac) else {
        return false;
    };
    let calls = facts.calls();
    if asked.batch || calls.len() > 1 {
        return false;
    }
    let message = asked.message.as_ref();
    let call = calls.first();
    let keep = call.and_then(|call| judge::keep(policy, call));
    let flags = [
        (asked.receipt, RECEIPT),
        (open.ticket.writes, WRITES),
        (message.is_some(), MCP),
        (message.is_some_and(crate::mcp::Message::is_call), MCP_CALL),
        (matches!(keep, Some(Keep::Args | Keep::Both)), KEEP_ARGS),
        (matches!(keep, Some(Keep::Result | Keep::Both)), KEEP_RESULT),
    ];
    let entry = call.and_then(|call| judge::entry(policy, call));
    // Unknown to the registry: what was asked, under the class that a refusal is admitted with.
    let class_of_need = entry.as_ref().map_or(Class::Read, |entry| entry.class);
    out.extend([
        facts.class() as u8,
        class_of_need as u8,
        flags.iter().filter(|(set, _)| *set).fold(0, |bits, (_, bit)| bits | bit),
        message.map_or(Kind::None, |message| message.kind) as u8,
    ]);
    out.extend(open.serial.to_le_bytes());
    out.extend(party.proof.params.expires.to_le_bytes());
    let (_, not_after) = party.times();
    out.extend(not_after.to_le_bytes());

    let refused = (!decision.allow()).then(|| json::print(&decision.value(true)));
    let need = call.zip(entry.as_ref()).map(|(call, entry)| judge::need(call, entry));
    let resource =
        need.as_ref().and_then(|need| if let Resource::Path(path) = need.resource { Some(path) } else { None });
    let printed = |value: &Value| json::print(value);
    let rates = judge::rate_classes(policy, surface, &asked.about);
    for text in [
        refused.as_deref(),
        rates.first().copied(),
        call.map(|call| call.tool.as_str()),
        call.map(|call| call.action.as_str()),
        resource,
        call.map(|call| json::print_members(&call.args)).as_deref(),
        Some(party.proof.params.nonce.as_str()),
        record.then(|| party.proof.hash()).as_deref(),
        Some(b64::encode(&hash::sha256(facts.body)).as_str()),
        message.and_then(|message| message.method.as_deref()),
        message.and_then(|message| message.name.as_deref()),
        message.and_then(|message| message.id.as_ref().map(printed)).as_deref(),
        message.and_then(|message| message.progress_token.as_ref().map(printed)).as_deref(),
    ] {
        frame::put(out, text.map(str::as_bytes));
    }
    true
}

/// What the facts of all requests of a session have in common, as fields in this order.
pub fn write_session(open: &OpenTicket, out: &mut Vec<u8>) {
    let lineage = &open.ticket.lineage;
    let id = b64::encode(&open.ticket.session_id);
    let ends = [&id, &lineage.sub, &lineage.root_sub, lineage.anchor(), &lineage.holder_jkt, &open.hash];
    for text in ends.into_iter().chain(lineage.links.iter().map(|link| link.id.as_str())) {
        frame::put(out, Some(text.as_bytes()));
    }
}
