//! DIDs: did:key and did:jwk, which encode their key, and did:web, which names a place.
//!
//! Source: contracts/spec/identity.md#dids, W3C did:key, did:jwk and did:web method specifications.

use crate::json::Value;
use crate::limits::DID_BYTES;
use crate::{Error, b64, json, jwk};

pub use crate::jwk::thumbprint;

/// Multicodec of an Ed25519 public key, as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// Characters of base58btc of 34 bytes that begin with `ED25519_PUB`.
const KEY_DIGITS: usize = 47;
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const NO_DIGIT: u8 = 0xff;
const BASE58_DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    // `while` and plain indices: iterators are not const, and a wrong index would fail the build.
    #[allow(clippy::indexing_slicing)]
    while value < 58 {
        table[BASE58[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// The did:key of an Ed25519 public key.
#[must_use]
pub fn did_key(x: &[u8; 32]) -> String {
    let mut bytes = ED25519_PUB.to_vec();
    bytes.extend(x);
    format!("did:key:z{}", base58(&bytes))
}

/// The did:jwk of an Ed25519 public key.
#[must_use]
pub fn did_jwk(x: &[u8; 32]) -> String {
    format!("did:jwk:{}", b64::encode(jwk::text(x).as_bytes()))
}

/// The key that `did` encodes, or `None` for a did:web.
///
/// # Errors
/// `LIMIT_EXCEEDED` above `did_bytes`; `MALFORMED` for another method, another kind of key, a fragment, or any spelling of a key
/// but the one that [`did_key`] or [`did_jwk`] prints.
pub fn key_of(did: &str) -> Result<Option<[u8; 32]>, Error> {
    if did.len() > DID_BYTES {
        return Err(Error::limit("a DID that is too long"));
    }
    let x = if let Some(digits) = did.strip_prefix("did:key:z") {
        return unbase58(digits).map(Some); // 47 digits without leading zeros: one text for one key
    } else if let Some(text) = did.strip_prefix("did:jwk:") {
        jwk::parse(&json::parse(&b64::decode(text)?)?)?
    } else if did.starts_with("did:web:") {
        return web_url(did).map(|_| None);
    } else {
        return Err(Error::malformed("an unknown DID method"));
    };
    // One key has one name: what would be printed otherwise is refused.
    if did == did_jwk(&x) { Ok(Some(x)) } else { Err(Error::malformed("a DID in another spelling")) }
}

/// Where the document of a did:web lies.
///
/// # Errors
/// `MALFORMED` for anything but `did:web:host[%3Aport][:path…]` with a lower-case host.
pub fn web_url(did: &str) -> Result<String, Error> {
    let mut parts = did.strip_prefix("did:web:").ok_or_else(|| Error::malformed("not a did:web"))?.split(':');
    let authority = parts.next().unwrap_or_default();
    let (host, port) = match authority.find('%').and_then(|at| authority.split_at_checked(at)) {
        None => (authority, None),
        Some((host, port)) => {
            let port = port.strip_prefix("%3A").ok_or_else(|| Error::malformed("a did:web with a bad host"))?;
            (host, Some(port))
        }
    };
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(Error::malformed("a did:web with a bad host"));
    }
    let mut url = format!("https://{host}");
    if let Some(port) = port {
        if port.len() > 5
            || port.starts_with('0')
            || !port.bytes().all(|byte| byte.is_ascii_digit())
            || port.parse::<u16>().is_err()
        {
            return Err(Error::malformed("a did:web with a bad port"));
        }
        url.push(':');
        url.push_str(port);
    }
    let mut well_known = true;
    for segment in parts {
        let plain = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain || segment.is_empty() || segment == "." || segment == ".." {
            return Err(Error::malformed("a did:web with a bad path"));
        }
        well_known = false;
        url.push('/');
        url.push_str(segment);
    }
    url.push_str(if well_known { "/.well-known/did.json" } else { "/did.json" });
    Ok(url)
}

/// The did:web of an origin such as `https://talos.example` or `http://localhost:8787`.
///
/// # Errors
/// `MALFORMED` when it is no origin of http or https with a lower-case host.
pub fn web_of_origin(origin: &str) -> Result<String, Error> {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let authority =
        authority.filter(|authority| !authority.contains('%')).ok_or_else(|| Error::malformed("not an origin"))?;
    let did = format!("did:web:{}", authority.replace(':', "%3A"));
    web_url(&did)?;
    Ok(did)
}

/// A DID document with one `JsonWebKey` for each (kid, key), all for assertions; ids are `<did>#<kid>`.
#[must_use]
pub fn document(did: &str, keys: &[(&str, [u8; 32])]) -> Value {
    let id = |kid: &str| Value::Str(format!("{did}#{kid}"));
    let methods = keys.iter().map(|(kid, x)| {
        Value::obj([
            ("id", id(kid)),
            ("type", Value::str("JsonWebKey")),
            ("controller", Value::str(did)),
            ("publicKeyJwk", jwk::value(x)),
        ])
    });
    Value::obj([
        (
            "@context",
            Value::Arr(vec![
                Value::str("https://www.w3.org/ns/did/v1"),
                Value::str("https://w3id.org/security/jwk/v1"),
            ]),
        ),
        ("id", Value::str(did)),
        ("verificationMethod", Value::Arr(methods.collect())),
        ("assertionMethod", Value::Arr(keys.iter().map(|(kid, _)| id(kid)).collect())),
    ])
}

/// The document of a DID that encodes its key, or `None` for a did:web. The key's id is the one of its method: the encoded key
/// again for did:key, `0` for did:jwk.
///
/// # Errors
/// As [`key_of`].
pub fn resolve(did: &str) -> Result<Option<Value>, Error> {
    let Some(x) = key_of(did)? else { return Ok(None) };
    let kid = did.strip_prefix("did:key:").unwrap_or("0");
    Ok(Some(document(did, &[(kid, x)])))
}

/// base58btc. Quadratic, so only for the few bytes of a key.
fn base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::with_capacity(KEY_DIGITS); // little-endian
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = low_byte(carry % 58);
            carry /= 58;
        }
        while carry > 0 {
            digits.push(low_byte(carry % 58));
            carry /= 58;
        }
    }
    // A leading zero byte would be a leading "1"; these bytes begin with 0xed.
    digits.iter().rev().map(|digit| char::from(BASE58.get(usize::from(*digit)).copied().unwrap_or(b'1'))).collect()
}

/// The key behind the 47 digits of a did:key. Five digits at a time, since every link names two DIDs.
fn unbase58(text: &str) -> Result<[u8; 32], Error> {
    let bad = || Error::malformed("a did:key that is no Ed25519 key");
    if text.len() != KEY_DIGITS {
        return Err(bad());
    }
    let mut limbs = [0u32; 9]; // little-endian; 34 bytes and two to spare
    for group in text.as_bytes().chunks(5) {
        let mut scale = 1u64;
        let mut carry = 0u64;
        for character in group {
            let digit = BASE58_DIGITS.get(usize::from(*character)).copied().unwrap_or(NO_DIGIT);
            if digit == NO_DIGIT {
                return Err(bad());
            }
            scale *= 58;
            carry = carry * 58 + u64::from(digit);
        }
        for limb in &mut limbs {
            carry += u64::from(*limb) * scale;
            *limb = low_word(carry);
            carry >>= 32;
        }
    }
    let mut bytes = [0u8; 36];
    for (place, limb) in bytes.chunks_mut(4).zip(limbs.iter().rev()) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    // 58^47 < 2^288, so nothing was carried out; the two spare bytes must be zero.
    match bytes.split_first_chunk::<4>() {
        Some((&[0, 0, 0xed, 0x01], key)) => key.try_into().map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// The low 32 bits.
const fn low_word(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The low 8 bits of what is below 256 by construction.
const fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    /// From the did:key method specification, Ed25519 test vectors.
    const KNOWN: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    #[test]
    fn a_published_did_key_is_read_and_printed() {
        let x = key_of(KNOWN).unwrap().unwrap();
        assert_eq!(b64::encode(&x), "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik");
        assert_eq!(did_key(&x), KNOWN);
        assert_eq!(key_of(&did_jwk(&x)).unwrap(), Some(x));
    }

    #[test]
    fn every_key_has_one_did_key() {
        for byte in 0..=255u8 {
            let x = [byte; 32];
            assert_eq!(key_of(&did_key(&x)).unwrap(), Some(x));
        }
        let extra_one = KNOWN.replace(":z6", ":z16");
        let changed = KNOWN.replace("ooWp", "ooW0");
        for did in [
            extra_one,
            changed,
            KNOWN.replace(":z", ":f"),
            format!("{KNOWN}#key"),
            KNOWN.replace("6Mk", "6LS"),
            String::new(),
        ] {
            assert_eq!(key_of(&did).unwrap_err().code, Code::Malformed, "{did}");
        }
        // 47 digits of the greatest value do not fit 34 bytes.
        assert!(key_of(&format!("did:key:z{}", "z".repeat(47))).is_err());
    }

    #[test]
    fn a_did_jwk_is_canonical_and_holds_only_the_key() {
        let x = [9; 32];
        let other = |text: &str| key_of(&format!("did:jwk:{}", b64::encode(text.as_bytes()))).unwrap_err().code;
        let text = jwk::text(&x);
        assert_eq!(other(&text.replace(',', ", ")), Code::Malformed);
        assert_eq!(other(&text.replace("\"kty\"", "\"alg\":\"EdDSA\",\"kty\"")), Code::Malformed);
        assert_eq!(other(&format!("{text}{text}")), Code::Malformed);
        assert_eq!(key_of(&format!("{}#0", did_jwk(&x))).unwrap_err().code, Code::Malformed);
    }

    #[test]
    fn a_did_web_names_a_place() {
        for (did, url) in [
            ("did:web:example.com", "https://example.com/.well-known/did.json"),
            ("did:web:localhost%3A8787", "https://localhost:8787/.well-known/did.json"),
            ("did:web:example.com:user:alice", "https://example.com/user/alice/did.json"),
            ("did:web:a.example%3A3000:x", "https://a.example:3000/x/did.json"),
        ] {
            assert_eq!(web_url(did).unwrap(), url);
            assert_eq!(key_of(did).unwrap(), None);
        }
        for did in [
            "did:web:",
            "did:web:Example.com",
            "did:web:a..b",
            "did:web:-a",
            "did:web:a-",
            "did:web:a%3a80",
            "did:web:a%3A",
            "did:web:a%3A0",
            "did:web:a%3A70000",
            "did:web:a%3A08",
            "did:web:a:",
            "did:web:a::b",
            "did:web:a:..",
            "did:web:a:b/c",
            "did:web:a:b%2Fc",
            "did:web:a#k",
            "did:web:a/b",
            "did:web:u@a",
            "did:web:a%3A+80",
            "did:webs:a",
        ] {
            assert_eq!(key_of(did).unwrap_err().code, Code::Malformed, "{did}");
        }
        assert_eq!(key_of(&format!("did:web:{}", "a.".repeat(300))).unwrap_err().code, Code::LimitExceeded);
        assert_eq!(web_of_origin("http://127.0.0.1:8787").unwrap(), "did:web:127.0.0.1%3A8787");
        assert_eq!(web_of_origin("https://talos.example").unwrap(), "did:web:talos.example");
        for origin in ["ftp://a", "https://a/b", "https://A", "https://a:b", "https://a%3A80", ""] {
            assert!(web_of_origin(origin).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_document_lists_its_keys_for_assertions() {
        let document = document("did:web:a.example", &[("k1", [1; 32]), ("k2", [2; 32])]);
        let methods = document.get("verificationMethod").and_then(Value::as_arr).unwrap();
        assert_eq!(methods.len(), 2);
        assert_eq!(methods[1].get("id"), Some(&Value::str("did:web:a.example#k2")));
        assert_eq!(methods[1].get("publicKeyJwk"), Some(&jwk::value(&[2; 32])));
        assert_eq!(
            document.get("assertionMethod").and_then(Value::as_arr).unwrap()[0],
            Value::str("did:web:a.example#k1")
        );
        let own = resolve(KNOWN).unwrap().unwrap();
        assert_eq!(
            own.get("assertionMethod").unwrap().as_arr().unwrap()[0],
            Value::Str(format!("{KNOWN}#{}", &KNOWN[8..]))
        );
        assert_eq!(resolve("did:web:a.example").unwrap(), None);
    }
}
