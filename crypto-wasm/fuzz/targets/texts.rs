//! Everything that has one spelling: what reads is printed as it was read.

use talos_core::cursor::Cursor;
use talos_core::revocation::Entry;
use talos_core::{b64, did, json, jwk, jws, path, scope, structured, uuidv7};

/// Scope strings.
pub fn scope(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(grant) = scope::parse(text) else { return };
    assert_eq!(scope::print(&grant).as_deref(), Ok(text));
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e); // RFC 6749 §3.3
    assert!(text.bytes().all(allowed));
    assert_eq!(talos_core::grant::Grant::parse(&grant.value()), Ok(grant));
}

/// The rest; each reader sees every input.
pub fn run(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(bytes) = b64::decode(text) {
        assert_eq!(b64::encode(&bytes), text);
    }
    if let Ok(bytes) = structured::base64_decode(text) {
        assert_eq!(structured::base64(&bytes), text);
    }
    if let Ok(bytes) = structured::parse_signature(text) {
        assert_eq!(structured::print_signature(&bytes), text);
    }
    if let Some(number) = structured::parse_integer(text) {
        assert_eq!(number.to_string(), text);
    }
    if let Ok(cursor) = Cursor::parse(text) {
        assert_eq!(cursor.print(), text);
    }
    if let Ok(entry) = Entry::parse(text) {
        assert_eq!(entry.print(), text);
        assert!(text.starts_with(&entry.item()));
    }
    if uuidv7::valid(text) {
        assert!(text.len() == 36 && text.as_bytes()[14] == b'7' && text == text.to_ascii_lowercase());
    }
    match did::key_of(text) {
        Ok(Some(key)) => assert!(text == did::did_key(&key) || text == did::did_jwk(&key)),
        Ok(None) => {
            let url = did::web_url(text).expect("a did:web has an address");
            assert!(url.starts_with("https://") && url.ends_with("/did.json"), "{url}");
            assert!(!url.split('/').any(|segment| matches!(segment, "." | "..")), "{url}");
            assert!(url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_.".contains(&byte)), "{url}");
        }
        Err(_) => assert!(did::resolve(text).is_err()),
    }
    if let Ok(did) = did::web_of_origin(text) {
        assert!(did::web_url(&did).is_ok());
    }
    if let Ok(path) = path::from_uri(text) {
        assert!(path::is_path(&path) && !path.contains(['?', '#']));
        assert!(!path.split('/').any(|segment| matches!(segment, "" | "." | "..")), "{path}");
    }
    if let Ok(value) = json::parse(data)
        && let Ok(key) = jwk::parse(&value)
    {
        assert_eq!(json::print(&value), jwk::text(&key));
    }
    if let Ok(read) = jws::parse(text) {
        let signature = b64::encode(&read.signature);
        let input = core::str::from_utf8(&read.signing_input).expect("ASCII");
        assert_eq!(format!("{input}.{signature}"), text);
    }
}
