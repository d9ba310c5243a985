//! Compact JWS with `alg: EdDSA`, strict in every part.
//!
//! Source: RFC 7515 §3.1, RFC 8037 §3.1; contracts/spec/capability.md#link, contracts/spec/in-force.md.

use crate::ed25519::{self, Check};
use crate::json::{self, Fields, Value};
use crate::{Error, b64, jwk};

/// A compact JWS that was read and not yet verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Jws {
    /// The protected header; its `alg` is `EdDSA`.
    pub header: Value,
    /// The payload's bytes.
    pub payload_bytes: Vec<u8>,
    /// The bytes that are signed: the two first parts as they travel.
    pub signing_input: Vec<u8>,
    /// R and S.
    pub signature: [u8; 64],
}

/// Reads a compact JWS. Nothing is verified.
///
/// # Errors
/// `MALFORMED` when it is not three parts of strict base64url, the header is no JSON object with `alg` `EdDSA`, or the signature
/// is not 64 bytes.
pub fn parse(text: &str) -> Result<Jws, Error> {
    let bad = || Error::malformed("not a compact JWS");
    let (signing_input, signature) = text.rsplit_once('.').ok_or_else(bad)?;
    let (header, payload) = signing_input.split_once('.').ok_or_else(bad)?;
    let header = json::parse_signed(&b64::decode(header)?)?;
    if header.get("alg").and_then(Value::as_str) != Some("EdDSA") {
        return Err(Error::malformed("a JWS with another alg").at("alg"));
    }
    Ok(Jws {
        header,
        payload_bytes: b64::decode(payload)?,
        signing_input: signing_input.as_bytes().to_vec(),
        signature: b64::decode(signature)?.try_into().map_err(|_| bad())?,
    })
}

impl Jws {
    /// Requires the header to be exactly `alg` and this `typ`.
    ///
    /// # Errors
    /// `MALFORMED` for another type or any other member.
    pub fn bare(&self, typ: &str) -> Result<(), Error> {
        self.fields(typ)?.finish()
    }

    /// Requires the header to be exactly `alg`, this `typ` and a `kid`, and gives the kid.
    ///
    /// # Errors
    /// `MALFORMED` for another type or other members.
    pub fn kid(&self, typ: &str) -> Result<&str, Error> {
        let mut fields = self.fields(typ)?;
        let kid = fields.str("kid")?;
        fields.finish()?;
        Ok(kid)
    }

    /// Requires the header to be exactly `alg`, this `typ` and a `jwk`, and gives the key.
    ///
    /// # Errors
    /// `MALFORMED` for another type, other members or a bad key.
    pub fn jwk(&self, typ: &str) -> Result<[u8; 32], Error> {
        let mut fields = self.fields(typ)?;
        let key = jwk::parse(fields.value("jwk")?).map_err(|error| error.at("jwk"))?;
        fields.finish()?;
        Ok(key)
    }

    fn fields(&self, typ: &str) -> Result<Fields<'_>, Error> {
        let mut fields = Fields::new(&self.header)?;
        fields.value("alg")?; // `EdDSA`, see `parse`
        if fields.str("typ")? == typ { Ok(fields) } else { Err(Error::malformed("a JWS of another type").at("typ")) }
    }

    /// The payload as JSON of something signed.
    ///
    /// # Errors
    /// `MALFORMED` as [`json::parse_signed`].
    pub fn payload(&self) -> Result<Value, Error> {
        json::parse_signed(&self.payload_bytes)
    }

    /// What has to be verified under `key`.
    #[must_use]
    pub fn check(&self, key: [u8; 32]) -> Check {
        Check { key, signature: self.signature, message: self.signing_input.clone() }
    }

    /// Verifies the signature under `key` by the Ed25519 profile.
    #[must_use]
    pub fn verify(&self, key: &[u8; 32]) -> bool {
        ed25519::verify(key, &self.signature, &self.signing_input)
    }
}

/// Signs `payload` under a header, which is printed canonically and must hold `alg` `EdDSA`; see [`header`].
#[must_use]
pub fn sign(seed: &[u8; 32], header: &Value, payload: &[u8]) -> String {
    let mut text = b64::encode(json::print(header).as_bytes());
    text.push('.');
    text.push_str(&b64::encode(payload));
    let signature = ed25519::sign(seed, text.as_bytes());
    text.push('.');
    text.push_str(&b64::encode(&signature));
    text
}

/// A header `alg` `EdDSA` with this type and these further members.
#[must_use]
pub fn header<const N: usize>(typ: &str, more: [(&str, Value); N]) -> Value {
    Value::obj([("alg", Value::str("EdDSA")), ("typ", Value::str(typ))].into_iter().chain(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 32] = [7; 32];

    #[test]
    fn what_is_signed_verifies_and_gives_its_payload_back() {
        let text = sign(&SEED, &header("t+jwt", []), br#"{"a":1}"#);
        let jws = parse(&text).unwrap();
        let key = ed25519::public(&SEED);
        assert!(jws.verify(&key) && jws.check(key).verify());
        assert!(!jws.verify(&ed25519::public(&[8; 32])));
        assert_eq!(jws.payload().unwrap(), Value::obj([("a", Value::Int(1))]));
        assert!(jws.bare("t+jwt").is_ok());
        assert!(jws.bare("other+jwt").is_err() && jws.kid("t+jwt").is_err() && jws.jwk("t+jwt").is_err());
    }

    #[test]
    fn the_header_has_exactly_the_members_of_its_form() {
        let key = ed25519::public(&SEED);
        let with_kid = parse(&sign(&SEED, &header("t", [("kid", Value::str("k"))]), b"{}")).unwrap();
        assert_eq!(with_kid.kid("t").unwrap(), "k");
        assert!(with_kid.bare("t").is_err());
        let with_jwk = parse(&sign(&SEED, &header("t", [("jwk", jwk::value(&key))]), b"{}")).unwrap();
        assert_eq!(with_jwk.jwk("t").unwrap(), key);
        let both =
            parse(&sign(&SEED, &header("t", [("jwk", jwk::value(&key)), ("kid", Value::str("k"))]), b"{}")).unwrap();
        assert!(both.jwk("t").is_err() && both.kid("t").is_err());
    }

    #[test]
    fn every_changed_byte_and_every_other_spelling_is_refused() {
        let text = sign(&SEED, &header("t", []), b"{}");
        let key = ed25519::public(&SEED);
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(!parse(&changed).is_ok_and(|jws| jws.verify(&key)), "byte {index}");
        }
        for changed in [
            format!("{text}="),
            format!("{text}."),
            format!(".{text}"),
            text.replacen('.', "", 1),
            text.replace('.', ""),
            format!("{text} "),
        ] {
            assert!(parse(&changed).is_err(), "{changed}");
        }
        let none = sign(&SEED, &Value::obj([("alg", Value::str("none")), ("typ", Value::str("t"))]), b"{}");
        assert_eq!(parse(&none).unwrap_err().field.as_deref(), Some("alg"));
    }
}
