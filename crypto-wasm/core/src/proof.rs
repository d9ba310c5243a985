//! Request proofs: RFC 9421 with one label and one spelling.
//!
//! A verifier never interprets a freer form: it derives from the request the one list of components that must be
//! covered, and from the parameters the one `Signature-Input` that says so, and refuses every other text. The base is
//! built from what the verifier itself saw.
//!
//! Source: contracts/spec/proof.md.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::hash::{sha256, sha256_b64};
use crate::limits::CHAIN_BYTES;
use crate::structured::{base64, base64_decode, parse_integer, parse_signature, print_signature};
use crate::{Code, Error, b64, ed25519};

/// A proof lives at most this long, seconds.
pub const LIFE_SECONDS: u64 = 60;
/// How far a client's clock may be ahead of ours, seconds.
pub const SKEW_SECONDS: u64 = 5;
/// Bytes of `signature-input`.
const SIGNATURE_INPUT_BYTES: usize = 1_024;
/// Bytes of the target URI.
const TARGET_URI_BYTES: usize = 4_096;
/// Bytes of one of the optional covered headers.
const COVERED_HEADER_BYTES: usize = 2_048;
/// Bytes of the longer credential, the chain.
const CREDENTIAL_BYTES: usize = CHAIN_BYTES;

/// The parts of a request that a proof binds, as the verifier saw them.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// As sent, upper case.
    pub method: &'a str,
    /// `origin + pathname + search` in the WHATWG URL parser's serialisation.
    pub target_uri: &'a str,
    /// `content-digest`; a client that signs may leave it out.
    pub content_digest: Option<&'a str>,
    /// `talos-capability`.
    pub capability: Option<&'a str>,
    /// `talos-ticket`.
    pub ticket: Option<&'a str>,
    /// `mcp-session-id`.
    pub mcp_session_id: Option<&'a str>,
    /// `mcp-method`.
    pub mcp_method: Option<&'a str>,
    /// `mcp-name`.
    pub mcp_name: Option<&'a str>,
    /// `last-event-id`.
    pub last_event_id: Option<&'a str>,
    /// `idempotency-key`.
    pub idempotency_key: Option<&'a str>,
    /// The body.
    pub body: Body<'a>,
}

/// What is known of the body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Its bytes; the digest is recomputed. A request without a body has empty ones.
    Bytes(&'a [u8]),
    /// Only the digest that was signed: a third party passes signed components on and keeps the body
    /// (contracts/spec/gateway.md#authorize). Nothing of the body may then be taken as signed.
    Elsewhere,
}

/// The header that carries what the caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// `talos-capability`: a chain.
    Capability(&'a str),
    /// `talos-ticket`: a sealed ticket of a session.
    Ticket(&'a str),
}

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

/// `content-digest` of a body, RFC 9530 with SHA-256 alone.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64(&sha256(body)))
}

fn invalid(field: &str) -> Error {
    Error::new(Code::ProofInvalid, "not the proof of this request").at(field)
}

/// A header value without its outer spaces and tabs; inside only visible ASCII and single spaces.
fn header_value<'a>(name: &str, value: &'a str, most_bytes: usize) -> Result<&'a str, Error> {
    let value = value.trim_matches([' ', '\t']);
    if value.len() > most_bytes {
        return Err(Error::limit("a header that is too long").at(name));
    }
    let clean = value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !value.contains("  ");
    if clean { Ok(value) } else { Err(invalid(name)) }
}

impl<'a> Parts<'a> {
    /// The credential that the request carries.
    ///
    /// Errors: `NO_CAPABILITY` when it has none, `MALFORMED` when it has both.
    pub fn credential(&self) -> Result<Credential<'a>, Error> {
        match (self.capability, self.ticket) {
            (Some(chain), None) => Ok(Credential::Capability(chain)),
            (None, Some(ticket)) => Ok(Credential::Ticket(ticket)),
            (None, None) => Err(Error::new(Code::NoCapability, "no credential header")),
            (Some(_), Some(_)) => Err(Error::malformed("two credential headers").at("talos-ticket")),
        }
    }

    /// The digest that must be covered: recomputed where the bytes are at hand, otherwise the one that was signed.
    fn digest(&self) -> Result<String, Error> {
        const FIELD: &str = "content-digest";
        let computed = match self.body {
            Body::Bytes(bytes) => content_digest(bytes),
            Body::Elsewhere => {
                let given =
                    header_value(FIELD, self.content_digest.ok_or_else(|| invalid(FIELD))?, COVERED_HEADER_BYTES)?;
                let hash = given
                    .strip_prefix("sha-256=:")
                    .and_then(|rest| rest.strip_suffix(':'))
                    .and_then(|inner| base64_decode(inner).ok());
                if hash.is_none_or(|hash| hash.len() != 32) {
                    return Err(invalid(FIELD));
                }
                given.to_owned()
            }
        };
        Ok(computed)
    }

    /// The covered components of this request in their order, with their values.
    fn components(&self) -> Result<Vec<(&'static str, String)>, Error> {
        if self.method.is_empty()
            || self.method.len() > 16
            || !self.method.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(invalid("@method"));
        }
        let uri = self.target_uri;
        // The serialisation of a URL has no space and nothing outside ASCII; a fragment is not sent, an empty query is none.
        let clean = !uri.is_empty() && uri.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#');
        if !clean || uri.find('?').is_some_and(|at| at + 1 == uri.len()) {
            return Err(invalid("@target-uri"));
        }
        if uri.len() > TARGET_URI_BYTES {
            return Err(Error::limit("a target URI that is too long").at("@target-uri"));
        }
        let mut components = vec![
            ("@method", self.method.to_owned()),
            ("@target-uri", uri.to_owned()),
            ("content-digest", self.digest()?),
        ];
        let (name, value) = match self.credential()? {
            Credential::Capability(chain) => ("talos-capability", chain),
            Credential::Ticket(ticket) => ("talos-ticket", ticket),
        };
        components.push((name, header_value(name, value, CREDENTIAL_BYTES)?.to_owned()));
        for (name, value) in [
            ("mcp-session-id", self.mcp_session_id),
            ("mcp-method", self.mcp_method),
            ("mcp-name", self.mcp_name),
            ("last-event-id", self.last_event_id),
            ("idempotency-key", self.idempotency_key),
        ] {
            if let Some(value) = value {
                components.push((name, header_value(name, value, COVERED_HEADER_BYTES)?.to_owned()));
            }
        }
        Ok(components)
    }
}

/// The inner list with its parameters, as it stands after `talos=` and in the last line of the base.
fn signature_params(components: &[(&'static str, String)], form: Form, params: &Params) -> String {
    let names: Vec<String> = components.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let Params { created, expires, nonce, keyid } = params;
    let alg = form.alg();
    let names = names.join(" ");
    format!(
        "({names});created={created};expires={expires};nonce=\"{nonce}\";keyid=\"{keyid}\";alg=\"{alg}\";tag=\"talos-1\""
    )
}

/// RFC 9421 §2.5.
fn signature_base(components: &[(&'static str, String)], signature_params: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        base.push('"');
        base.push_str(name);
        base.push_str("\": ");
        base.push_str(value);
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(signature_params);
    base
}

/// What follows `label` up to `until` in `rest`, and what follows that.
fn between<'a>(rest: &'a str, label: &str, until: &str, field: &str) -> Result<(&'a str, &'a str), Error> {
    rest.strip_prefix(label).and_then(|rest| rest.split_once(until)).ok_or_else(|| invalid(field))
}

/// The parameters of a `Signature-Input` whose components are exactly `components`.
fn parse_input(text: &str, components: &[(&'static str, String)], form: Form) -> Result<Params, Error> {
    let (list, rest) = between(text, "talos=(", ")", "signature-input")?;
    let mut covered = list.split(' ');
    for (name, _) in components {
        if covered.next().and_then(|item| item.strip_prefix('"')?.strip_suffix('"')) != Some(name) {
            return Err(invalid(name));
        }
    }
    if covered.next().is_some() {
        return Err(invalid("signature-input"));
    }
    let (created, rest) = between(rest, ";created=", ";", "created")?;
    let (expires, rest) = between(rest, "expires=", ";", "expires")?;
    let (nonce, rest) = between(rest, "nonce=\"", "\";", "nonce")?;
    let (keyid, rest) = between(rest, "keyid=\"", "\";", "keyid")?;
    let (alg, rest) = between(rest, "alg=\"", "\";", "alg")?;
    if alg != form.alg() {
        return Err(invalid("alg"));
    }
    if rest != "tag=\"talos-1\"" {
        return Err(invalid("tag"));
    }
    Ok(Params {
        created: parse_integer(created).ok_or_else(|| invalid("created"))?,
        expires: parse_integer(expires).ok_or_else(|| invalid("expires"))?,
        nonce: nonce.to_owned(),
        keyid: keyid.to_owned(),
    })
}

/// Whether `text` is base64url of exactly `bytes` bytes.
fn is_b64(text: &str, bytes: usize) -> bool {
    b64::decode(text).is_ok_and(|decoded| decoded.len() == bytes)
}

/// The rules on the parameters alone; gives the sequence number of a MAC.
fn check_params(form: Form, params: &Params) -> Result<Option<u64>, Error> {
    let Params { created, expires, nonce, keyid } = params;
    if created >= expires || expires - created > LIFE_SECONDS {
        return Err(invalid("expires"));
    }
    match form {
        Form::Signed | Form::SessionSigned => {
            if !is_b64(nonce, 16) {
                return Err(invalid("nonce"));
            }
            if !is_b64(keyid, 32) {
                return Err(invalid("keyid"));
            }
            Ok(None)
        }
        Form::SessionMac => {
            let sequence = parse_integer(nonce).ok_or_else(|| invalid("nonce"))?;
            if !is_b64(keyid, 16) {
                return Err(invalid("keyid"));
            }
            Ok(Some(sequence))
        }
    }
}

/// Which form a request with `credential` and this `Signature-Input` claims to have. The algorithm is read here only
/// to tell the two forms of a ticket apart; [`check`] prints it again and compares.
fn claimed_form(credential: Credential<'_>, signature_input: &str) -> Form {
    match credential {
        Credential::Capability(_) => Form::Signed,
        Credential::Ticket(_) if signature_input.ends_with(";alg=\"hmac-sha256\";tag=\"talos-1\"") => Form::SessionMac,
        Credential::Ticket(_) => Form::SessionSigned,
    }
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
        if given != Some(computed.as_str()) {
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
    if params.created > now + SKEW_SECONDS {
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
    pub fn authenticated_by(&self, session_id: &[u8; 16], mac_key: &[u8; 32]) -> Result<u64, Error> {
        let sequence = self.sequence.ok_or_else(|| invalid("alg"))?;
        if self.params.keyid != b64::encode(session_id) {
            return Err(invalid("keyid"));
        }
        let mut mac = hmac(mac_key)?;
        mac.update(self.base.as_bytes());
        mac.verify_slice(&self.signature).map_err(|_| invalid("signature"))?;
        Ok(sequence)
    }
}

fn hmac(key: &[u8; 32]) -> Result<Hmac<Sha256>, Error> {
    Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::new(Code::Internal, "HMAC takes keys of every length"))
}

/// The base and `Signature-Input` that a client's proof has; refuses what no verifier would take.
fn prepare(parts: &Parts<'_>, form: Form, params: &Params) -> Result<(String, String, String), Error> {
    check_params(form, params)?;
    let components = parts.components()?;
    let printed = signature_params(&components, form, params);
    let digest = parts.digest()?;
    Ok((digest, format!("talos={printed}"), signature_base(&components, &printed)))
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
    let mut mac = hmac(mac_key)?;
    mac.update(base.as_bytes());
    let signature = print_signature(&mac.finalize().into_bytes());
    Ok(Headers { content_digest, signature_input, signature })
}
