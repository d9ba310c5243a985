//! Chains: whatever verifies is lawful by rules written a second time, on JSON that another reader read.

use serde_json::Value as Json;
use talos_core::chain::Chain;
use talos_core::decide::decide;
use talos_core::{b64, hash};

use super::world::{AUD, NOW, NOW_MS, chain_of, did_of, flipped, lines, trust};
use crate::generate::{Source, request};

/// One line a link: a patch of its claims. An input that begins with `~` is a chain as it travels.
pub fn run(data: &[u8]) {
    if let Some(text) = data.strip_prefix(b"~") {
        if let Ok(text) = core::str::from_utf8(text) {
            judge(text, data);
        }
        return;
    }
    judge(&chain_of(lines(data)), data);
}

fn judge(text: &str, data: &[u8]) {
    let Ok(chain) = Chain::parse(text) else { return };
    assert_eq!(chain.links().len(), text.split('~').count());
    let now_ms = i64::try_from(NOW_MS).expect("a moment");
    let verified = chain.verify(AUD, now_ms, &trust());
    if verified.is_err() {
        // Nothing changed is always lawful.
        assert!(!lines(data).all(|line| line == b"{}") || text.split('~').count() > 8, "{verified:?}");
        return;
    }
    lawful(text);
    if let Some(changed) = flipped(text, data) {
        let again = Chain::parse(&changed).and_then(|chain| chain.verify(AUD, now_ms, &trust()));
        assert!(again.is_err(), "a changed bit was not seen");
    }
    // What a link allows its parent allows: on requests that the input chooses.
    let mut source = Source::of_bytes(data);
    for pair in chain.links().windows(2) {
        for _ in 0..4 {
            let request = request(&mut source, &pair[1].claims.grants);
            let need = request.need();
            if decide(&pair[1].claims.grants, &need).is_ok() {
                assert!(decide(&pair[0].claims.grants, &need).is_ok(), "{request:?}");
            }
        }
    }
}

/// The rules of contracts/spec/capability.md#chain that bind a link to its parent and to the moment.
fn lawful(text: &str) {
    let read = |part: &str| -> Json {
        let bytes = b64::decode(part).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let mut parent: Option<(&str, Json)> = None;
    for link in text.split('~') {
        let mut parts = link.split('.');
        let header = read(parts.next().expect("a header"));
        assert_eq!(header, serde_json::json!({"alg": "EdDSA", "typ": "talos-cap+jwt"}));
        let claims = read(parts.next().expect("a payload"));
        let int = |name: &str| claims[name].as_i64().expect("an integer");
        assert!(int("nbf") <= NOW && NOW < int("exp"));
        assert!(claims["aud"].as_array().expect("a list").iter().any(|aud| aud == AUD));
        assert!((0..=7).contains(&int("depth")));
        match &parent {
            None => {
                let iss = claims["iss"].as_str().expect("a DID");
                assert!(iss == did_of(1) || iss == "did:web:anchor.example");
                assert!(claims.get("par").is_none());
            }
            Some((bytes, above)) => {
                let above_int = |name: &str| above[name].as_i64().expect("an integer");
                assert_eq!(claims["par"], b64::encode(&hash::sha256(bytes.as_bytes())));
                assert_eq!(claims["iss"], above["sub"]);
                assert!(int("exp") <= above_int("exp") && int("nbf") >= above_int("nbf"));
                assert!(int("depth") < above_int("depth"));
                let wider = above["aud"].as_array().expect("a list");
                assert!(claims["aud"].as_array().expect("a list").iter().all(|aud| wider.contains(aud)));
            }
        }
        parent = Some((link, claims));
    }
}
