//! Receipts: a signed decision, with everything that is needed to take it again.
//!
//! Source: contracts/spec/audit.md#receipt.

use crate::contract::limits::{CHAIN_LINKS, RECEIPT_BYTES};
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::promise::verified;
use crate::{Error, b64, jws, uuidv7};

const TYP: &str = "talos-receipt+jwt";

/// What was decided, about what, and under what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether the request may go on.
    pub allow: bool,
    /// `OK`, or the first check that failed.
    pub code: String,
    /// Hash of the core that decided, base64url.
    pub core: String,
    /// The recorded decision.
    pub event_id: String,
    /// Link ids, root first.
    pub links: Vec<String>,
    /// Hash of the policy; empty without one.
    pub policy_hash: String,
    /// Number of the policy.
    pub policy_version: i64,
    /// Hash of the signature base.
    pub proof_hash: String,
    /// Hash of the request's body.
    pub request_hash: String,
    /// When the head was signed, milliseconds.
    pub rev_as_of_ms: i64,
    /// Number of the revocations.
    pub rev_seq: i64,
    /// The tenant.
    pub tenant: String,
    /// When it was decided, milliseconds.
    pub time_ms: i64,
}

impl Receipt {
    /// A receipt from JSON.
    ///
    /// # Errors
    /// `MALFORMED` with the member at fault, also when `allow` and `code` contradict each other.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let hash = |fields: &mut Fields<'_>, name: &str| fields.b64_32(name).map(|bytes| b64::encode(&bytes));
        let number = |fields: &mut Fields<'_>, name: &str| fields.int(name, 0, MAX_SAFE_INTEGER);
        let links = fields.arr("links")?;
        if !(1..=CHAIN_LINKS).contains(&links.len()) {
            return Err(Error::malformed("not 1 to 8 links").at("links"));
        }
        let link = |value: &Value| {
            let id = value.as_str().filter(|id| b64::decode32(id).is_ok()).map(str::to_owned);
            id.ok_or_else(|| Error::malformed("not a link id").at("links"))
        };
        let receipt = Self {
            allow: fields.bool("allow")?,
            code: fields.str("code")?.to_owned(),
            core: hash(&mut fields, "core")?,
            event_id: fields.str("event_id")?.to_owned(),
            links: links.iter().map(link).collect::<Result<_, _>>()?,
            policy_hash: match fields.str("policy_hash")? {
                "" => String::new(),
                _ => hash(&mut fields, "policy_hash")?,
            },
            policy_version: number(&mut fields, "policy_version")?,
            proof_hash: hash(&mut fields, "proof_hash")?,
            request_hash: hash(&mut fields, "request_hash")?,
            rev_as_of_ms: number(&mut fields, "rev_as_of_ms")?,
            rev_seq: number(&mut fields, "rev_seq")?,
            tenant: fields.str("tenant")?.to_owned(),
            time_ms: number(&mut fields, "time_ms")?,
        };
        fields.finish()?;
        if !uuidv7::valid(&receipt.event_id) {
            return Err(Error::malformed("not a UUIDv7").at("event_id"));
        }
        let known = crate::contract::DECISION_CODES.contains(&receipt.code.as_str()) || receipt.code == "OK";
        if !known || receipt.allow != (receipt.code == "OK") {
            return Err(Error::malformed("not the code of such a decision").at("code"));
        }
        Ok(receipt)
    }

    /// The receipt as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let text = |text: &String| Value::str(text.as_str());
        Value::obj([
            ("allow", Value::Bool(self.allow)),
            ("code", text(&self.code)),
            ("core", text(&self.core)),
            ("event_id", text(&self.event_id)),
            ("links", Value::Arr(self.links.iter().map(text).collect())),
            ("policy_hash", text(&self.policy_hash)),
            ("policy_version", Value::Int(self.policy_version)),
            ("proof_hash", text(&self.proof_hash)),
            ("request_hash", text(&self.request_hash)),
            ("rev_as_of_ms", Value::Int(self.rev_as_of_ms)),
            ("rev_seq", Value::Int(self.rev_seq)),
            ("tenant", text(&self.tenant)),
            ("time_ms", Value::Int(self.time_ms)),
        ])
    }

    /// Sign it under a `receipt` key.
    #[must_use]
    pub fn sign(&self, seed: &[u8; 32], kid: &str) -> String {
        let header = jws::header(TYP, [("kid", Value::str(kid))]);
        jws::sign(seed, &header, json::print(&self.to_value()).as_bytes())
    }

    /// The receipt in `text`, signed under one of `keys` (kid, public key).
    ///
    /// # Errors
    /// `MALFORMED` for its shape, `SIGNATURE_INVALID` for an unknown key or a wrong signature.
    pub fn verify(text: &str, keys: &[(&str, [u8; 32])]) -> Result<Self, Error> {
        Self::from_value(&verified(text, TYP, RECEIPT_BYTES, keys)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256_b64;
    use crate::{Code, ed25519};

    const SEED: [u8; 32] = [6; 32];

    fn receipt() -> Receipt {
        Receipt {
            allow: true,
            code: "OK".into(),
            core: sha256_b64(b"core"),
            event_id: "0190a5e0-7c3a-7000-8000-000000000001".into(),
            links: vec![sha256_b64(b"link")],
            policy_hash: sha256_b64(b"policy"),
            policy_version: 3,
            proof_hash: sha256_b64(b"proof"),
            request_hash: sha256_b64(b"request"),
            rev_as_of_ms: 1_700_000_000_000,
            rev_seq: 9,
            tenant: "default".into(),
            time_ms: 1_700_000_000_001,
        }
    }

    #[test]
    fn a_receipt_is_read_back_under_its_key_only() {
        let text = receipt().sign(&SEED, "dev-r");
        assert_eq!(Receipt::verify(&text, &[("dev-r", ed25519::public(&SEED))]).unwrap(), receipt());
        let other = Receipt::verify(&text, &[("dev-r", ed25519::public(&[7; 32]))]);
        assert_eq!(other.unwrap_err().code, Code::SignatureInvalid);
        let denied = Receipt { allow: false, code: "ROLE_DENIED".into(), policy_hash: String::new(), ..receipt() };
        assert_eq!(Receipt::from_value(&denied.to_value()).unwrap(), denied);
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let refused = |change: &dyn Fn(&mut Receipt)| {
            let mut changed = receipt();
            change(&mut changed);
            Receipt::from_value(&changed.to_value()).unwrap_err().field.clone().unwrap()
        };
        assert_eq!(refused(&|receipt| receipt.allow = false), "code");
        assert_eq!(refused(&|receipt| receipt.code = "REVOKED".into()), "code");
        assert_eq!(refused(&|receipt| receipt.code = "audit.unavailable".into()), "code");
        assert_eq!(refused(&|receipt| receipt.core = "x".into()), "core");
        assert_eq!(refused(&|receipt| receipt.links.clear()), "links");
        assert_eq!(refused(&|receipt| receipt.links = vec!["x".into()]), "links");
        assert_eq!(refused(&|receipt| receipt.policy_hash = "x".into()), "policy_hash");
        assert_eq!(refused(&|receipt| receipt.event_id = "x".into()), "event_id");
        assert_eq!(refused(&|receipt| receipt.rev_seq = -1), "rev_seq");
    }
}
