//! The record: events, hashes, commitments; and ids.

use talos_core::event;
use talos_core::json::{self, Value};
use talos_core::{Error, b64, commitment as commitments, uuidv7 as uuid};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::refusal::{Answer, OrRefuse, fixed, text};

/// A UUIDv7.
#[wasm_bindgen]
pub fn uuidv7(now_ms: u64, random: &[u8]) -> Answer<String> {
    fixed(random, "random").and_then(|random| uuid::make(now_ms, random)).or_refuse()
}

/// base64url SHA-256(salt ‖ value); the salt has 16 bytes.
#[wasm_bindgen]
pub fn commitment(salt: &[u8], value: &[u8]) -> Answer<String> {
    fixed(salt, "salt").map(|salt| commitments::commit(&salt, value)).or_refuse()
}

/// RFC 6962 leaf hash, base64url.
#[wasm_bindgen]
pub fn leaf_hash(body: &[u8]) -> String {
    b64::encode(&event::leaf_hash(body))
}

/// Hash of an event, lower-case hex.
#[wasm_bindgen]
pub fn event_hash(event: &str) -> Answer<String> {
    json::parse_signed(event.as_bytes()).and_then(|event| event::event_hash(&event)).or_refuse()
}

/// An event's leaf: `{"event_id","body","event_hash","leaf_hash"}`.
#[wasm_bindgen]
pub fn seal_event(surface: &str, event: &str) -> Answer<String> {
    let seal = || {
        let event = json::parse_signed(event.as_bytes())?;
        if text(&event, "surface_id")? != surface {
            return Err(Error::malformed("the event of another surface").at("surface_id"));
        }
        let sealed = event::seal(&event)?;
        Ok(json::print(&Value::obj([
            ("event_id", Value::Str(sealed.event_id)),
            ("body", Value::Str(sealed.body)),
            ("event_hash", Value::Str(sealed.event_hash)),
            ("leaf_hash", Value::Str(b64::encode(&sealed.leaf_hash))),
        ])))
    };
    seal().or_refuse()
}
