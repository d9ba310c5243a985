//! The parts that a proof binds, and the lines of the signature base.

use std::borrow::Cow;

use super::invalid;
use crate::contract::limits::{CHAIN_BYTES, COVERED_HEADER_BYTES, TARGET_URI_BYTES};
use crate::hash::sha256;
use crate::structured::{base64, base64_decode};
use crate::{Code, Error, bytes};

/// Bytes of the longer credential, the chain.
const CREDENTIAL_BYTES: usize = CHAIN_BYTES;

/// A covered component: its name and its value.
pub(super) type Component<'a> = (&'static str, Cow<'a, str>);

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

/// `content-digest` of a body, RFC 9530 with SHA-256 alone.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64(&sha256(body)))
}

/// A header value without its outer spaces and tabs; inside only visible ASCII and single spaces.
fn header_value<'a>(name: &str, value: &'a str, most_bytes: usize) -> Result<&'a str, Error> {
    let value = value.trim_matches([' ', '\t']);
    if value.len() > most_bytes {
        return Err(Error::limit("a header that is too long").at(name));
    }
    // Most have no space at all.
    if bytes::visible(value.as_bytes()) {
        return Ok(value);
    }
    let mut before = 0;
    let clean = value.bytes().all(|byte| {
        let fits = matches!(byte, b' '..=b'~') && !(byte == b' ' && before == b' ');
        before = byte;
        fits
    });
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
    pub(super) fn digest(&self) -> Result<Cow<'a, str>, Error> {
        const FIELD: &str = "content-digest";
        let computed = match self.body {
            Body::Bytes(bytes) => Cow::Owned(content_digest(bytes)),
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
                Cow::Borrowed(given)
            }
        };
        Ok(computed)
    }

    /// The covered components of this request in their order, with their values.
    pub(super) fn components(&self) -> Result<Vec<Component<'a>>, Error> {
        if self.method.is_empty()
            || self.method.len() > 16
            || !self.method.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(invalid("@method"));
        }
        let uri = self.target_uri;
        // The serialisation of a URL has no space and nothing outside ASCII; a fragment is not sent, an empty query is none.
        let clean = !uri.is_empty() && bytes::visible(uri.as_bytes()) && !uri.contains('#');
        if !clean || uri.find('?').is_some_and(|at| at + 1 == uri.len()) {
            return Err(invalid("@target-uri"));
        }
        if uri.len() > TARGET_URI_BYTES {
            return Err(Error::limit("a target URI that is too long").at("@target-uri"));
        }
        let mut components = vec![
            ("@method", Cow::Borrowed(self.method)),
            ("@target-uri", Cow::Borrowed(uri)),
            ("content-digest", self.digest()?),
        ];
        let (name, value) = match self.credential()? {
            Credential::Capability(chain) => ("talos-capability", chain),
            Credential::Ticket(ticket) => ("talos-ticket", ticket),
        };
        components.push((name, Cow::Borrowed(header_value(name, value, CREDENTIAL_BYTES)?)));
        for (name, value) in [
            ("mcp-session-id", self.mcp_session_id),
            ("mcp-method", self.mcp_method),
            ("mcp-name", self.mcp_name),
            ("last-event-id", self.last_event_id),
            ("idempotency-key", self.idempotency_key),
        ] {
            if let Some(value) = value {
                components.push((name, Cow::Borrowed(header_value(name, value, COVERED_HEADER_BYTES)?)));
            }
        }
        Ok(components)
    }
}

/// RFC 9421 §2.5.
pub(super) fn signature_base(components: &[Component<'_>], signature_params: &str) -> String {
    let length: usize = components.iter().map(|(name, value)| name.len() + value.len() + 5).sum();
    let mut base = String::with_capacity(length + 23 + signature_params.len());
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
