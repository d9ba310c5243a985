//! The signed head: which policy and which revocations are in force, and as of when.
//!
//! Source: contracts/spec/in-force.md#head.

use crate::contract::limits::{HEAD_BYTES, HEAD_READ_STALE_MS, HEAD_SKEW_MS, HEAD_WRITE_STALE_MS};
use crate::grant::Class;
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::{Code, Error, b64, jws};

const TYP: &str = "talos-head+jwt";
const SKEW_MS: u64 = HEAD_SKEW_MS.unsigned_abs();

/// What a tenant's object signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it was signed, milliseconds.
    pub as_of_ms: u64,
    /// Hash of the policy's payload, or empty.
    pub policy_hash: String,
    /// Number of the policy; 0 without one.
    pub policy_version: u64,
    /// Hash of the revocation body.
    pub rev_hash: String,
    /// Number of the revocations.
    pub rev_seq: u64,
    /// The tenant.
    pub tenant: String,
}

fn inconsistent(detail: &'static str, field: &str) -> Error {
    Error::new(Code::HeadInconsistent, detail).at(field)
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(MAX_SAFE_INTEGER))
}

fn uint(fields: &mut Fields<'_>, name: &str) -> Result<u64, Error> {
    fields.int(name, 0, MAX_SAFE_INTEGER).map(i64::unsigned_abs)
}

impl Head {
    /// The head as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::obj([
            ("as_of_ms", int(self.as_of_ms)),
            ("policy_hash", Value::str(self.policy_hash.as_str())),
            ("policy_version", int(self.policy_version)),
            ("rev_hash", Value::str(self.rev_hash.as_str())),
            ("rev_seq", int(self.rev_seq)),
            ("tenant", Value::str(self.tenant.as_str())),
        ])
    }

    /// A head from JSON.
    ///
    /// # Errors
    /// `MALFORMED` with the member at fault, also when version 0 has a hash or another version has none.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let head = Self {
            as_of_ms: uint(&mut fields, "as_of_ms")?,
            policy_hash: fields.str("policy_hash")?.to_owned(),
            policy_version: uint(&mut fields, "policy_version")?,
            rev_hash: b64::encode(&fields.b64_32("rev_hash")?),
            rev_seq: uint(&mut fields, "rev_seq")?,
            tenant: fields.str("tenant")?.to_owned(),
        };
        fields.finish()?;
        let whole = if head.policy_version == 0 {
            head.policy_hash.is_empty()
        } else {
            b64::decode32(&head.policy_hash).is_ok()
        };
        if whole { Ok(head) } else { Err(Error::malformed("a policy without its hash").at("policy_hash")) }
    }

    /// Sign the head under a `head` key.
    #[must_use]
    pub fn sign(&self, seed: &[u8; 32], kid: &str) -> String {
        let header = jws::header(TYP, [("kid", Value::str(kid))]);
        jws::sign(seed, &header, json::print(&self.to_value()).as_bytes())
    }

    /// The head in `text`, signed under one of `keys` (kid, public key) for `tenant`.
    ///
    /// # Errors
    /// `head.inconsistent` for whatever is wrong with it.
    pub fn verify(text: &str, keys: &[(&str, [u8; 32])], tenant: &str) -> Result<Self, Error> {
        let bad = |error: Error| error.with_code(Code::HeadInconsistent);
        if text.len() > HEAD_BYTES {
            return Err(inconsistent("a head that is too long", "head"));
        }
        let signed = jws::parse(text).map_err(bad)?;
        let kid = signed.kid(TYP).map_err(bad)?;
        let key = keys.iter().find(|(known, _)| *known == kid).map(|(_, key)| key);
        if !key.is_some_and(|key| signed.verify(key)) {
            return Err(inconsistent("a head by nobody we know", "kid"));
        }
        let head = Self::from_value(&signed.payload().map_err(bad)?).map_err(bad)?;
        if head.tenant != tenant {
            return Err(inconsistent("a head of another tenant", "tenant"));
        }
        Ok(head)
    }

    /// Whether an isolate that knows `seen` may go on to `self` at `now_ms`: no number goes back, and one number has one
    /// hash.
    ///
    /// # Errors
    /// `head.inconsistent` with the member that goes back or differs, or `as_of_ms` for a head of the future.
    pub fn follows(&self, seen: &Self, now_ms: u64) -> Result<(), Error> {
        if self.as_of_ms > now_ms.saturating_add(SKEW_MS) {
            return Err(inconsistent("a head of the future", "as_of_ms"));
        }
        if self.tenant != seen.tenant {
            return Err(inconsistent("a head of another tenant", "tenant"));
        }
        if self.rev_seq < seen.rev_seq {
            return Err(inconsistent("revocations went back", "rev_seq"));
        }
        if self.rev_seq == seen.rev_seq && self.rev_hash != seen.rev_hash {
            return Err(inconsistent("one number with two hashes", "rev_hash"));
        }
        if self.policy_version < seen.policy_version {
            return Err(inconsistent("the policy went back", "policy_version"));
        }
        if self.policy_version == seen.policy_version && self.policy_hash != seen.policy_hash {
            return Err(inconsistent("one number with two hashes", "policy_hash"));
        }
        Ok(())
    }
}

/// Step 8, its last part: a head of `as_of_ms` is young enough to decide about `class`. Destructive and pay calls must
/// besides have asked the object after admission; the caller does so and decides again.
///
/// # Errors
/// `REVOCATION_STALE`: without a head, or beyond 120 s for a read and 30 s for everything above.
pub fn check_age(as_of_ms: Option<u64>, now_ms: u64, class: Class) -> Result<(), Error> {
    let most = if class == Class::Read { HEAD_READ_STALE_MS } else { HEAD_WRITE_STALE_MS };
    let most = most.unsigned_abs();
    let fresh =
        as_of_ms.is_some_and(|as_of| as_of <= now_ms.saturating_add(SKEW_MS) && now_ms.saturating_sub(as_of) <= most);
    if fresh { Ok(()) } else { Err(Error::new(Code::RevocationStale, "what is in force is too old").at("head")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ed25519;
    use crate::hash::sha256_b64;

    const SEED: [u8; 32] = [3; 32];
    const NOW_MS: u64 = 1_000_000;

    fn head() -> Head {
        Head {
            as_of_ms: NOW_MS,
            policy_hash: sha256_b64(b"policy"),
            policy_version: 4,
            rev_hash: sha256_b64(b"rev"),
            rev_seq: 9,
            tenant: "default".into(),
        }
    }

    fn keys() -> Vec<(&'static str, [u8; 32])> {
        vec![("dev-other", ed25519::public(&[8; 32])), ("dev-h", ed25519::public(&SEED))]
    }

    fn field(result: Result<impl std::fmt::Debug, Error>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.code, Code::HeadInconsistent);
        error.field.clone().unwrap_or_default()
    }

    #[test]
    fn a_signed_head_is_read_back() {
        assert_eq!(Head::verify(&head().sign(&SEED, "dev-h"), &keys(), "default").unwrap(), head());
        let empty = Head { policy_version: 0, policy_hash: String::new(), ..head() };
        assert_eq!(Head::verify(&empty.sign(&SEED, "dev-h"), &keys(), "default").unwrap(), empty);
    }

    #[test]
    fn a_head_by_another_key_or_of_another_tenant_is_refused() {
        assert_eq!(field(Head::verify(&head().sign(&[8; 32], "dev-h"), &keys(), "default")), "kid");
        assert_eq!(field(Head::verify(&head().sign(&SEED, "dev-x"), &keys(), "default")), "kid");
        assert_eq!(field(Head::verify(&head().sign(&SEED, "dev-h"), &keys(), "acme")), "tenant");
        assert_eq!(field(Head::verify(&"a".repeat(1_025), &keys(), "default")), "head");
        let unhashed = Head { policy_hash: String::new(), ..head() };
        assert_eq!(field(Head::verify(&unhashed.sign(&SEED, "dev-h"), &keys(), "default")), "policy_hash");
        let promise = jws::sign(&SEED, &jws::header("talos-promise+jwt", [("kid", Value::str("dev-h"))]), b"{}");
        assert_eq!(field(Head::verify(&promise, &keys(), "default")), "typ");
    }

    #[test]
    fn no_number_goes_back_and_one_number_has_one_hash() {
        let next = |change: &dyn Fn(&mut Head)| {
            let mut next = head();
            change(&mut next);
            next.follows(&head(), NOW_MS)
        };
        assert!(next(&|_| ()).is_ok());
        assert!(next(&|head| (head.rev_seq, head.rev_hash) = (10, sha256_b64(b"x"))).is_ok());
        assert!(next(&|head| (head.policy_version, head.policy_hash) = (5, sha256_b64(b"x"))).is_ok());
        assert!(next(&|head| head.as_of_ms = NOW_MS + 5_000).is_ok());
        assert_eq!(field(next(&|head| head.rev_seq = 8)), "rev_seq");
        assert_eq!(field(next(&|head| head.rev_hash = sha256_b64(b"x"))), "rev_hash");
        assert_eq!(field(next(&|head| head.policy_version = 3)), "policy_version");
        assert_eq!(field(next(&|head| head.policy_hash = sha256_b64(b"x"))), "policy_hash");
        assert_eq!(field(next(&|head| head.tenant = "acme".into())), "tenant");
        assert_eq!(field(next(&|head| head.as_of_ms = NOW_MS + 5_001)), "as_of_ms");
    }

    #[test]
    fn a_head_is_too_old_sooner_for_a_write_than_for_a_read() {
        let now = 1_000_000;
        let stale = |age: u64, class| check_age(Some(now - age), now, class).is_err();
        assert!(!stale(120_000, Class::Read) && stale(120_001, Class::Read));
        for class in [Class::Write, Class::Destructive, Class::Pay] {
            assert!(!stale(30_000, class) && stale(30_001, class), "{class:?}");
        }
        assert_eq!(check_age(None, now, Class::Read).unwrap_err().code, Code::RevocationStale);
        assert!(check_age(Some(now + 5_000), now, Class::Read).is_ok());
        assert!(check_age(Some(now + 5_001), now, Class::Read).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert!(Head::verify(&text, &keys(), "default").is_err());
        }
    }
}
