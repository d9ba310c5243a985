//! Notes, checkpoints and policies: what is refused, and that nothing panics.

use proptest::prelude::*;
use talos_log::checkpoint::Checkpoint;
use talos_log::note::{Key, Kind, Note};
use talos_log::policy::Policy;
use talos_log::proof_file::ProofFile;
use talos_log::submission::Submission;
use talos_log::verify::Pending;

use crate::verdicts::Log;

fn key(seed: u8, name: &str, kind: Kind) -> String {
    Key::new(name, kind, &[seed; 32]).unwrap().text()
}

#[test]
fn a_policy_evaluates_groups_of_groups() {
    let mut text = String::new();
    for (index, name) in ["x1", "x2", "x3", "y1", "y2"].iter().enumerate() {
        text += &format!("witness\t{name}  {} https://w.example/\n", key(index as u8, name, Kind::Cosignature));
    }
    text += " # groups\ngroup x 2 x1 x2 x3\ngroup y any y1 y2\ngroup both all x y\nquorum both\n";
    let policy = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(policy.urls, vec![b"https://w.example/".to_vec(); 5]);
    let met = |seen: &[usize]| policy.is_met(&|index| seen.contains(&index));
    assert!(met(&[0, 1, 3]) && met(&[1, 2, 4]) && met(&[0, 1, 2, 3, 4]));
    assert!(!met(&[]) && !met(&[0, 3]) && !met(&[0, 1, 2]) && !met(&[3, 4]));
    let none = Policy::parse(b"quorum none\n").unwrap();
    assert!(none.is_met(&|_| false));
}

#[test]
fn a_witness_whose_signatures_are_not_checked_here_never_counts() {
    let pq = Key::new("pq.example", Kind::MlDsa44, &[7; 1312]).unwrap();
    let log = Log::new();
    let witness = format!("witness pq {}\n", pq.text());
    let note = log.checkpoint.clone() + &pq.line(&[0; 2428]);
    for (quorum, met) in [("pq", false), ("w1", true)] {
        let policy = log.policy.replace("group two 2 w1 w2 w3\nquorum two", &format!("{witness}quorum {quorum}"));
        let pending = Pending::checkpoint(note.as_bytes(), policy.as_bytes()).unwrap();
        assert_eq!(pending.equations().len(), 3);
        assert_eq!(pending.finish(&[true; 3]).is_ok(), met, "{quorum}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[a-z0-9+/=\n\u{2014} ]{0,200}") {
        for input in [&bytes[..], text.as_bytes()] {
            let _ = Note::parse(input);
            let _ = Policy::parse(input);
            let _ = ProofFile::parse(input);
            let _ = Submission::parse(input);
            let _ = Pending::checkpoint(input, input);
        }
        let _ = Checkpoint::parse(&text);
        let _ = Key::parse(&text);
    }

    #[test]
    fn a_note_changed_anywhere_is_refused_or_read_as_what_it_says(at: prop::sample::Index, byte: u8) {
        let log = Log::new();
        let mut changed = log.checkpoint.clone().into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        if let Ok(note) = Note::parse(&changed) {
            // Reading loses nothing: text and lines give the same note again.
            let mut again = note.text.to_owned() + "\n";
            for signature in &note.signatures {
                let id = signature.id;
                let key = Key { name: signature.name.into(), id, kind: Kind::Ed25519, public: vec![0; 32] };
                again += &key.line(&signature.bytes);
            }
            prop_assert_eq!(again.as_bytes(), &changed[..]);
        }
    }

    #[test]
    fn proof_files_are_read_back(index in 0u64..1 << 53, count in 0usize..64, extra: Option<Vec<u8>>) {
        let checkpoint = Log::new().checkpoint;
        let file = ProofFile { extra, index, hashes: vec![[7; 32]; count], checkpoint: checkpoint.as_bytes() };
        let text = file.text().unwrap();
        prop_assert_eq!(ProofFile::parse(text.as_bytes()).unwrap(), file);
    }
}
