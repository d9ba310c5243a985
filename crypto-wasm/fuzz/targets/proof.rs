//! Request proofs: a proof holds for the request that it was made for and for no other.

use talos_core::proof::{self, Body, Form, Parts};

use super::world::{NOW, NOW_MS, jkt, key, lines, patched, seed};
use talos_core::json::Value;

const SESSION: [u8; 16] = [9; 16];
const MAC: [u8; 32] = [8; 32];
const HEADERS: [&str; 5] = ["mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "idempotency-key"];

/// Two patches: what is proved, and what is changed afterwards. With `ticket` and `mac` the proof is a MAC.
pub fn run(data: &[u8]) {
    let mut lines = lines(data);
    let base = Value::obj(
        [
            ("method", "POST"),
            ("uri", "https://talos.example/t/default/mcp/files"),
            ("capability", "AA.BB.CC"),
            ("body", "{}"),
        ]
        .map(|(name, value)| (name, Value::str(value))),
    );
    let Some(proved) = patched(base, lines.next().unwrap_or_default()) else { return };
    let created = u64::try_from(NOW).expect("a moment");
    let made = if proved.get("mac").is_some() {
        let sequence = proved.get("sequence").and_then(Value::as_u64).unwrap_or(1);
        proof::authenticate(&parts(&proved), &SESSION, &MAC, created, created + 60, sequence)
    } else {
        proof::sign(&parts(&proved), &seed(2), &jkt(2), created, created + 60, &[3; 16])
    };
    let Ok(made) = made else { return };
    let with_proof = [
        ("digest", made.content_digest.as_str()),
        ("input", made.signature_input.as_str()),
        ("signature", made.signature.as_str()),
    ];
    let Value::Obj(mut members) = proved.clone() else { return };
    members.retain(|(name, _)| !with_proof.iter().any(|(own, _)| own == name));
    members.extend(with_proof.map(|(name, value)| (name.to_owned(), Value::str(value))));
    let whole = Value::Obj(members);
    assert!(holds(&whole, NOW_MS), "what was made holds");

    let change = lines.next().unwrap_or_default();
    let Some(changed) = patched(whole.clone(), change) else { return };
    let now_ms = changed.get("now_ms").and_then(Value::as_u64).unwrap_or(NOW_MS);
    if holds(&changed, now_ms) {
        assert_eq!(meaning(&changed), meaning(&whole), "a proof for another request");
        assert!(now_ms / 1_000 < created + 60 && now_ms / 1_000 + 60 >= created);
    }
}

/// What the request says: outer spaces of headers are not part of it.
fn meaning(request: &Value) -> Vec<Option<&str>> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let header = |name: &str| text(name).map(|value| value.trim_matches([' ', '\t']));
    let exact = ["method", "uri", "body", "input", "signature"].map(text);
    let loose = ["capability", "ticket", "digest"].map(header);
    exact.into_iter().chain(loose).chain(HEADERS.map(header)).collect()
}

fn parts(request: &Value) -> Parts<'_> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    Parts {
        method: text("method").unwrap_or_default(),
        target_uri: text("uri").unwrap_or_default(),
        content_digest: text("digest"),
        capability: text("capability"),
        ticket: text("ticket"),
        mcp_session_id: text("mcp-session-id"),
        mcp_method: text("mcp-method"),
        mcp_name: text("mcp-name"),
        last_event_id: text("last-event-id"),
        idempotency_key: text("idempotency-key"),
        body: match text("elsewhere") {
            Some(_) => Body::Elsewhere,
            None => Body::Bytes(text("body").unwrap_or_default().as_bytes()),
        },
    }
}

fn holds(request: &Value, now_ms: u64) -> bool {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let Ok(proof) = proof::check(&parts(request), text("input"), text("signature"), now_ms) else { return false };
    if proof.form == Form::SessionMac {
        proof.authenticated_by(&SESSION, &MAC).is_ok()
    } else {
        proof.signed_by(&key(2), &jkt(2)).is_ok_and(|check| check.verify())
    }
}
