//! Test data that others published on what the gateway seals, agrees, records and matches, read from the folder that
//! `TALOS_VECTORS_DIR` names. Without it each test says so and proves nothing.

use std::path::Path;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use talos_core::json::{self, Value};
use talos_core::{Code, cursor, event, hash, session, uuidv7};
use x25519_dalek::{PublicKey, StaticSecret};

fn read(name: &str) -> Option<Value> {
    let Ok(dir) = std::env::var("TALOS_VECTORS_DIR") else {
        println!("skipped: {name}: TALOS_VECTORS_DIR is not set");
        return None;
    };
    let path = Path::new(&dir).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(json::parse(&bytes).unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {value:?}"))
}

fn arr<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_arr).unwrap_or_else(|| panic!("no {name}"))
}

/// Every test of a Wycheproof file with its group.
fn tests(file: &Value) -> Vec<(&Value, &Value)> {
    arr(file, "testGroups").iter().flat_map(|group| arr(group, "tests").iter().map(move |test| (group, test))).collect()
}

#[test]
fn wycheproof_x25519() {
    let Some(file) = read("wycheproof/x25519_test.json") else { return };
    let (mut agreed, mut refused) = (0, 0);
    for (_, test) in tests(&file) {
        let secret: [u8; 32] = unhex(text(test, "private")).try_into().unwrap();
        let peer: [u8; 32] = unhex(text(test, "public")).try_into().unwrap();
        let shared = StaticSecret::from(secret).diffie_hellman(&PublicKey::from(peer));
        assert_eq!(hash::hex(shared.as_bytes()), text(test, "shared"), "{test:?}");
        let link = hash::sha256_b64(b"link");
        let binding = session::Binding {
            session_id: &[0; 16],
            client_share: &peer,
            server_share: &session::share(&secret),
            link: &link,
            gateway: "did:web:a",
            aud: "aud",
        };
        let zero = arr(test, "flags").iter().any(|flag| flag.as_str() == Some("ZeroSharedSecret"));
        match session::mac_key(&secret, &peer, &binding) {
            Ok(_) => agreed += usize::from(!zero),
            Err(error) => {
                assert_eq!(error.code, Code::ProofInvalid);
                refused += usize::from(zero);
            }
        }
    }
    assert_eq!(agreed + refused, 518, "every all-zero result is refused, everything else agreed");
    assert!(refused > 0);
}

#[test]
fn wycheproof_hkdf_sha256() {
    let Some(file) = read("wycheproof/hkdf_sha256_test.json") else { return };
    for (_, test) in tests(&file) {
        let size = usize::try_from(test.get("size").and_then(Value::as_u64).unwrap()).unwrap();
        let mut okm = vec![0; size];
        let hkdf = Hkdf::<Sha256>::new(Some(&unhex(text(test, "salt"))), &unhex(text(test, "ikm")));
        let expanded = hkdf.expand(&unhex(text(test, "info")), &mut okm).is_ok();
        let right = expanded && hash::hex(&okm) == text(test, "okm");
        assert_eq!(right, text(test, "result") == "valid", "{test:?}");
    }
}

#[test]
fn wycheproof_hmac_sha256() {
    let Some(file) = read("wycheproof/hmac_sha256_test.json") else { return };
    for (_, test) in tests(&file) {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&unhex(text(test, "key"))).unwrap();
        mac.update(&unhex(text(test, "msg")));
        // The file has truncated tags too; ours are never truncated, which the proof's own tests hold.
        let right = mac.verify_truncated_left(&unhex(text(test, "tag"))).is_ok();
        assert_eq!(right, text(test, "result") == "valid", "{test:?}");
    }
}

#[test]
fn wycheproof_chacha20_poly1305() {
    let Some(file) = read("wycheproof/chacha20_poly1305_test.json") else { return };
    let mut opened = 0;
    for (group, test) in tests(&file) {
        if group.get("ivSize").and_then(Value::as_u64) != Some(96) {
            assert_eq!(text(test, "result"), "invalid", "our nonce has 96 bits");
            continue;
        }
        let key = Key::from(<[u8; 32]>::try_from(unhex(text(test, "key"))).unwrap());
        let nonce = Nonce::from(<[u8; 12]>::try_from(unhex(text(test, "iv"))).unwrap());
        let mut sealed = unhex(text(test, "ct"));
        sealed.extend(unhex(text(test, "tag")));
        let aad = unhex(text(test, "aad"));
        let plain = ChaCha20Poly1305::new(&key).decrypt(&nonce, Payload { msg: &sealed, aad: &aad });
        let right = plain.is_ok_and(|plain| hash::hex(&plain) == text(test, "msg"));
        assert_eq!(right, text(test, "result") == "valid", "{test:?}");
        opened += usize::from(right);
    }
    assert_eq!(opened, 256);
}

#[test]
fn events_of_the_reference() {
    let Some(file) = read("reference/audit_event_vectors.json") else { return };
    for test in arr(&file, "tests") {
        let event = test.get("event_without_hash").unwrap();
        assert_eq!(hash::hex(json::print(event).as_bytes()), text(test, "canonical_bytes_hex"));
        assert_eq!(event::event_hash(event).unwrap(), text(test, "event_hash"), "{}", text(test, "name"));
    }
}

#[test]
fn cursors_of_the_reference() {
    let Some(file) = read("reference/cursor_derivation.json") else { return };
    for case in file.as_arr().unwrap() {
        // The reference counts seconds, we count milliseconds; the text is made alike.
        let ts_ms = case.get("timestamp").and_then(Value::as_u64).unwrap();
        let cursor = cursor::Cursor { ts_ms, event_id: text(case, "event_id").into() };
        assert_eq!(cursor.print(), text(case, "expected_cursor"));
        assert_eq!(cursor::Cursor::parse(text(case, "expected_cursor")).unwrap(), cursor);
    }
}

#[test]
fn uuidv7_of_the_reference() {
    let Some(file) = read("reference/uuidv7.json") else { return };
    for (list, valid) in [("valid", true), ("invalid", false)] {
        for id in arr(&file, list) {
            assert_eq!(uuidv7::valid(id.as_str().unwrap()), valid, "{id:?}");
        }
    }
}

#[test]
fn scopes_of_the_reference() {
    let Some(file) = read("reference/rbac/scope_match_vectors.json") else { return };
    for case in arr(&file, "vectors") {
        let (binding, required) = (case.get("binding_scope").unwrap(), case.get("required_scope").unwrap());
        let pairs = |scope: &Value| -> Vec<(String, String)> {
            let members = scope.get("attributes").and_then(Value::as_obj).unwrap();
            members.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
        };
        let scope =
            talos_core::roles::Scope::Of { kind: text(binding, "scope_type").into(), attributes: pairs(binding) };
        let wanted = pairs(required);
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let found = scope.specificity(text(required, "scope_type"), &wanted);
        let matches = case.get("should_match").and_then(Value::as_bool).unwrap();
        let expected = case.get("specificity").and_then(Value::as_u64).map(|sum| usize::try_from(sum).unwrap());
        assert_eq!(found, expected.filter(|_| matches), "{}", text(case, "id"));
    }
}
