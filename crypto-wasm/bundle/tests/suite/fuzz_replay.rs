//! The committed corpora of the bundle's target in crypto-wasm/fuzz, through the functions that the fuzzer runs.

use std::path::PathBuf;

use talos_log::base64;

#[path = "../../../fuzz/bundle-targets/mod.rs"]
mod targets;

/// The committed inputs of a target: a line of base64url each.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/corpus/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let standard = |line: &str| {
        let padding = "=".repeat((4 - line.len() % 4) % 4);
        base64::decode(&(line.replace('-', "+").replace('_', "/") + &padding)).unwrap()
    };
    text.lines().map(|line| (line.to_owned(), standard(line))).collect()
}

#[test]
fn every_corpus_is_replayed() {
    for (name, _) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 10, "the corpus of {name} has {} inputs", inputs.len());
        for (line, input) in &inputs {
            // A panic of the target does not say on what.
            let outcome = std::panic::catch_unwind(|| targets::run(name, input));
            assert!(outcome.is_ok(), "{name}: {line}");
        }
    }
}

#[test]
fn every_target_has_a_program() {
    for (name, _) in targets::TARGETS {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/bin/{name}.rs"));
        assert!(program.exists(), "{}", program.display());
    }
}
