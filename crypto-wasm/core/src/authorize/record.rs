//! The audit event of a read, from the facts that [`super::read`] wrote: built, hashed and sealed in one call.
//!
//! Source: contracts/spec/audit.md#event. Layout of the frame: crypto-wasm/read.ts.

use super::read::Short;
use crate::contract::surface;
use crate::event::{self, Sealed};
use crate::frame::Fields;
use crate::grant::Class;
use crate::json::{self, Value, Writer};
use crate::limits::MAX_SAFE_INTEGER;
use crate::{Code, Error};

/// Characters of `decision.field` (audit/event-v2.schema.json): the caller chose the argument's name that stands in it.
const FIELD_CHARACTERS: usize = 160;

fn int(fields: &mut Fields<'_>, name: &str) -> Result<Value, Error> {
    let number = fields.opt_integer(name)?.and_then(|number| i64::try_from(number).ok());
    let number = number.filter(|number| *number <= MAX_SAFE_INTEGER);
    number.map(Value::Int).ok_or_else(|| missing(name))
}

fn missing(field: &str) -> Error {
    Error::new(Code::RequestMalformed, "not a frame of a read's event").at(field)
}

/// Seals the event of `frame`: what the caller adds, then the session's part, then the facts. `core`: hash of this core.
///
/// Members are written in their canonical order at once; that it is the one of [`event::seal`], a test says.
///
/// # Errors
/// `request.malformed` for another frame; as [`event::seal`].
pub fn seal_read(frame: &[u8], core: &str) -> Result<Sealed, Error> {
    let mut fields = Fields { rest: frame };
    let surface_id = fields.text("surface_id")?;
    let surface =
        surface(surface_id).ok_or_else(|| Error::new(Code::ContractInvalid, "an unknown surface").at("surface_id"))?;
    let (tenant, event_id) = (fields.text("tenant")?, fields.text("event_id")?);
    let (ts, request_id) = (fields.text("ts")?, fields.text("request_id")?);
    let status = int(&mut fields, "status_code")?;
    let (ip_hash, ip_kid) = (fields.opt_text("client_ip_hash")?, fields.opt_text("client_ip_hash_key_id")?);
    let policy_hash = fields.text("policy_hash")?;
    let (policy_version, rev_seq) = (int(&mut fields, "policy_version")?, int(&mut fields, "rev_seq")?);
    let rev_as_of_ms = int(&mut fields, "rev_as_of_ms")?;
    let said = fields.opt_bytes("decision")?.map(json::parse_signed).transpose()?;
    let meta = json::parse_signed(fields.opt_bytes("meta")?.unwrap_or(b"{}"))?;
    let mut session = Fields { rest: fields.opt_bytes("session")?.ok_or_else(|| missing("session"))? };
    let short = Short::parse(fields.opt_bytes("facts")?.ok_or_else(|| missing("facts"))?)?;
    if !fields.rest.is_empty() {
        return Err(missing("frame"));
    }
    let (session_id, sub, root_sub) = (session.text("session_id")?, session.text("sub")?, session.text("root_sub")?);
    let (_, jkt) = (session.text("anchor")?, session.text("jkt")?);

    let mut out = Writer::new();
    out.text("audit_action", surface.audit_action.unwrap_or(surface_id));
    out.open("capability");
    out.text("hash", session.text("capability_hash")?);
    let mut links = Vec::new();
    while !session.rest.is_empty() {
        links.push(Value::str(session.text("links")?));
    }
    out.value("links", &Value::Arr(links));
    out.close();
    out.open("decision");
    write_decision(&mut out, said.as_ref(), core)?;
    out.text("policy_hash", policy_hash);
    out.value("policy_version", &policy_version);
    out.value("rev_as_of_ms", &rev_as_of_ms);
    out.value("rev_seq", &rev_seq);
    out.close();
    let before_hash = out.take();

    out.text("event_id", event_id);
    out.open("http");
    if let (Some(hash), Some(kid)) = (ip_hash, ip_kid) {
        out.text("client_ip_hash", hash);
        out.text("client_ip_hash_alg", "HMAC-SHA256");
        out.text("client_ip_hash_key_id", kid);
    }
    out.text("method", surface.method);
    out.text("path", surface.path);
    out.value("status_code", &status);
    out.close();
    out.text("kind", "decision");
    let before_meta = out.take();

    out.text("outcome", if said.is_none() { "success" } else { "denied" });
    out.open("principal");
    for (name, text) in
        [("auth_mode", "session_mac"), ("did", sub), ("jkt", jkt), ("root_sub", root_sub), ("session_id", session_id)]
    {
        out.text(name, text);
    }
    out.close();
    out.open("proof");
    out.text("form", "session_mac");
    out.text("hash", short.proof_hash.ok_or_else(|| missing("proof_hash"))?);
    out.text("nonce", short.nonce);
    out.close();
    out.text("request_id", request_id);
    out.open("resource");
    if let (Some(tool), Some(action)) = (short.tool, short.action) {
        out.text("action", action);
        out.text("class", short.class_of_need.as_str());
        out.text("resource_id", tool);
        out.text("resource_type", "tool");
    } else {
        out.text("resource_id", surface_id);
        out.text("resource_type", "surface");
    }
    out.close();
    out.text("schema_id", "talos.audit_event");
    out.text("schema_version", "v2");
    out.text("surface_id", surface_id);
    out.text("tenant", tenant);
    out.text("ts", ts);
    out.close();
    event::seal_printed(event_id, surface, &meta, [&before_hash, &before_meta, &out.take()])
}

/// The members of a decision up to `link`, never what was asked for; without `said` it allowed.
fn write_decision(out: &mut Writer, said: Option<&Value>, core_hash: &str) -> Result<(), Error> {
    let member = |name: &str| said.and_then(|said| said.get(name));
    let (allow, code) = match said {
        None => (true, Code::Ok.as_str()),
        Some(_) => (
            member("allow").and_then(Value::as_bool).ok_or_else(|| missing("decision"))?,
            member("code").and_then(Value::as_str).ok_or_else(|| missing("decision"))?,
        ),
    };
    out.value("allow", &Value::Bool(allow));
    out.text("code", code);
    out.text("core_hash", core_hash);
    if let Some(field) = member("field").and_then(Value::as_str) {
        let end = field.char_indices().nth(FIELD_CHARACTERS).map_or(field.len(), |(at, _)| at);
        out.text("field", field.get(..end).unwrap_or_default());
    }
    for name in ["grant", "link"] {
        if let Some(index @ Value::Int(_)) = member(name) {
            out.value(name, index);
        }
    }
    Ok(())
}

impl Short<'_> {
    /// Reads what [`super::read`] wrote, as far as an event has it.
    fn parse(bytes: &[u8]) -> Result<Short<'_>, Error> {
        let (head, rest) = bytes.split_first_chunk::<24>().ok_or_else(|| missing("facts"))?;
        let class = Class::ALL.into_iter().find(|class| Some(&(*class as u8)) == head.get(1));
        let mut fields = Fields { rest };
        fields.opt_bytes("decision")?;
        fields.opt_bytes("rate_class")?;
        let (tool, action) = (fields.opt_text("tool")?, fields.opt_text("action")?);
        fields.opt_bytes("resource")?;
        fields.opt_bytes("args_json")?;
        let nonce = fields.text("nonce")?;
        let proof_hash = fields.opt_text("proof_hash")?;
        Ok(Short { class_of_need: class.ok_or_else(|| missing("class"))?, tool, action, nonce, proof_hash })
    }
}
