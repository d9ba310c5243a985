//! Ed25519 public keys as JWK, and their thumbprints.
//!
//! Source: contracts/spec/identity.md#keys, RFC 7638, RFC 8037.

use crate::json::{Fields, Value};
use crate::{Error, b64, hash};

/// The canonical text of the key's JWK.
#[must_use]
pub fn text(x: &[u8; 32]) -> String {
    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64::encode(x))
}

/// The key's JWK as a JSON value.
#[must_use]
pub fn value(x: &[u8; 32]) -> Value {
    Value::obj([
        ("crv", Value::Str("Ed25519".into())),
        ("kty", Value::Str("OKP".into())),
        ("x", Value::Str(b64::encode(x))),
    ])
}

/// The key of a JWK that has exactly the members `crv`, `kty` and `x`.
///
/// # Errors
/// `MALFORMED` for any other member, another curve, or an `x` that is not 32 bytes.
pub fn parse(jwk: &Value) -> Result<[u8; 32], Error> {
    let mut fields = Fields::new(jwk)?;
    if fields.str("crv")? != "Ed25519" {
        return Err(Error::malformed("another curve").at("crv"));
    }
    if fields.str("kty")? != "OKP" {
        return Err(Error::malformed("another kind of key").at("kty"));
    }
    let x = b64::decode32(fields.str("x")?).map_err(|error| error.at("x"))?;
    fields.finish()?;
    Ok(x)
}

/// The RFC 7638 thumbprint, base64url: `jkt`.
#[must_use]
pub fn thumbprint(x: &[u8; 32]) -> String {
    hash::sha256_b64(text(x).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// RFC 8037 appendix A.3.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let x = b64::decode32(X).unwrap();
        assert_eq!(thumbprint(&x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(json::print(&value(&x)), text(&x));
        assert_eq!(parse(&value(&x)).unwrap(), x);
    }

    #[test]
    fn a_jwk_with_another_member_curve_or_length_is_refused() {
        for (jwk, field) in [
            (format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{X}","kid":"a"}}"#), "kid"),
            (format!(r#"{{"crv":"X25519","kty":"OKP","x":"{X}"}}"#), "crv"),
            (format!(r#"{{"crv":"Ed25519","kty":"EC","x":"{X}"}}"#), "kty"),
            (r#"{"crv":"Ed25519","kty":"OKP","x":"AA"}"#.to_owned(), "x"),
            (r#"{"crv":"Ed25519","kty":"OKP"}"#.to_owned(), "x"),
        ] {
            let error = parse(&json::parse(jwk.as_bytes()).unwrap()).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field), "{jwk}");
        }
    }
}
