//! The committed corpora, through the functions that the fuzzer runs: what was found once stays found on every machine, with or
//! without a fuzzer. The test suite of each crate that has targets includes this beside them.

use std::path::{Path, PathBuf};

fn fuzz(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// base64url without padding, written as strictly as it is read: a line has one spelling.
fn decode(line: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |byte: &u8| u32::try_from(DIGITS.iter().position(|own| own == byte).unwrap()).unwrap();
    let group = |digits: &[u8]| {
        let bits = digits.iter().fold(0, |bits, byte| (bits << 6) | digit(byte)) << (6 * (4 - digits.len()));
        let [_, bytes @ ..] = bits.to_be_bytes();
        let (own, left) = bytes.split_at(digits.len() - 1);
        assert!(!own.is_empty() && left.iter().all(|byte| *byte == 0), "{line}");
        own.to_vec()
    };
    line.as_bytes().chunks(4).flat_map(group).collect()
}

/// Every committed input of these targets, a line of base64url each. What is tested is `run`.
pub fn corpora<T>(targets: &[(&str, T)], run: fn(&str, &[u8])) {
    let mut replayed = 0;
    for (name, _) in targets {
        let text = read(&fuzz(&format!("corpus/{name}.txt")));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() >= 10, "the corpus of {name} has {} inputs", lines.len());
        for line in &lines {
            let input = decode(line);
            // A panic of the target does not say on what.
            let outcome = std::panic::catch_unwind(|| run(name, &input));
            assert!(outcome.is_ok(), "{name}: {line}");
        }
        replayed += lines.len();
    }
    println!("{replayed} inputs replayed");
}

/// These targets are all that the fuzzer's programs run of their module, each by a program of its name.
pub fn programs<T>(targets: &[(&str, T)], module: &str) {
    let entries = std::fs::read_dir(fuzz("bin")).unwrap();
    let mut programs: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = read(&path);
            assert!(text.contains("_targets::run(") || text.contains("::targets::run("), "{name} runs no target");
            text.contains(&format!("talos_fuzz::{module}::run(\"{name}\", data)")).then_some(name)
        })
        .collect();
    programs.sort();
    assert_eq!(programs, targets.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}
