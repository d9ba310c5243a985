//! A bundle as bytes, under the policy of the contract's vectors, against what their logs and witnesses have signed.

use std::sync::OnceLock;

use serde_json::Value;
use talos_bundle::bundle::{Anchor, Bundle};
use talos_bundle::verify::{Pending, Proved, read};
use talos_log::base64;
use talos_log::note::Equation;

use super::naive;

/// What one log holds: an event, and the checkpoint that shows it.
type Fact = (String, String);

/// The policy, everything that was ever signed, and what follows from it.
struct Honest {
    policy: Vec<u8>,
    signed: Vec<Equation>,
    facts: Vec<Fact>,
}

fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(|| {
        let vectors = include_str!("../../../contracts/vectors/log/proof-bundles.json");
        let vectors: Value = serde_json::from_str(vectors).expect("vectors");
        let cases = vectors["cases"].as_array().expect("cases");
        let text = |case: &Value, name: &str| case[name].as_str().expect("a text").to_owned();
        let policy = text(&cases[0], "policy").into_bytes();
        let mut honest = Honest { policy, signed: Vec::new(), facts: Vec::new() };
        for case in cases.iter().filter(|case| case["expect"] == "OK") {
            let bundle = read(text(case, "file").as_bytes(), &honest.policy).expect("a bundle that holds");
            let Ok(pending) = Pending::new(&bundle, &honest.policy) else { continue };
            honest.signed.extend(pending.equations().cloned());
            let all = vec![true; pending.equations().count()];
            honest.facts.extend(pending.finish(&all).map(|proved| fact(&bundle, &proved)));
        }
        assert!(honest.signed.len() >= 4 && honest.facts.len() >= 2);
        honest
    })
}

fn fact(bundle: &Bundle, proved: &Proved<'_>) -> Fact {
    (bundle.event.clone(), proved.log.text.to_owned())
}

/// What a file proves, if a signature holds exactly when it was made.
fn prove(file: &[u8]) -> Option<Fact> {
    let Honest { policy, signed, .. } = honest();
    let bundle = read(file, policy).ok()?;
    let pending = Pending::new(&bundle, policy).ok()?;
    let answers: Vec<bool> = pending.equations().map(|equation| signed.contains(equation)).collect();
    let proved = pending.finish(&answers).ok()?;
    Some(fact(&bundle, &proved))
}

/// The file of a bundle: there is one.
pub fn file(bundle: &Bundle) -> String {
    let base64 = |bytes: &[u8]| {
        let mut text = String::new();
        base64::push(&mut text, bytes);
        Value::from(text)
    };
    let hex = |bytes: &[u8]| Value::from(bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")));
    let nodes = |nodes: &[Vec<u8>]| Value::from(nodes.iter().map(|node| base64(node)).collect::<Vec<_>>());
    let anchor = |anchor: &Anchor| match anchor {
        Anchor::Ots(file) => serde_json::json!({ "kind": "ots", "file": base64(file) }),
        Anchor::Evm(evm) => serde_json::json!({
            "kind": "evm", "chain_id": evm.chain_id, "contract": hex(&evm.contract), "publisher": hex(&evm.publisher),
            "header": base64(&evm.header), "account_proof": nodes(&evm.account_proof),
            "storage_proof": nodes(&evm.storage_proof),
        }),
    };
    let mut members = vec![
        ("anchors", Value::from(bundle.anchors.iter().map(anchor).collect::<Vec<_>>())),
        ("event", Value::from(bundle.event.as_str())),
        ("log_proof", Value::from(bundle.log_proof.as_str())),
        ("schema_id", Value::from("talos.audit_proof")),
        ("schema_version", Value::from("v1")),
    ];
    members.extend(bundle.meta_proof.as_ref().map(|proof| ("meta_proof", Value::from(proof.as_str()))));
    naive::object(&members)
}

/// Any bytes as a bundle.
pub fn run(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    assert_eq!(file(&bundle).as_bytes(), data, "a second spelling");
    let Some(shown) = prove(data) else { return };
    assert!(honest().facts.contains(&shown), "no log holds it: {shown:?}");
    // Only what nobody signed may change: signatures of keys that the policy does not know.
    let at = data.iter().fold(0, |sum, byte| (sum * 31 + usize::from(*byte)) % data.len());
    let mut changed = data.to_vec();
    changed[at] ^= 1 << (at % 8);
    assert!(prove(&changed).is_none_or(|again| again == shown), "another byte at {at}");
}
