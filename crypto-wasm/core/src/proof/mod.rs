//! Request proofs: RFC 9421 with one label and one spelling.
//!
//! A verifier never interprets a freer form: it derives from the request the one list of components that must be
//! covered, and from the parameters the one `Signature-Input` that says so, and refuses every other text. The base is
//! built from what the verifier itself saw.
//!
//! Source: contracts/spec/proof.md.

mod client;
mod input;
mod parts;
#[cfg(test)]
mod tests;

pub use client::{Headers, authenticate, sign};
pub use parts::{Body, Credential, Parts, content_digest};

use input::{check_params, claimed_form, parse_input, signature_params};
use parts::signature_base;

use crate::contract::limits::{PROOF_SKEW_SECONDS, SIGNATURE_INPUT_BYTES};
use crate::hash::sha256_b64;
use crate::session::MacKey;
use crate::structured::parse_signature;
use crate::{Code, Error, b64, ed25519};

/// The three forms of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A chain, signed by the leaf's key. Good for everything.
    Signed,
    /// A ticket, signed by the holder's key. Above `read` only if the ticket was opened with `writes`.
    SessionSigned,
    /// A ticket, authenticated under the session's key. Class `read` only.
    SessionMac,
}

impl Form {
    /// The name in facts and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::SessionSigned => "session_signed",
            Self::SessionMac => "session_mac",
        }
    }

    const fn alg(self) -> &'static str {
        match self {
            Self::Signed | Self::SessionSigned => "ed25519",
            Self::SessionMac => "hmac-sha256",
        }
    }
}

/// The parameters of a proof besides `tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// Seconds since the Unix epoch; the proof is good before this moment.
    pub expires: u64,
    /// base64url of 16 random bytes, or a decimal sequence number.
    pub nonce: String,
    /// Thumbprint of the signing key, or base64url of the session id.
    pub keyid: String,
}

/// A proof whose shape, digest and times were found right. Its signature or MAC was **not** checked yet, nor whom
/// `keyid` names: [`Proof::signed_by`] and [`Proof::authenticated_by`] do that.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Which form it has.
    pub form: Form,
    /// Its parameters.
    pub params: Params,
    /// The sequence number of a MAC.
    pub sequence: Option<u64>,
    base: String,
    signature: Vec<u8>,
}

fn invalid(field: &str) -> Error {
    Error::new(Code::ProofInvalid, "not the proof of this request").at(field)
}

/// Check shape, digest and times of the proof that a request carries.
///
/// Errors: `NO_CAPABILITY` and `MALFORMED` as [`Parts::credential`]; `PROOF_INVALID` with the offending component or
/// parameter as field.
pub fn check(
    parts: &Parts<'_>,
    signature_input: Option<&str>,
    signature: Option<&str>,
    now_ms: u64,
) -> Result<Proof, Error> {
    let credential = parts.credential()?;
    let signature_input = signature_input.ok_or_else(|| invalid("signature-input"))?;
    let signature = signature.ok_or_else(|| invalid("signature"))?;
    if signature_input.len() > SIGNATURE_INPUT_BYTES {
        return Err(Error::limit("signature-input that is too long").at("signature-input"));
    }
    let components = parts.components()?;
    if let (Body::Bytes(_), Some((_, computed))) = (parts.body, components.get(2)) {
        let given = parts.content_digest.map(|given| given.trim_matches([' ', '\t']));
        if given != Some(computed.as_ref()) {
            return Err(invalid("content-digest"));
        }
    }
    let form = claimed_form(credential, signature_input);
    let params = parse_input(signature_input, &components, form)?;
    let sequence = check_params(form, &params)?;
    let printed = signature_params(&components, form, &params);
    if signature_input.strip_prefix("talos=") != Some(printed.as_str()) {
        return Err(invalid("signature-input"));
    }
    let now = now_ms / 1_000;
    if params.created > now.saturating_add(PROOF_SKEW_SECONDS.unsigned_abs()) {
        return Err(invalid("created"));
    }
    if now >= params.expires {
        return Err(invalid("expires"));
    }
    let signature = parse_signature(signature)?;
    if signature.len() != if form == Form::SessionMac { 32 } else { 64 } {
        return Err(invalid("signature"));
    }
    let base = signature_base(&components, &printed);
    Ok(Proof { form, params, sequence, base, signature })
}

impl Proof {
    /// The bytes that are signed or authenticated.
    #[must_use]
    pub fn base(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// base64url SHA-256 of the base: the proof's name in records.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_b64(self.base.as_bytes())
    }

    /// What a verifier of Ed25519 has to check, once `keyid` was found to be the thumbprint of `key`.
    ///
    /// Errors: `PROOF_INVALID`: another key, a MAC, or a signature that the profile's byte checks refuse
    /// (contracts/spec/identity.md#the-ed25519-profile).
    pub fn signed_by(&self, key: &[u8; 32], thumbprint: &str) -> Result<ed25519::Check, Error> {
        if self.form == Form::SessionMac {
            return Err(invalid("alg"));
        }
        if self.params.keyid != thumbprint {
            return Err(invalid("keyid"));
        }
        let signature = <[u8; 64]>::try_from(self.signature.as_slice()).map_err(|_| invalid("signature"))?;
        if !ed25519::precheck(key, &signature) {
            return Err(invalid("signature"));
        }
        Ok(ed25519::Check { key: *key, signature, message: self.base.clone().into_bytes() })
    }

    /// Check the MAC under the key of the session `session_id`; constant time in the MAC. Gives the sequence number,
    /// which the caller then takes from the session's window.
    ///
    /// Errors: `PROOF_INVALID`: another session, a signature instead of a MAC, or a wrong MAC.
    pub fn authenticated_under(&self, session_id: &[u8; 16], key: &MacKey) -> Result<u64, Error> {
        let sequence = self.sequence.ok_or_else(|| invalid("alg"))?;
        if self.params.keyid != b64::encode(session_id) {
            return Err(invalid("keyid"));
        }
        if key.verifies(self.base.as_bytes(), &self.signature) { Ok(sequence) } else { Err(invalid("signature")) }
    }

    /// As [`authenticated_under`](Self::authenticated_under), for a key that is used once.
    ///
    /// Errors: as there.
    pub fn authenticated_by(&self, session_id: &[u8; 16], mac_key: &[u8; 32]) -> Result<u64, Error> {
        self.authenticated_under(session_id, &MacKey::new(*mac_key))
    }
}
