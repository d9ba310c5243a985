//! contracts/vectors/log: the bytes of every text, valid and not, written without this library.

use std::path::PathBuf;

use serde_json::Value;
use talos_log::checkpoint::Checkpoint;
use talos_log::note::{Key, Note};
use talos_log::policy::Policy;
use talos_log::proof_file::ProofFile;
use talos_log::submission::Submission;
use talos_log::tile::{self, Tile};
use talos_log::verify::Pending;
use talos_log::{Error, base64};

use crate::verdicts::holds;

fn cases(name: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/vectors/log").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("no {name} in {case}"))
}

/// A case is valid, or names the step that refuses it.
fn judge(case: &Value, result: Result<(), Error>) {
    let said = result.map_or_else(|error| error.code.as_str(), |()| "OK");
    assert_eq!(said, text(case, "expect"), "{}", case["name"]);
}

#[test]
fn notes() {
    for case in cases("notes.json") {
        judge(&case, Note::parse(text(&case, "note").as_bytes()).map(|_| ()));
    }
}

#[test]
fn keys() {
    for case in cases("keys.json") {
        let key = Key::parse(text(&case, "key"));
        assert_eq!(key.is_some(), case["valid"] == true, "{}", case["name"]);
        if let Some(key) = key {
            assert_eq!(key.text(), text(&case, "key"));
        }
    }
}

#[test]
fn checkpoints() {
    for case in cases("checkpoints.json") {
        judge(&case, Checkpoint::parse(text(&case, "text")).map(|_| ()));
    }
}

#[test]
fn policies() {
    for case in cases("policies.json") {
        judge(&case, Policy::parse(text(&case, "policy").as_bytes()).map(|_| ()));
    }
}

#[test]
fn tiles() {
    for case in cases("tiles.json") {
        let read = Tile::parse(text(&case, "path"));
        if let Ok(tile) = &read {
            assert_eq!(tile.path(), text(&case, "path"));
        }
        judge(&case, read.map(|_| ()));
    }
}

#[test]
fn bundles() {
    for case in cases("bundles.json") {
        let bytes = base64::decode(text(&case, "bundle")).unwrap();
        judge(&case, tile::entries(&bytes).map(|_| ()));
    }
}

#[test]
fn proof_files() {
    for case in cases("proof-files.json") {
        judge(&case, ProofFile::parse(text(&case, "file").as_bytes()).map(|_| ()));
    }
}

#[test]
fn submissions() {
    for case in cases("submissions.json") {
        let read = Submission::parse(text(&case, "body").as_bytes());
        if let Ok(read) = &read {
            assert_eq!(read.text().unwrap(), text(&case, "body"));
        }
        judge(&case, read.map(|_| ()));
    }
}

#[test]
fn verdicts() {
    for case in cases("verdicts.json") {
        let leaf = base64::decode_hash(text(&case, "leaf")).unwrap();
        let verify = || {
            let pending = Pending::proof(text(&case, "file").as_bytes(), &leaf, text(&case, "policy").as_bytes())?;
            let answers: Vec<bool> = pending.equations().iter().map(holds).collect();
            pending.finish(&answers)
        };
        judge(&case, verify().map(|_| ()));
    }
}
