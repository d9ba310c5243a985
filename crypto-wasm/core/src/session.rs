//! Opening a session: key agreement, the MAC key, and the gateway's statement that binds all of it.
//!
//! Source: contracts/spec/session.md#opening, RFC 7748, RFC 5869.

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::contract::limits::LINK_BYTES;
use crate::hash::sha256_b64;
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::{Code, Error, b64, jws};

const TYP: &str = "talos-session+jwt";
const INFO: &[u8] = b"talos-session-1\0";

/// The key of a session's MACs, with HMAC's state after its two padded blocks, which do not change from request to
/// request: wiped when it is dropped, never printed.
#[derive(Clone)]
pub struct MacKey {
    bytes: Zeroizing<[u8; 32]>,
    state: Hmac<Sha256>,
}

impl MacKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        // HMAC pads a key with zeros to a block of its hash (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        if let Some(start) = block.first_chunk_mut() {
            *start = bytes;
        }
        Self { state: Hmac::new((&*block).into()), bytes: Zeroizing::new(bytes) }
    }

    /// The secret bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The MAC of `message`.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.state.clone().chain_update(message).finalize().into_bytes().into()
    }

    /// Whether `mac` is the one of `message`; in constant time.
    #[must_use]
    pub fn verifies(&self, message: &[u8], mac: &[u8]) -> bool {
        self.state.clone().chain_update(message).verify_slice(mac).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MacKey")
    }
}

/// What both sides bind into the key besides their agreement.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// 16 random bytes that the gateway chose.
    pub session_id: &'a [u8; 16],
    /// The client's X25519 public key.
    pub client_share: &'a [u8; 32],
    /// The gateway's X25519 public key.
    pub server_share: &'a [u8; 32],
    /// Link id of the leaf, base64url.
    pub link: &'a str,
    /// The gateway's DID.
    pub gateway: &'a str,
    /// The tenant's audience.
    pub aud: &'a str,
}

/// The X25519 public key of `secret` (32 random bytes).
#[must_use]
pub fn share(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// The HKDF info: the label, then each part after its length, so that no two lists of parts spell the same bytes.
fn info(binding: &Binding<'_>) -> Result<Vec<u8>, Error> {
    let link = b64::decode32(binding.link).map_err(|error| error.at("link"))?;
    let mut info = INFO.to_vec();
    let parts: [&[u8]; 5] =
        [binding.client_share, binding.server_share, &link, binding.gateway.as_bytes(), binding.aud.as_bytes()];
    for part in parts {
        let length = u16::try_from(part.len()).map_err(|_| Error::limit("a part of the session that is too long"))?;
        info.extend_from_slice(&length.to_be_bytes());
        info.extend_from_slice(part);
    }
    Ok(info)
}

/// The session's MAC key, from one's own secret and the other's share.
///
/// # Errors
/// `PROOF_INVALID` when the agreement is all zero: the peer sent a point of small order, so anyone knows the result (RFC 7748 §6.1).
pub fn mac_key(secret: &[u8; 32], peer_share: &[u8; 32], binding: &Binding<'_>) -> Result<MacKey, Error> {
    let agreed = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*peer_share));
    if !agreed.was_contributory() {
        return Err(Error::new(Code::ProofInvalid, "a share of small order").at("share"));
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(Some(binding.session_id), agreed.as_bytes())
        .expand(&info(binding)?, key.as_mut_slice())
        .map_err(|_| Error::new(Code::Internal, "HKDF gives 32 bytes"))?;
    Ok(MacKey::new(*key))
}

/// Sign the statement that binds `ticket` and the end of the session (seconds) to `binding`, under a `receipt` key.
#[must_use]
pub fn state(seed: &[u8; 32], kid: &str, binding: &Binding<'_>, ticket: &str, exp: u64) -> String {
    jws::sign(seed, &jws::header(TYP, [("kid", Value::str(kid))]), payload(binding, ticket, exp).as_bytes())
}

fn payload(binding: &Binding<'_>, ticket: &str, exp: u64) -> String {
    json::print(&Value::obj([
        ("aud", Value::str(binding.aud)),
        ("client_share", Value::Str(b64::encode(binding.client_share))),
        ("exp", Value::Int(i64::try_from(exp).unwrap_or(MAX_SAFE_INTEGER))),
        ("gateway", Value::str(binding.gateway)),
        ("link", Value::str(binding.link)),
        ("server_share", Value::Str(b64::encode(binding.server_share))),
        ("session", Value::Str(b64::encode(binding.session_id))),
        ("ticket_hash", Value::Str(sha256_b64(ticket.as_bytes()))),
    ]))
}

/// Check a statement: signed under one of `keys` (kid, public key) of the gateway's document, and every member what we
/// know it must be.
///
/// # Errors
/// `MALFORMED` for its shape; `SIGNATURE_INVALID` for an unknown key or a wrong signature, or a member that says something
/// else, which is then the field.
pub fn check_statement(
    statement: &str,
    keys: &[(&str, [u8; 32])],
    binding: &Binding<'_>,
    ticket: &str,
    exp: u64,
) -> Result<(), Error> {
    if statement.len() > LINK_BYTES {
        return Err(Error::limit("a statement that is too long").at("statement"));
    }
    let signed = jws::parse(statement)?;
    let kid = signed.kid(TYP)?;
    let key = keys.iter().find(|(known, _)| *known == kid).map(|(_, key)| key);
    if !key.is_some_and(|key| signed.verify(key)) {
        return Err(Error::new(Code::SignatureInvalid, "a statement by nobody we know").at("statement"));
    }
    let said = signed.payload()?;
    let expected = json::parse_signed(payload(binding, ticket, exp).as_bytes())?;
    let mut fields = Fields::new(&said)?;
    for (name, value) in expected.as_obj().unwrap_or_default() {
        if fields.value(name)? != value {
            return Err(Error::new(Code::SignatureInvalid, "a statement about another session").at(name.as_str()));
        }
    }
    fields.finish()
}

/// The gateway's answer to `sessions.open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 16 random bytes.
    pub session_id: [u8; 16],
    /// The sealed ticket.
    pub ticket: String,
    /// The gateway's X25519 public key.
    pub share: [u8; 32],
    /// Seconds.
    pub expires_at: u64,
    /// Whether signed requests above `read` may use it.
    pub writes: bool,
    /// The gateway's statement.
    pub statement: String,
}

impl Response {
    /// As JSON, by contracts/schemas/session/response.schema.json.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::obj([
            ("session_id", Value::Str(b64::encode(&self.session_id))),
            ("ticket", Value::str(self.ticket.as_str())),
            ("share", Value::Str(b64::encode(&self.share))),
            ("expires_at", Value::Int(i64::try_from(self.expires_at).unwrap_or(MAX_SAFE_INTEGER))),
            ("writes", Value::Bool(self.writes)),
            ("statement", Value::str(self.statement.as_str())),
        ])
    }

    /// From JSON.
    ///
    /// # Errors
    /// `MALFORMED` with the member at fault.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let session_id = session_id(fields.str("session_id")?).map_err(|error| error.at("session_id"))?;
        let response = Self {
            session_id,
            ticket: fields.str("ticket")?.to_owned(),
            share: fields.b64_32("share")?,
            expires_at: fields.int("expires_at", 0, MAX_SAFE_INTEGER)?.unsigned_abs(),
            writes: fields.bool("writes")?,
            statement: fields.str("statement")?.to_owned(),
        };
        fields.finish()?;
        Ok(response)
    }
}

/// The 16 bytes of a session id.
///
/// # Errors
/// `MALFORMED` for anything else.
pub fn session_id(text: &str) -> Result<[u8; 16], Error> {
    b64::decode(text)?.try_into().map_err(|_| Error::malformed("not 16 bytes in base64url"))
}

/// The client's last step: check the gateway's answer against everything that the client itself knows, and derive the
/// MAC key. `keys` come from the gateway's DID document, `link` is the leaf's id.
///
/// # Errors
/// As [`check_statement`] and [`mac_key`]; `EXPIRED` when the session is over by `now_seconds`.
pub fn finish(
    secret: &[u8; 32],
    response: &Response,
    keys: &[(&str, [u8; 32])],
    (gateway, aud, link): (&str, &str, &str),
    now_seconds: u64,
) -> Result<MacKey, Error> {
    let client_share = share(secret);
    let binding = Binding {
        session_id: &response.session_id,
        client_share: &client_share,
        server_share: &response.share,
        link,
        gateway,
        aud,
    };
    check_statement(&response.statement, keys, &binding, &response.ticket, response.expires_at)?;
    if now_seconds >= response.expires_at {
        return Err(Error::new(Code::Expired, "a session that is over").at("expires_at"));
    }
    mac_key(secret, &response.share, &binding)
}

#[cfg(test)]
mod tests;
