//! Bytes and canonical JSON.

use talos_core::{b64, hash, json};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::refusal::{Answer, OrRefuse};

/// Canonical form of strict JSON.
#[wasm_bindgen]
pub fn jcs(bytes: &[u8]) -> Answer<String> {
    json::parse(bytes).map(|value| json::print(&value)).or_refuse()
}

/// As [`jcs`], from text.
#[wasm_bindgen]
pub fn jcs_text(text: &str) -> Answer<String> {
    jcs(text.as_bytes())
}

/// SHA-256.
#[wasm_bindgen]
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    hash::sha256(bytes).to_vec()
}

/// Unpadded base64url.
#[wasm_bindgen]
pub fn b64u_encode(bytes: &[u8]) -> String {
    b64::encode(bytes)
}

/// The bytes of strict base64url.
#[wasm_bindgen]
pub fn b64u_decode(text: &str) -> Answer<Vec<u8>> {
    b64::decode(text).or_refuse()
}
