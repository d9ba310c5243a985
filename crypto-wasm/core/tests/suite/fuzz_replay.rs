//! The committed corpora of crypto-wasm/fuzz, through the functions that the fuzzer runs: what was found once stays found on every
//! machine, with or without a fuzzer.

use std::path::PathBuf;

use talos_core::b64;

#[path = "../../../fuzz/targets/mod.rs"]
mod targets;

/// The committed inputs of a target: a line of base64url each.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/corpus/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| b64::decode(line).unwrap()).collect()
}

#[test]
fn every_corpus_is_replayed() {
    let mut replayed = 0;
    for (name, _) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 10, "the corpus of {name} has {} inputs", inputs.len());
        for input in &inputs {
            // A panic of the target does not say on what.
            let outcome = std::panic::catch_unwind(|| targets::run(name, input));
            assert!(outcome.is_ok(), "{name}: {}", b64::encode(input));
        }
        replayed += inputs.len();
    }
    println!("{replayed} inputs replayed");
}

#[test]
fn every_target_has_a_program() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/bin");
    let mut programs: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        // Those are replayed by their own crates' suites.
        .filter(|name| !name.starts_with("log_") && !name.starts_with("anchor_") && name != "bundle")
        .collect();
    programs.sort();
    assert_eq!(programs, targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}
