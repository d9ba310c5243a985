//! Keys, DIDs and JWS.

use talos_core::json::{self, Value};
use talos_core::{Code, Error, b64, did, ed25519, jwk, jws};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::refusal::{Answer, OrRefuse, fixed, object, secret, text};

/// The public key of a seed.
#[wasm_bindgen]
pub fn public_key(seed: Vec<u8>) -> Answer<Vec<u8>> {
    secret(seed, "seed").map(|seed| ed25519::public(&seed).to_vec()).or_refuse()
}

/// RFC 7638 thumbprint.
#[wasm_bindgen]
pub fn thumbprint(x: &str) -> Answer<String> {
    b64::decode32(x).map(|x| jwk::thumbprint(&x)).or_refuse()
}

/// The did:key of a key.
#[wasm_bindgen]
pub fn did_key(x: &str) -> Answer<String> {
    b64::decode32(x).map(|x| did::did_key(&x)).or_refuse()
}

/// The did:jwk of a key.
#[wasm_bindgen]
pub fn did_jwk(x: &str) -> Answer<String> {
    b64::decode32(x).map(|x| did::did_jwk(&x)).or_refuse()
}

/// The key that a DID encodes.
#[wasm_bindgen]
pub fn did_to_x(text: &str) -> Answer<String> {
    did::key_of(text)
        .and_then(|key| key.ok_or_else(|| Error::malformed("this DID encodes no key").at("did")))
        .map(|x| b64::encode(&x))
        .or_refuse()
}

/// Where the document of a did:web lies.
#[wasm_bindgen]
pub fn did_web_to_url(text: &str) -> Answer<String> {
    did::web_url(text).or_refuse()
}

/// The document that publishes these keys, `[{"kid","x"}…]`.
#[wasm_bindgen]
pub fn did_document(text: &str, keys: &str) -> Answer<String> {
    document(text, keys).or_refuse()
}

fn document(did: &str, keys: &str) -> Result<String, Error> {
    let keys = published(&object(keys)?)?;
    let keys: Vec<(&str, [u8; 32])> = keys.iter().map(|(kid, x)| (kid.as_str(), *x)).collect();
    Ok(json::print(&did::document(did, &keys)))
}

/// `[{"kid","x"}…]`.
pub fn published(keys: &Value) -> Result<Vec<(String, [u8; 32])>, Error> {
    let keys = keys.as_arr().ok_or_else(|| Error::malformed("not an array").at("keys"))?;
    keys.iter().map(|key| Ok((text(key, "kid")?.to_owned(), b64::decode32(text(key, "x")?)?))).collect()
}

/// A signature.
#[wasm_bindgen]
pub fn ed25519_sign(seed: Vec<u8>, message: &[u8]) -> Answer<Vec<u8>> {
    secret(seed, "seed").map(|seed| ed25519::sign(&seed, message).to_vec()).or_refuse()
}

/// The whole profile. Bytes of another length are no key and no signature.
#[wasm_bindgen]
pub fn ed25519_verify(x: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let (Ok(x), Ok(signature)) = (fixed(x, "x"), fixed(signature, "signature")) else {
        return false;
    };
    ed25519::verify(&x, &signature, message)
}

/// The byte checks of the profile.
#[wasm_bindgen]
pub fn ed25519_precheck(x: &[u8], signature: &[u8]) -> bool {
    let (Ok(x), Ok(signature)) = (fixed(x, "x"), fixed(signature, "signature")) else {
        return false;
    };
    ed25519::precheck(&x, &signature)
}

/// A compact JWS over the canonical form of `payload`.
#[wasm_bindgen]
pub fn jws_sign(seed: Vec<u8>, typ: &str, kid: Option<String>, with_jwk: bool, payload: &str) -> Answer<String> {
    signed(seed, typ, kid, with_jwk, payload).or_refuse()
}

fn signed(seed: Vec<u8>, typ: &str, kid: Option<String>, with_jwk: bool, payload: &str) -> Result<String, Error> {
    let seed = secret(seed, "seed")?;
    let payload = json::print(&json::parse_signed(payload.as_bytes())?);
    let header = match (kid, with_jwk) {
        (Some(_), true) => return Err(Error::malformed("kid and jwk exclude each other").at("kid")),
        (Some(kid), false) => jws::header(typ, [("kid", Value::Str(kid))]),
        (None, true) => jws::header(typ, [("jwk", jwk::value(&ed25519::public(&seed)))]),
        (None, false) => jws::header(typ, []),
    };
    Ok(jws::sign(&seed, &header, payload.as_bytes()))
}

/// Header and payload of a verified JWS of exactly this type.
#[wasm_bindgen]
pub fn jws_verify(text: &str, typ: &str, x: Option<String>) -> Answer<String> {
    verified(text, typ, x.as_deref()).or_refuse()
}

fn verified(text: &str, typ: &str, x: Option<&str>) -> Result<String, Error> {
    let token = jws::parse(text)?;
    let key = match x {
        Some(x) => {
            if token.header.get("typ").and_then(Value::as_str) != Some(typ) {
                return Err(Error::malformed("another type").at("typ"));
            }
            b64::decode32(x)?
        }
        None => token.jwk(typ)?,
    };
    if !token.verify(&key) {
        return Err(Error::new(Code::SignatureInvalid, "the signature does not verify"));
    }
    let payload = token.payload()?;
    Ok(json::print(&Value::obj([("header", token.header), ("payload", payload)])))
}
