//! The client's side: signing a request, or authenticating it under a session's key.

use super::input::{check_params, signature_params};
use super::parts::signature_base;
use super::{Credential, Form, Params, Parts, invalid};
use crate::session::MacKey;
use crate::structured::print_signature;
use crate::{Error, b64, ed25519};

/// The two headers that a client adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// `content-digest`.
    pub content_digest: String,
    /// `signature-input`.
    pub signature_input: String,
    /// `signature`.
    pub signature: String,
}

/// The base and `Signature-Input` that a client's proof has; refuses what no verifier would take.
fn prepare(parts: &Parts<'_>, form: Form, params: &Params) -> Result<(String, String, String), Error> {
    check_params(form, params)?;
    let components = parts.components()?;
    let printed = signature_params(&components, form, params);
    let digest = parts.digest()?;
    Ok((digest.into_owned(), format!("talos={printed}"), signature_base(&components, &printed)))
}

/// Sign a request with the holder's key: forms one (with a chain) and two (with a ticket).
/// @param nonce 16 fresh random bytes; `created` and `expires` in seconds, at most 60 apart
///
/// Errors: as [`Parts::credential`]; `PROOF_INVALID` with the part that cannot be signed.
pub fn sign(
    parts: &Parts<'_>,
    seed: &[u8; 32],
    thumbprint: &str,
    created: u64,
    expires: u64,
    nonce: &[u8; 16],
) -> Result<Headers, Error> {
    let form = match parts.credential()? {
        Credential::Capability(_) => Form::Signed,
        Credential::Ticket(_) => Form::SessionSigned,
    };
    let params = Params { created, expires, nonce: b64::encode(nonce), keyid: thumbprint.to_owned() };
    let (content_digest, signature_input, base) = prepare(parts, form, &params)?;
    let signature = print_signature(&ed25519::sign(seed, base.as_bytes()));
    Ok(Headers { content_digest, signature_input, signature })
}

/// Authenticate a read under the session's key: form three.
/// @param sequence higher than every number that this session used before; `created` and `expires` in seconds
///
/// Errors: as [`sign`].
pub fn authenticate(
    parts: &Parts<'_>,
    session_id: &[u8; 16],
    mac_key: &[u8; 32],
    created: u64,
    expires: u64,
    sequence: u64,
) -> Result<Headers, Error> {
    if let Credential::Capability(_) = parts.credential()? {
        return Err(invalid("talos-ticket"));
    }
    let params = Params { created, expires, nonce: sequence.to_string(), keyid: b64::encode(session_id) };
    let (content_digest, signature_input, base) = prepare(parts, Form::SessionMac, &params)?;
    let signature = print_signature(&MacKey::new(*mac_key).mac(base.as_bytes()));
    Ok(Headers { content_digest, signature_input, signature })
}
