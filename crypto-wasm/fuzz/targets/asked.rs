//! A request as an input says it: what differs from a valid one, what is changed after it was proved, and its body.

use talos_core::frame::Request;
use talos_core::json::{self, Value};
use talos_core::proof::{self, Body, Parts};
use talos_core::seal::Purpose;
use talos_core::session::MacKey;
use talos_core::ticket::Ticket;
use talos_core::{chain::Chain, lineage::Lineage};

use super::ticket::{CORE, ring};
use super::world::{AUD, NOW, NOW_MS, TENANT, chain_of, jkt, patched, seed, trust};

const MAC: [u8; 32] = [8; 32];
pub const SESSION: [u8; 16] = [7; 16];

/// After `~` a frame as it travels. Otherwise the first line says what the request is (a patch of `base`), the second what is
/// changed after it was proved, and the rest is the body.
pub fn frame_of(data: &[u8]) -> Option<Vec<u8>> {
    if let Some(frame) = data.strip_prefix(b"~") {
        return Some(frame.to_vec());
    }
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (patch, change, body) = (next(), next(), next());
    let proved = prove(patched(base(), patch)?, body)?;
    let changed = patched(proved, change)?;
    let frame = request(&changed, body).write();
    if let Ok(read) = Request::read(&frame) {
        assert_eq!(read.write(), frame);
    }
    Some(frame)
}

/// `form`: `chain`, `ticket`, `mac` or nothing. `links`: a list of patches of the chain's claims.
fn base() -> Value {
    let members = [
        ("surface", "mcp.post"),
        ("method", "POST"),
        ("uri", "https://talos.example/t/default/mcp/files"),
        ("tenant", TENANT),
        ("aud", AUD),
        ("server", "files"),
        ("form", "chain"),
    ];
    Value::obj(members.map(|(name, value)| (name, Value::str(value))))
}

fn chain_for(asked: &Value) -> (String, u8) {
    let links: Vec<String> = match asked.get("links") {
        Some(Value::Arr(links)) if !links.is_empty() => links.iter().take(8).map(json::print).collect(),
        _ => vec!["{}".into()],
    };
    let holder = u8::try_from(links.len() + 1).unwrap_or(2);
    (chain_of(links.iter().map(String::as_bytes)), holder)
}

fn prove(asked: Value, body: &[u8]) -> Option<Value> {
    let (chain, holder) = chain_for(&asked);
    let form = asked.get("form").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Value::Obj(mut members) = asked else { return None };
    let mut put = |name: &str, text: String| {
        members.retain(|(own, _)| own != name);
        members.push((name.to_owned(), Value::Str(text)));
    };
    match form.as_str() {
        "chain" => put("talos-capability", chain),
        "ticket" | "mac" => {
            let read = Chain::parse(&chain).ok()?;
            let lineage = Lineage::of_chain(&read, &trust()).ok()?;
            let ticket = Ticket {
                session_id: SESSION,
                tenant: TENANT.into(),
                aud: AUD.into(),
                nbf: 1_000,
                exp: 2_000,
                lineage,
                writes: true,
                grants: read.leaf().ok()?.claims.grants.clone(),
                core: CORE.into(),
                mac: MacKey::new(MAC),
            };
            put("talos-ticket", ticket.seal(&ring(Purpose::Ticket), &[1; 32]).ok()?);
        }
        _ => return Some(Value::Obj(members)),
    }
    let whole = Value::Obj(members);
    let asked = request(&whole, body);
    let parts = Parts {
        method: asked.method,
        target_uri: asked.target_uri,
        content_digest: None,
        capability: asked.capability,
        ticket: asked.ticket,
        mcp_session_id: asked.mcp_session_id,
        mcp_method: asked.mcp_method,
        mcp_name: asked.mcp_name,
        last_event_id: asked.last_event_id,
        idempotency_key: asked.idempotency_key,
        body: Body::Bytes(body),
    };
    let created = NOW.unsigned_abs();
    let headers = if form == "mac" {
        proof::authenticate(&parts, &SESSION, &MAC, created, created + 60, 5)
    } else {
        proof::sign(&parts, &seed(holder), &jkt(holder), created, created + 60, &[3; 16])
    };
    let headers = headers.ok()?;
    let Value::Obj(mut members) = whole else { return None };
    for (name, text) in [
        ("content-digest", headers.content_digest),
        ("signature-input", headers.signature_input),
        ("signature", headers.signature),
    ] {
        members.retain(|(own, _)| own != name);
        members.push((name.to_owned(), Value::Str(text)));
    }
    Some(Value::Obj(members))
}

fn request<'a>(of: &'a Value, body: &'a [u8]) -> Request<'a> {
    let text = |name: &str| of.get(name).and_then(Value::as_str);
    Request {
        surface: text("surface").unwrap_or_default(),
        method: text("method").unwrap_or_default(),
        target_uri: text("uri").unwrap_or_default(),
        tenant: text("tenant").unwrap_or_default(),
        aud: text("aud").unwrap_or_default(),
        server: text("server"),
        capability: text("talos-capability"),
        ticket: text("talos-ticket"),
        signature_input: text("signature-input"),
        signature: text("signature"),
        content_digest: text("content-digest"),
        mcp_session_id: text("mcp-session-id"),
        mcp_method: text("mcp-method"),
        mcp_name: text("mcp-name"),
        last_event_id: text("last-event-id"),
        idempotency_key: text("idempotency-key"),
        now_ms: of.get("now_ms").and_then(Value::as_u64).unwrap_or(NOW_MS),
        head_as_of_ms: match of.get("head_as_of_ms") {
            Some(Value::Bool(false)) => None,
            other => Some(other.and_then(Value::as_u64).unwrap_or(NOW_MS - 1_000)),
        },
        body,
    }
}
