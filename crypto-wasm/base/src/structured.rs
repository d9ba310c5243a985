//! The little of RFC 8941 that a proof is made of, in exactly one spelling: a byte sequence under the label `talos`,
//! and base64 with padding.
//!
//! Source: contracts/spec/proof.md#signature-input-and-signature.

use crate::{Code, Error, b64};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// base64 (RFC 4648 §4) with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    let mut text = b64::encode_in(ALPHABET, bytes);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The bytes of base64 with padding: the standard alphabet, the right number of `=`, unused bits zero.
///
/// Errors: `MALFORMED`.
pub fn base64_decode(text: &str) -> Result<Vec<u8>, Error> {
    let bad = || Error::malformed("not base64 with padding");
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return Err(bad());
    }
    let url: String = bare
        .chars()
        .map(|c| match c {
            '+' => Ok('-'),
            '/' => Ok('_'),
            '-' | '_' => Err(bad()),
            other => Ok(other),
        })
        .collect::<Result<_, _>>()?;
    b64::decode(&url)
}

/// `Signature: talos=:<base64>:`, printed.
#[must_use]
pub fn print_signature(bytes: &[u8]) -> String {
    format!("talos=:{}:", base64(bytes))
}

/// The bytes of `Signature: talos=:<base64>:`; nothing else may stand in the header.
///
/// Errors: `PROOF_INVALID`, field `signature`.
pub fn parse_signature(text: &str) -> Result<Vec<u8>, Error> {
    text.strip_prefix("talos=:")
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|inner| base64_decode(inner).ok())
        .ok_or_else(|| Error::new(Code::ProofInvalid, "not talos=:base64:").at("signature"))
}

/// An integer as we print it: decimal digits, no sign, no leading zero, at most 2^64 − 1.
#[must_use]
pub fn parse_integer(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(base64_decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn other_spellings_of_base64_are_refused() {
        for text in [
            "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "-_8=", "Zm9v ", " Zm9v", "Zm=v", "Zm9v====", "Zm9vé",
        ] {
            assert!(base64_decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_signature_has_one_spelling() {
        assert_eq!(parse_signature("talos=:Zm9v:").unwrap(), b"foo");
        for text in [
            "talos=:Zm9v",
            "talos=Zm9v",
            "talos=:Zm9v:;a=1",
            "talos=:Zm9v:, talos=:Zm9v:",
            "a=:Zm9v:",
            " talos=:Zm9v:",
            "talos=:Zm9v: ",
            "talos= :Zm9v:",
            "TALOS=:Zm9v:",
            "talos=:Zm9v=:",
            "talos=::Zm9v:",
            "",
        ] {
            assert!(parse_signature(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_have_one_spelling() {
        assert_eq!(parse_integer("0"), Some(0));
        assert_eq!(parse_integer("18446744073709551615"), Some(u64::MAX));
        for text in ["", "00", "01", "+1", "-1", "1.0", "1e3", " 1", "18446744073709551616", "١"] {
            assert_eq!(parse_integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn base64_goes_round(bytes: Vec<u8>) {
            prop_assert_eq!(base64_decode(&base64(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = base64_decode(&text);
            let _ = parse_signature(&text);
            let _ = parse_integer(&text);
        }
    }
}
