//! The audit event of a read, from the facts that [`super::read`] wrote: built, hashed and sealed in one call.
//!
//! Source: contracts/spec/audit.md#event. Layout of the frame: crypto-wasm/read.ts.

use super::read::Short;
use crate::contract::surface;
use crate::event::{self, Sealed};
use crate::frame::Fields;
use crate::grant::Class;
use crate::json::{self, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::{Code, Error};

/// Characters of `decision.field` (audit/event-v2.schema.json): the caller chose the argument's name that stands in it.
const FIELD_CHARACTERS: usize = 160;

fn int(fields: &mut Fields<'_>, name: &str) -> Result<Value, Error> {
    let number = fields.opt_integer(name)?.and_then(|number| i64::try_from(number).ok());
    let number = number.filter(|number| *number <= MAX_SAFE_INTEGER);
    number.map(Value::Int).ok_or_else(|| Error::new(Code::RequestMalformed, "not an integer of JSON").at(name))
}

/// Seals the event of `frame`: what the caller adds, then the session's part, then the facts. `core`: hash of this core.
///
/// # Errors
/// `request.malformed` for another frame; as [`event::seal`].
pub fn seal_read(frame: &[u8], core: &str) -> Result<Sealed, Error> {
    let mut fields = Fields { rest: frame };
    let surface_id = fields.text("surface_id")?;
    let surface =
        surface(surface_id).ok_or_else(|| Error::new(Code::ContractInvalid, "an unknown surface").at("surface_id"))?;
    let [tenant, event_id, ts, request_id] =
        [fields.text("tenant")?, fields.text("event_id")?, fields.text("ts")?, fields.text("request_id")?];
    let mut http = vec![
        ("method", Value::str(surface.method)),
        ("path", Value::str(surface.path)),
        ("status_code", int(&mut fields, "status_code")?),
    ];
    if let (Some(hash), Some(kid)) = (fields.opt_text("client_ip_hash")?, fields.opt_text("client_ip_hash_key_id")?) {
        http.extend([
            ("client_ip_hash", Value::str(hash)),
            ("client_ip_hash_alg", Value::str("HMAC-SHA256")),
            ("client_ip_hash_key_id", Value::str(kid)),
        ]);
    }
    let in_force = [
        ("policy_hash", Value::str(fields.text("policy_hash")?)),
        ("policy_version", int(&mut fields, "policy_version")?),
        ("rev_seq", int(&mut fields, "rev_seq")?),
        ("rev_as_of_ms", int(&mut fields, "rev_as_of_ms")?),
        ("core_hash", Value::str(core)),
    ];
    let said = fields.opt_bytes("decision")?.map(json::parse_signed).transpose()?;
    let meta = json::parse_signed(fields.opt_bytes("meta")?.unwrap_or(b"{}"))?;
    let session = fields.opt_bytes("session")?.ok_or_else(|| missing("session"))?;
    let facts = fields.opt_bytes("facts")?.ok_or_else(|| missing("facts"))?;
    if !fields.rest.is_empty() {
        return Err(missing("frame"));
    }
    let short = Short::parse(facts)?;

    let mut fields = Fields { rest: session };
    let mut text = |name: &str| fields.text(name).map(Value::str);
    let (session_id, sub, root_sub) = (text("session_id")?, text("sub")?, text("root_sub")?);
    let (_anchor, jkt, capability_hash) = (text("anchor")?, text("jkt")?, text("capability_hash")?);
    let mut links = Vec::new();
    while !fields.rest.is_empty() {
        links.push(Value::str(fields.text("links")?));
    }

    let allowed = said.is_none();
    let decision = match said {
        None => vec![("allow".to_owned(), Value::Bool(true)), ("code".to_owned(), Value::str(Code::Ok.as_str()))],
        Some(Value::Obj(members)) => members.into_iter().filter_map(|(name, value)| shown(name, value)).collect(),
        Some(_) => return Err(missing("decision")),
    };
    let in_force = in_force.into_iter().map(|(name, value)| (name.to_owned(), value));
    let decision = Value::Obj(decision.into_iter().chain(in_force).collect());
    let resource = match (short.tool, short.action) {
        (Some(tool), Some(action)) => Value::obj([
            ("resource_type", Value::str("tool")),
            ("resource_id", Value::str(tool)),
            ("class", Value::str(short.class_of_need.as_str())),
            ("action", Value::str(action)),
        ]),
        _ => Value::obj([("resource_type", Value::str("surface")), ("resource_id", Value::str(surface_id))]),
    };
    event::seal(&Value::obj([
        ("schema_id", Value::str("talos.audit_event")),
        ("schema_version", Value::str("v2")),
        ("event_id", Value::str(event_id)),
        ("kind", Value::str("decision")),
        ("ts", Value::str(ts)),
        ("tenant", Value::str(tenant)),
        ("request_id", Value::str(request_id)),
        ("surface_id", Value::str(surface_id)),
        ("audit_action", Value::str(surface.audit_action.unwrap_or(surface_id))),
        ("outcome", Value::str(if allowed { "success" } else { "denied" })),
        (
            "principal",
            Value::obj([
                ("auth_mode", Value::str("session_mac")),
                ("did", sub),
                ("jkt", jkt),
                ("root_sub", root_sub),
                ("session_id", session_id),
            ]),
        ),
        ("http", Value::obj(http)),
        ("resource", resource),
        ("decision", decision),
        ("capability", Value::obj([("hash", capability_hash), ("links", Value::Arr(links))])),
        (
            "proof",
            Value::obj([
                ("form", Value::str("session_mac")),
                ("nonce", Value::str(short.nonce)),
                ("hash", Value::str(short.proof_hash.ok_or_else(|| missing("proof_hash"))?)),
            ]),
        ),
        ("meta", meta),
    ]))
}

fn missing(field: &str) -> Error {
    Error::new(Code::RequestMalformed, "not a frame of a read's event").at(field)
}

/// A member of a decision as an event has it: never what was asked for, and the field cut.
fn shown(name: String, value: Value) -> Option<(String, Value)> {
    match (name.as_str(), value) {
        ("field", Value::Str(text)) => Some((name, Value::Str(text.chars().take(FIELD_CHARACTERS).collect()))),
        ("allow" | "code" | "link" | "grant", value) => Some((name, value)),
        _ => None,
    }
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
