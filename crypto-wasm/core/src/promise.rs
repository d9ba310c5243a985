//! The log's promise that an event is durable.
//!
//! Source: contracts/spec/audit.md#promise.

use crate::contract::limits::PROMISE_BYTES;
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::{Code, Error, b64, jws, uuidv7};

const TYP: &str = "talos-promise+jwt";
/// Bytes of a log's name.
const LOG_BYTES: usize = 128;
/// The longest delay that a promise may name, seconds.
const MAX_DELAY_SECONDS: i64 = 3_600;

/// What is promised: this leaf has this place in this log, and will be published in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The event.
    pub event_id: String,
    /// Its leaf hash.
    pub leaf: [u8; 32],
    /// Name of the log.
    pub log: String,
    /// Publication is promised within this time.
    pub max_delay_seconds: i64,
    /// Its place in the log.
    pub seq: i64,
    /// When it was durable, milliseconds.
    pub time_ms: i64,
}

impl Promise {
    /// A promise from JSON.
    ///
    /// # Errors
    /// `MALFORMED` with the member at fault.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let promise = Self {
            event_id: fields.str("event_id")?.to_owned(),
            leaf: fields.b64_32("leaf")?,
            log: fields.str("log")?.to_owned(),
            max_delay_seconds: fields.int("max_delay_seconds", 1, MAX_DELAY_SECONDS)?,
            seq: fields.int("seq", 0, MAX_SAFE_INTEGER)?,
            time_ms: fields.int("time_ms", 0, MAX_SAFE_INTEGER)?,
        };
        fields.finish()?;
        if !uuidv7::valid(&promise.event_id) {
            return Err(Error::malformed("not a UUIDv7").at("event_id"));
        }
        if !(1..=LOG_BYTES).contains(&promise.log.len()) {
            return Err(Error::malformed("not a log's name").at("log"));
        }
        Ok(promise)
    }

    /// The promise as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::obj([
            ("event_id", Value::str(self.event_id.as_str())),
            ("leaf", Value::Str(b64::encode(&self.leaf))),
            ("log", Value::str(self.log.as_str())),
            ("max_delay_seconds", Value::Int(self.max_delay_seconds)),
            ("seq", Value::Int(self.seq)),
            ("time_ms", Value::Int(self.time_ms)),
        ])
    }

    /// Sign it under a `promise` key. The same promise under the same key gives the same bytes.
    #[must_use]
    pub fn sign(&self, seed: &[u8; 32], kid: &str) -> String {
        let header = jws::header(TYP, [("kid", Value::str(kid))]);
        jws::sign(seed, &header, json::print(&self.to_value()).as_bytes())
    }

    /// The promise in `text`, signed under one of `keys` (kid, public key).
    ///
    /// # Errors
    /// `MALFORMED` for its shape, `SIGNATURE_INVALID` for an unknown key or a wrong signature.
    pub fn verify(text: &str, keys: &[(&str, [u8; 32])]) -> Result<Self, Error> {
        Self::from_value(&verified(text, TYP, PROMISE_BYTES, keys)?)
    }
}

/// The payload of an artefact of ours that names its key: signed under one of `keys` (kid, public key), and canonical.
///
/// # Errors
/// `LIMIT_EXCEEDED`, `MALFORMED`, or `SIGNATURE_INVALID` with field `kid`.
pub(crate) fn verified(text: &str, typ: &str, most: usize, keys: &[(&str, [u8; 32])]) -> Result<Value, Error> {
    if text.len() > most {
        return Err(Error::limit("an artefact that is too long"));
    }
    let signed = jws::parse(text)?;
    let kid = signed.kid(typ)?;
    let key = keys.iter().find(|(known, _)| *known == kid).map(|(_, key)| key);
    if !key.is_some_and(|key| signed.verify(key)) {
        return Err(Error::new(Code::SignatureInvalid, "signed by nobody we know").at("kid"));
    }
    let payload = signed.payload()?;
    if json::print(&payload).as_bytes() == signed.payload_bytes {
        Ok(payload)
    } else {
        Err(Error::malformed("not in canonical form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ed25519;

    const SEED: [u8; 32] = [5; 32];

    fn promise() -> Promise {
        Promise {
            event_id: "0190a5e0-7c3a-7000-8000-000000000001".into(),
            leaf: [1; 32],
            log: "default".into(),
            max_delay_seconds: 60,
            seq: 0,
            time_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_promise_is_read_back_and_repeats_byte_for_byte() {
        let text = promise().sign(&SEED, "dev-p");
        assert_eq!(text, promise().sign(&SEED, "dev-p"));
        let keys = [("dev-p", ed25519::public(&SEED))];
        assert_eq!(Promise::verify(&text, &keys).unwrap(), promise());
        assert_eq!(Promise::verify(&text, &[("dev-q", keys[0].1)]).unwrap_err().code, Code::SignatureInvalid);
        assert_eq!(Promise::verify(&text, &[("dev-p", [9; 32])]).unwrap_err().code, Code::SignatureInvalid);
    }

    #[test]
    fn what_is_no_promise_is_refused() {
        let refused = |change: &dyn Fn(&mut Promise)| {
            let mut changed = promise();
            change(&mut changed);
            Promise::from_value(&changed.to_value()).unwrap_err().field.clone().unwrap()
        };
        assert_eq!(refused(&|promise| promise.event_id = "x".into()), "event_id");
        assert_eq!(refused(&|promise| promise.log = String::new()), "log");
        assert_eq!(refused(&|promise| promise.max_delay_seconds = 0), "max_delay_seconds");
        assert_eq!(refused(&|promise| promise.seq = -1), "seq");
        assert_eq!(refused(&|promise| promise.time_ms = -1), "time_ms");
    }
}
