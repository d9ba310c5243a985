//! contracts/vectors/log/proof-bundles.json, written without this library; every bit of a bundle; the bounds of the contract.

use std::path::PathBuf;

use ed25519_dalek::{Signature, VerifyingKey};
use proptest::prelude::*;
use serde_json::Value;
use talos_bundle::verify::{Pending, read};
use talos_bundle::{Error, bundle::Bundle, json, limits};
use talos_log::note::Equation;

pub fn contract(path: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts").join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn holds(equation: &Equation) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&equation.public) else { return false };
    key.verify_strict(&equation.message, &Signature::from_bytes(&equation.signature)).is_ok()
}

fn verify(file: &[u8], policy: &[u8]) -> Result<(), Error> {
    let bundle = read(file, policy)?;
    let pending = Pending::new(&bundle, policy)?;
    let answers: Vec<bool> = pending.equations().map(holds).collect();
    pending.finish(&answers).map(|_| ())
}

fn cases() -> Vec<Value> {
    contract("vectors/log/proof-bundles.json")["cases"].as_array().unwrap().clone()
}

#[test]
fn every_step_refuses_by_its_name() {
    for case in cases() {
        let text = |name: &str| case[name].as_str().unwrap().as_bytes();
        let said = verify(text("file"), text("policy"));
        let code = said.map_or_else(|error| error.step.code(), |()| "OK");
        let reason = said.err().and_then(|error| error.reason);
        assert_eq!(code, case["expect"], "{}", case["name"]);
        if let Some(expected) = case["reason"].as_str() {
            assert_eq!(reason, Some(expected), "{}", case["name"]);
        }
    }
}

#[test]
fn every_single_bit_matters() {
    let case = &cases()[0];
    let policy = case["policy"].as_str().unwrap().as_bytes();
    let file = case["file"].as_str().unwrap().as_bytes();
    assert_eq!(verify(file, policy), Ok(()));
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.to_vec();
            changed[at] ^= 1 << bit;
            assert!(verify(&changed, policy).is_err(), "byte {at} bit {bit}");
        }
    }
    for end in 0..file.len() {
        assert!(verify(&file[..end], policy).is_err(), "cut at {end}");
    }
}

#[test]
fn an_equation_without_an_answer_does_not_hold() {
    let case = &cases()[0];
    let policy = case["policy"].as_str().unwrap().as_bytes();
    let bundle = read(case["file"].as_str().unwrap().as_bytes(), policy).unwrap();
    let pending = Pending::new(&bundle, policy).unwrap();
    assert_eq!(pending.equations().count(), 4);
    for answers in [&[][..], &[true], &[true, true], &[true, true, true], &[false, true, true, true]] {
        assert!(pending.clone().finish(answers).is_err());
    }
    assert!(pending.finish(&[true; 4]).is_ok());
}

#[test]
fn bounds_are_the_contract_s() {
    let limits = contract("limits.json");
    for (name, value) in [
        ("proof_bundle_bytes", limits::BUNDLE_BYTES),
        ("proof_bundle_anchors", limits::ANCHORS),
        ("anchor_file_chars", limits::FILE_CHARS),
        ("anchor_piece_chars", limits::PIECE_CHARS),
        ("anchor_proof_nodes", limits::NODES),
        ("event_bytes", limits::EVENT_BYTES),
        ("json_depth", limits::DEPTH),
        ("tlog_proof_bytes", talos_log::limits::PROOF_BYTES),
    ] {
        assert_eq!(limits[name]["value"], value, "{name}");
    }
    assert!(Bundle::parse(&vec![b' '; limits::BUNDLE_BYTES + 1]).unwrap_err().detail.contains("too long"));
}

/// Values of the subset that is signed.
fn values() -> impl Strategy<Value = Value> {
    let integer = -((1i64 << 53) - 1)..(1 << 53);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            // Basic plane only: there the order of serde_json (bytes) is that of UTF-16.
            prop::collection::btree_map("[\u{0}-\u{d7ff}]{0,6}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// serde_json prints compactly, escapes what must be, in lower case, and sorts members: canonical for these values.
    #[test]
    fn what_is_canonical_is_read_and_a_bit_more_is_another_value(value in values(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let text = value.to_string();
        let read = json::parse(&text);
        prop_assert!(read.is_some(), "{text}");
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(bytes) {
            // One value has one spelling.
            prop_assert!(json::parse(&changed) != read);
        }
    }

    #[test]
    fn no_bytes_trap_the_reader(text in any::<String>()) {
        let _ = json::parse(&text);
        let _ = Bundle::parse(text.as_bytes());
    }
}
