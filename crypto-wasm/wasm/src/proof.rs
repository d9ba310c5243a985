//! Request proofs and sessions, the client's half.

use talos_core::chain::Chain;
use talos_core::frame::Request;
use talos_core::json::{self, Fields, Value};
use talos_core::proof::{self, Body, Headers, Parts};
use talos_core::session::{self, Response};
use talos_core::{Error, b64, ed25519, jwk, structured};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::identity::published;
use crate::refusal::{Answer, OrRefuse, fixed, object, secret};

/// `content-digest` of a body.
#[wasm_bindgen]
pub fn content_digest(body: &[u8]) -> String {
    proof::content_digest(body)
}

fn parts<'a>(request: &Request<'a>) -> Parts<'a> {
    Parts {
        method: request.method,
        target_uri: request.target_uri,
        content_digest: None,
        capability: request.capability,
        ticket: request.ticket,
        mcp_session_id: request.mcp_session_id,
        mcp_method: request.mcp_method,
        mcp_name: request.mcp_name,
        last_event_id: request.last_event_id,
        idempotency_key: request.idempotency_key,
        body: Body::Bytes(request.body),
    }
}

fn print(headers: Headers) -> String {
    json::print(&Value::obj([
        ("content-digest", Value::Str(headers.content_digest)),
        ("signature-input", Value::Str(headers.signature_input)),
        ("signature", Value::Str(headers.signature)),
    ]))
}

/// The three headers of a signed request.
#[wasm_bindgen]
pub fn sign_request(frame: &[u8], seed: Vec<u8>, created: u64, expires: u64, nonce: &str) -> Answer<String> {
    let sign = || {
        let seed = secret(seed, "seed")?;
        let request = Request::read(frame)?;
        let nonce = fixed(&b64::decode(nonce)?, "nonce")?;
        let thumbprint = jwk::thumbprint(&ed25519::public(&seed));
        proof::sign(&parts(&request), &seed, &thumbprint, created, expires, &nonce).map(print)
    };
    sign().or_refuse()
}

/// The three headers of a read under a session's MAC key.
#[wasm_bindgen]
pub fn mac_request(
    frame: &[u8],
    session_id: &str,
    mac_key: Vec<u8>,
    created: u64,
    expires: u64,
    sequence: &str,
) -> Answer<String> {
    let mac = || {
        let key = secret(mac_key, "mac_key")?;
        let request = Request::read(frame)?;
        let id = session::session_id(session_id)?;
        let sequence =
            structured::parse_integer(sequence).ok_or_else(|| Error::malformed("not a sequence").at("sequence"))?;
        proof::authenticate(&parts(&request), &id, &key, created, expires, sequence).map(print)
    };
    mac().or_refuse()
}

/// The X25519 public share of a secret.
#[wasm_bindgen]
pub fn session_share(secret_bytes: Vec<u8>) -> Answer<String> {
    secret(secret_bytes, "secret").map(|secret| b64::encode(&session::share(&secret))).or_refuse()
}

/// The MAC key of a session. `args`: `{"response","chain","gateway_keys","gateway_did","aud"}`.
#[wasm_bindgen]
pub fn session_finish(secret_bytes: Vec<u8>, now_ms: u64, args: &str) -> Answer<Vec<u8>> {
    let finish = || {
        let secret = secret(secret_bytes, "secret")?;
        let args = object(args)?;
        let mut fields = Fields::new(&args)?;
        let response = Response::from_value(fields.value("response")?)?;
        let chain = Chain::parse(fields.str("chain")?)?;
        let keys = published(fields.value("gateway_keys")?)?;
        let keys: Vec<(&str, [u8; 32])> = keys.iter().map(|(kid, x)| (kid.as_str(), *x)).collect();
        let about = (fields.str("gateway_did")?, fields.str("aud")?, chain.leaf()?.id.as_str());
        fields.finish()?;
        session::finish(&secret, &response, &keys, about, now_ms / 1_000).map(|key| key.bytes().to_vec())
    };
    finish().or_refuse()
}
