//! Test data that others published, read from the folder that `TALOS_VECTORS_DIR` names. Without it each test says so and
//! proves nothing.

use std::path::Path;

use talos_core::json::{self, Value};
use talos_core::{b64, did, ed25519, hash};

fn read(name: &str) -> Option<Value> {
    let Ok(dir) = std::env::var("TALOS_VECTORS_DIR") else {
        println!("skipped {name}: TALOS_VECTORS_DIR is not set");
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
    value.get(name).and_then(Value::as_str).unwrap()
}

#[test]
fn jcs_of_its_author() {
    let Some(file) = read("jcs/jcs-rfc8785.json") else { return };
    let cases = file.get("cases").and_then(Value::as_obj).unwrap();
    for (name, case) in cases {
        let printed = json::print(&json::parse(text(case, "input").as_bytes()).unwrap());
        assert_eq!(printed, text(case, "output"), "{name}");
    }
    assert_eq!(cases.len(), 6);
}

#[test]
fn wycheproof_ed25519() {
    let Some(file) = read("wycheproof/ed25519_test.json") else { return };
    let (mut valid, mut invalid) = (0, 0);
    for group in file.get("testGroups").and_then(Value::as_arr).unwrap() {
        let key: [u8; 32] = unhex(text(group.get("publicKey").unwrap(), "pk")).try_into().unwrap();
        for test in group.get("tests").and_then(Value::as_arr).unwrap() {
            let signature: Result<[u8; 64], _> = unhex(text(test, "sig")).try_into();
            let verified =
                signature.is_ok_and(|signature| ed25519::verify(&key, &signature, &unhex(text(test, "msg"))));
            match text(test, "result") {
                "valid" => valid += usize::from(verified),
                "invalid" => invalid += usize::from(!verified),
                other => panic!("{other}"),
            }
            assert_eq!(verified, text(test, "result") == "valid", "{test:?}");
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

#[test]
fn base64url_of_the_reference() {
    let Some(file) = read("reference/base64url.json") else { return };
    for case in file.get("valid").and_then(Value::as_arr).unwrap() {
        assert_eq!(b64::encode(&unhex(text(case, "bytes_hex"))), text(case, "encoded"));
        assert_eq!(b64::decode(text(case, "encoded")).unwrap(), unhex(text(case, "bytes_hex")));
    }
    for case in file.get("invalid").and_then(Value::as_arr).unwrap() {
        assert!(b64::decode(case.as_str().unwrap()).is_err(), "{case:?}");
    }
}

#[test]
fn keys_signatures_and_dids_of_the_reference() {
    let Some(file) = read("reference/sdk/signing_verify.json") else { return };
    let case = file.get("vectors").and_then(Value::as_arr).and_then(<[Value]>::first).unwrap();
    let (inputs, expected) = (case.get("inputs").unwrap(), case.get("expected").unwrap());
    let seed: [u8; 32] = unhex(text(inputs, "seed_hex")).try_into().unwrap();
    let (key, message) = (ed25519::public(&seed), text(inputs, "message_utf8").as_bytes());
    assert_eq!(hash::hex(&key), text(expected, "public_key_hex"));
    assert_eq!(b64::encode(&ed25519::sign(&seed, message)), text(expected, "signature_base64url"));
    assert_eq!(did::did_key(&key), text(expected, "did"));
    assert_eq!(did::key_of(text(expected, "did")).unwrap(), Some(key));
    assert!(!ed25519::verify(&key, &ed25519::sign(&seed, message), b"Hello, Talos?"));
}
