//! The vectors of contracts/vectors, computed by an implementation that shares nothing with this one.

use std::path::PathBuf;

use talos_core::attenuate;
use talos_core::chain::Chain;
use talos_core::contain::{contains, implies};
use talos_core::decide::{Args, Decision, Need, Resource};
use talos_core::grant::{Atom, Class, Grant, parse_grants};
use talos_core::json::{self, Value};
use talos_core::path::{Pattern, from_uri, is_path};
use talos_core::trust::Trust;
use talos_core::{Error, b64, did, ed25519, hash, jwk, link, scope};

fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/vectors").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cases(file: &Value) -> &[Value] {
    let cases = file.get("cases").and_then(Value::as_arr).unwrap();
    assert!(!cases.is_empty());
    cases
}

#[track_caller]
fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {case:?}"))
}

fn flag(case: &Value, name: &str) -> bool {
    case.get(name).and_then(Value::as_bool).unwrap_or_else(|| panic!("no {name} in {case:?}"))
}

fn name(case: &Value) -> &str {
    text(case, "name")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn grants(case: &Value, name: &str) -> Vec<Grant> {
    parse_grants(case.get(name).and_then(Value::as_arr).unwrap(), 64)
        .unwrap_or_else(|error| panic!("{error}: {case:?}"))
}

#[test]
fn base64url() {
    for case in cases(&file("encoding/base64url.json")) {
        let read = b64::decode(text(case, "text"));
        assert_eq!(read.is_ok(), flag(case, "valid"), "{}", name(case));
        if let Ok(bytes) = read {
            assert_eq!(hash::hex(&bytes), text(case, "bytes_hex"));
            assert_eq!(b64::encode(&bytes), text(case, "text"));
        }
    }
}

/// The table that the other runtimes are held to, too: crypto-wasm/ed25519.test.ts and ed25519.worker.test.ts.
#[test]
fn signatures_on_which_verifiers_disagree() {
    let file = file("identity/ed25519.json");
    for case in cases(&file) {
        let [key, message, signature] = ["key_hex", "message_hex", "signature_hex"].map(|name| unhex(text(case, name)));
        let verified = match (<[u8; 32]>::try_from(key), <[u8; 64]>::try_from(signature)) {
            (Ok(key), Ok(signature)) => ed25519::verify(&key, &signature, &message),
            _ => false,
        };
        assert_eq!(verified, flag(case, "valid"), "{}", name(case));
    }
    assert_eq!(cases(&file).len(), 134);
}

#[test]
fn json_and_its_canonical_form() {
    for case in cases(&file("encoding/json.json")) {
        let bytes = match case.get("input_hex").and_then(Value::as_str) {
            Some(hex) => unhex(hex),
            None => text(case, "input").as_bytes().to_vec(),
        };
        match json::parse(&bytes) {
            Ok(value) => {
                assert!(flag(case, "valid"), "{}", name(case));
                assert_eq!(json::print(&value), text(case, "canonical"), "{}", name(case));
                assert_eq!(json::parse_signed(&bytes).is_ok(), flag(case, "integers_only"), "{}", name(case));
            }
            Err(error) => {
                assert!(!flag(case, "valid"), "{}: {error}", name(case));
                assert_eq!(error.code.as_str(), text(case, "code"), "{}", name(case));
            }
        }
    }
}

#[test]
fn uuids() {
    for case in cases(&file("encoding/uuidv7.json")) {
        assert_eq!(link::is_uuid_v7(text(case, "text")), flag(case, "valid"), "{}", name(case));
    }
}

#[test]
fn keys() {
    for case in cases(&file("identity/keys.json")) {
        let seed = b64::decode32(text(case, "seed")).unwrap();
        let x = ed25519::public(&seed);
        assert_eq!(hash::sha256(format!("talos vector: {}", name(case)).as_bytes()), seed);
        assert_eq!(b64::encode(&x), text(case, "x"));
        assert_eq!(jwk::parse(case.get("jwk").unwrap()).unwrap(), x);
        assert_eq!(jwk::thumbprint(&x), text(case, "jkt"));
        assert_eq!(did::did_key(&x), text(case, "did_key"));
        assert_eq!(did::did_jwk(&x), text(case, "did_jwk"));
    }
}

#[test]
fn dids() {
    for case in cases(&file("identity/dids.json")) {
        let read = did::key_of(text(case, "did"));
        assert_eq!(read.is_ok(), flag(case, "valid"), "{}", name(case));
        let Ok(key) = read else { continue };
        assert_eq!(key.map(|x| b64::encode(&x)).as_deref(), case.get("x").and_then(Value::as_str), "{}", name(case));
        if let Some(url) = case.get("url").and_then(Value::as_str) {
            assert_eq!(did::web_url(text(case, "did")).unwrap(), url);
        }
    }
}

#[test]
fn paths_and_patterns() {
    for case in cases(&file("capability/paths.json")) {
        assert_eq!(is_path(text(case, "path")), flag(case, "valid"), "{}", name(case));
    }
    for case in cases(&file("capability/patterns.json")) {
        let pattern = Pattern::parse(case.get("pattern").unwrap()).unwrap();
        assert_eq!(pattern.matches(text(case, "value")), flag(case, "expect"), "{}", name(case));
    }
}

#[test]
fn uris() {
    for case in cases(&file("capability/uris.json")) {
        let expected = case.get("path").and_then(Value::as_str);
        assert_eq!(from_uri(text(case, "uri")).ok().as_deref(), expected, "{}", name(case));
    }
}

#[test]
fn atoms() {
    for case in cases(&file("capability/atoms.json")) {
        let atom = Atom::parse(case.get("atom").unwrap()).unwrap();
        let value = case.get("value_json").and_then(Value::as_str).map(|text| json::parse(text.as_bytes()).unwrap());
        let holds = value.is_some_and(|value| atom.holds(&value));
        assert_eq!(holds, flag(case, "expect"), "{}", name(case));
    }
}

#[test]
fn containment() {
    for case in cases(&file("capability/containment-atoms.json")) {
        let read = |name: &str| Atom::parse(case.get(name).unwrap()).unwrap();
        assert_eq!(implies(&read("child"), &read("parent")), flag(case, "expect"), "{}", name(case));
    }
    for case in cases(&file("capability/containment-grants.json")) {
        let contained = contains(&grants(case, "parent"), &grants(case, "child"));
        assert_eq!(contained.is_ok(), flag(case, "expect"), "{}", name(case));
        let index = case.get("grant").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        assert_eq!(contained.err().map(|uncovered| uncovered.grant), index, "{}", name(case));
    }
}

#[test]
fn decisions() {
    for case in cases(&file("capability/decisions.json")) {
        let asked = case.get("need").unwrap();
        let need = Need {
            tool: text(asked, "tool"),
            class: Class::of(text(asked, "class")).unwrap(),
            action: text(asked, "action"),
            resource: asked.get("resource").and_then(Value::as_str).map_or(Resource::None, Resource::Path),
            args: asked.get("args").and_then(Value::as_obj).map_or(Args::EMPTY, Args::new),
        };
        let decision = Decision::of_leaf(&grants(case, "grants"), &need, 0).value(false);
        for (member, expected) in case.get("expect").and_then(Value::as_obj).unwrap() {
            assert_eq!(decision.get(member), Some(expected), "{}: {member}", name(case));
        }
    }
}

#[test]
fn scopes() {
    for case in cases(&file("capability/scopes.json")) {
        let grant = case.get("grant").map(|grant| Grant::parse(grant).unwrap());
        let valid = flag(case, "valid");
        if let Some(grant) = &grant {
            let printed = scope::print(grant).ok();
            assert_eq!(printed.as_deref(), case.get("scope").and_then(Value::as_str), "{}", name(case));
        }
        if let Some(text) = case.get("scope").and_then(Value::as_str) {
            let read = scope::parse(text);
            assert_eq!(read.is_ok(), valid, "{}", name(case));
            assert_eq!(read.ok(), grant, "{}", name(case));
        }
    }
}

fn listed(file: &Value) -> Trust {
    let array = |name: &str| file.get(name).and_then(Value::as_arr).unwrap().to_vec();
    let anchors = array("anchors");
    let anchors = anchors
        .iter()
        .map(|anchor| (text(anchor, "did").to_owned(), anchor.get("jwk").map(|key| jwk::parse(key).unwrap())));
    let dids = array("dids");
    Trust::new(anchors, dids.iter().map(|known| (text(known, "did").to_owned(), text(known, "jkt").to_owned())))
        .unwrap()
}

#[test]
fn chains() {
    let file = file("capability/chains.json");
    let trust = listed(&file);
    let now = file.get("now").and_then(Value::as_i64).unwrap();
    for case in cases(&file) {
        let now = case.get("now").and_then(Value::as_i64).unwrap_or(now);
        let verified =
            Chain::parse(text(case, "chain")).and_then(|chain| chain.verify(text(&file, "aud"), now * 1000, &trust));
        let decision = verified.map_or_else(|error: Error| Decision::from(error), |()| Decision::ALLOW).value(false);
        for (member, expected) in case.get("expect").and_then(Value::as_obj).unwrap() {
            assert_eq!(decision.get(member), Some(expected), "{}: {member}", name(case));
        }
    }
}

#[test]
fn link_ids_and_every_byte_of_a_link_made_here() {
    let file = file("capability/chains.json");
    let ids: Vec<&str> =
        file.get("link_ids").and_then(Value::as_arr).unwrap().iter().filter_map(Value::as_str).collect();
    let child = cases(&file).iter().find(|case| name(case) == "a child").unwrap();
    let chain = Chain::parse(text(child, "chain")).unwrap();
    assert_eq!(chain.links().iter().map(|link| link.id.as_str()).collect::<Vec<_>>(), ids);
    // Made again from its claims by our own issuer, the root verifies under the same anchor.
    let seed = hash::sha256(b"talos vector: operator");
    let again = attenuate::issue(&seed, &chain.root().unwrap().claims).unwrap();
    let now = file.get("now").and_then(Value::as_i64).unwrap();
    Chain::parse(&again).unwrap().verify(text(&file, "aud"), now * 1000, &listed(&file)).unwrap();
}
