//! Audit events: the allow-list of `meta`, the hash of an event and of its leaf.
//!
//! Source: contracts/spec/audit.md#event, RFC 6962 §2.1.

use crate::contract::limits::{EVENT_BYTES, META_ENTRIES, META_NAME_BYTES, META_STRING_BYTES};
use crate::contract::{Surface, surface};
use crate::hash::{hex, sha256, sha256_parts};
use crate::json::{self, Value};
use crate::table;
use crate::{Code, Error, uuidv7};

const SCHEMA_ID: &str = "talos.audit_event";
/// Separates leaves from nodes in RFC 6962.
const LEAF: &[u8] = &[0];
/// Says that names were removed.
const REDACTED: &str = "meta_redaction_applied";
/// Says which.
const REDACTED_KEYS: &str = "meta_redacted_keys";

/// An event in its final form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Chosen once by the caller.
    pub event_id: String,
    /// Canonical JSON with `event_hash`: the leaf.
    pub body: String,
    /// Lower-case hex.
    pub event_hash: String,
    /// RFC 6962 leaf hash.
    pub leaf_hash: [u8; 32],
}

fn invalid(detail: &'static str, field: impl Into<String>) -> Error {
    Error::new(Code::ContractInvalid, detail).at(field)
}

/// RFC 6962 leaf hash of a leaf's bytes.
#[must_use]
pub fn leaf_hash(body: &[u8]) -> [u8; 32] {
    sha256_parts(&[LEAF, body])
}

/// The hash of an event of version 1 or 2, lower-case hex: of its canonical form without `event_hash`.
///
/// # Errors
/// `contract.invalid` when it is no such event.
pub fn event_hash(event: &Value) -> Result<String, Error> {
    let members = event.as_obj().ok_or_else(|| invalid("not an object", "event"))?;
    let version = event.get("schema_version").and_then(Value::as_str);
    if event.get("schema_id").and_then(Value::as_str) != Some(SCHEMA_ID) || !matches!(version, Some("v1" | "v2")) {
        return Err(invalid("not an audit event", "schema_id"));
    }
    if has_null(event) {
        return Err(invalid("null instead of absent", "event"));
    }
    if event.has_float() {
        return Err(invalid("a float in an event", "event"));
    }
    let bare = members.iter().filter(|(name, _)| name != "event_hash").cloned().collect();
    Ok(hex(&sha256(json::print(&Value::Obj(bare)).as_bytes())))
}

/// Nesting is bounded by the parser.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Arr(items) => items.iter().any(has_null),
        Value::Obj(members) => members.iter().any(|(_, value)| has_null(value)),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => false,
    }
}

/// Seal an event of version 2: take out of `meta` what the surface does not allow, say so, and hash.
///
/// # Errors
/// `contract.invalid` with the member at fault; `LIMIT_EXCEEDED` for a leaf above 16 KiB.
pub fn seal(event: &Value) -> Result<Sealed, Error> {
    let members = event.as_obj().ok_or_else(|| invalid("not an object", "event"))?;
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    if text("schema_version") != Some("v2") {
        return Err(invalid("not version 2", "schema_version"));
    }
    if event.get("event_hash").is_some() {
        return Err(invalid("it is the core that hashes", "event_hash"));
    }
    let event_id =
        text("event_id").filter(|id| uuidv7::valid(id)).ok_or_else(|| invalid("not a UUIDv7", "event_id"))?;
    let surface = text("surface_id").and_then(surface).ok_or_else(|| invalid("an unknown surface", "surface_id"))?;
    let meta = allowed_meta(event.get("meta"), surface)?;
    let mut members: Vec<(String, Value)> = members.iter().filter(|(name, _)| name != "meta").cloned().collect();
    members.push(("meta".to_owned(), Value::Obj(meta)));
    let mut event = Value::Obj(members);
    let event_hash = event_hash(&event)?;
    if let Value::Obj(members) = &mut event {
        members.push(("event_hash".to_owned(), Value::str(event_hash.as_str())));
    }
    let body = json::print(&event);
    if body.len() > EVENT_BYTES {
        return Err(Error::limit("an event that is too long").at("event"));
    }
    let leaf_hash = leaf_hash(body.as_bytes());
    Ok(Sealed { event_id: event_id.to_owned(), body, event_hash, leaf_hash })
}

/// The `meta` of an event of `surface`, see [`allowed`].
fn allowed_meta(meta: Option<&Value>, surface: &Surface) -> Result<Vec<(String, Value)>, Error> {
    match meta {
        Some(Value::Obj(meta)) => allowed(meta, surface.meta_allow),
        _ => Err(invalid("not an object", "meta")),
    }
}

/// Seal an event of `surface` that is printed already: its canonical form without `meta` and `event_hash`, cut where these
/// two belong.
///
/// # Errors
/// As [`seal`].
pub(crate) fn seal_printed(
    event_id: &str,
    surface: &Surface,
    meta: &Value,
    [before_hash, before_meta, after]: [&str; 3],
) -> Result<Sealed, Error> {
    if !uuidv7::valid(event_id) {
        return Err(invalid("not a UUIDv7", "event_id"));
    }
    let meta = json::print_members(&allowed_meta(Some(meta), surface)?);
    let rest = [before_meta, ",\"meta\":", &meta, after].concat();
    let event_hash = hex(&sha256_parts(&[before_hash.as_bytes(), rest.as_bytes()]));
    let body = [before_hash, ",\"event_hash\":\"", &event_hash, "\"", &rest].concat();
    if body.len() > EVENT_BYTES {
        return Err(Error::limit("an event that is too long").at("event"));
    }
    let leaf_hash = leaf_hash(body.as_bytes());
    Ok(Sealed { event_id: event_id.to_owned(), body, event_hash, leaf_hash })
}

/// `meta` with only the names that the surface allows (`*`: any), and what was taken out.
fn allowed(meta: &[(String, Value)], allow: &[&str]) -> Result<Vec<(String, Value)>, Error> {
    let mut kept = Vec::with_capacity(meta.len());
    let mut removed = Vec::new();
    let any = matches!(allow, ["*"]);
    for (name, value) in meta {
        // Whoever writes the event must not be able to claim that nothing, or something else, was removed.
        if !(any || allow.contains(&name.as_str())) || name == REDACTED || name == REDACTED_KEYS {
            removed.push(name.as_str());
            continue;
        }
        let scalar = match value {
            Value::Bool(_) | Value::Int(_) => true,
            Value::Str(text) => text.len() <= META_STRING_BYTES,
            Value::Null | Value::Float(_) | Value::Arr(_) | Value::Obj(_) => false,
        };
        if !scalar || name.len() > META_NAME_BYTES {
            return Err(invalid("not a scalar", format!("meta.{name}")));
        }
        kept.push((name.clone(), value.clone()));
    }
    if !removed.is_empty() {
        table::sort(&mut removed, Ord::cmp);
        let mut names = removed.join(", ");
        if names.len() > META_STRING_BYTES {
            // A flood of names: what fits is told, the flag stands in any case.
            let end = (0..=META_STRING_BYTES).rev().find(|end| names.is_char_boundary(*end)).unwrap_or_default();
            names.truncate(end);
        }
        kept.push((REDACTED.to_owned(), Value::Bool(true)));
        kept.push((REDACTED_KEYS.to_owned(), Value::Str(names)));
    }
    if kept.len() > META_ENTRIES {
        return Err(invalid("too many scalars", "meta"));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
