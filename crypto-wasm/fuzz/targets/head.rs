//! Signed heads, and the order between two.

use talos_core::head::Head;
use talos_core::json::Value;
use talos_core::{b64, json, jws};

use super::world::{NOW_MS, TENANT, flipped, key, lines, payload, signed};

/// Two lines, each a patch of a head; or, after `~`, a head as it travels.
pub fn run(data: &[u8]) {
    let keys = [("h-1", key(5))];
    if let Some(text) = data.strip_prefix(b"~") {
        if let Ok(text) = core::str::from_utf8(text) {
            let _ = Head::verify(text, &keys, TENANT);
        }
        return;
    }
    let mut heads = Vec::new();
    for line in lines(data).take(2) {
        let head = Head {
            as_of_ms: NOW_MS,
            policy_hash: b64::encode(&[1; 32]),
            policy_version: 3,
            rev_hash: b64::encode(&[2; 32]),
            rev_seq: 4,
            tenant: TENANT.into(),
        };
        let header = jws::header("talos-head+jwt", [("kid", Value::str("h-1"))]);
        let text = signed(5, &header, &payload(head.to_value(), line));
        let Ok(read) = Head::verify(&text, &keys, TENANT) else { continue };
        assert_eq!(read.tenant, TENANT);
        assert_eq!(Head::from_value(&read.to_value()).as_ref(), Ok(&read));
        assert_eq!(Head::verify(&read.sign(&[5; 32], "h-1"), &keys, TENANT).as_ref(), Ok(&read));
        assert!(
            Head::verify(&text, &keys, "other").is_err() && Head::verify(&text, &[("h-1", key(6))], TENANT).is_err()
        );
        assert!(flipped(&text, data).is_none_or(|changed| Head::verify(&changed, &keys, TENANT).is_err()));
        heads.push(read);
    }
    let [first, second] = heads.as_slice() else { return };
    // Forward both ways is the same state: neither number went anywhere, and one number has one hash.
    let numbers = |head: &Head| (head.policy_version, head.policy_hash.clone(), head.rev_seq, head.rev_hash.clone());
    let (forth, back) = (first.follows(second, NOW_MS), second.follows(first, NOW_MS));
    if forth.is_ok() {
        assert!(first.rev_seq >= second.rev_seq && first.policy_version >= second.policy_version);
        assert!(back.is_err() || numbers(first) == numbers(second));
    }
    let _ = json::print(&first.to_value());
}
