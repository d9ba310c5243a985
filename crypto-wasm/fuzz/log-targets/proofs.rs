//! Proof files, alone and under a policy; and what a witness is sent.

use talos_log::note::{Key, Kind};
use talos_log::proof_file::ProofFile;
use talos_log::submission::Submission;
use talos_log::verify::Pending;
use talos_log::{Code, Hash};

/// One log and one witness that is asked for, under keys of nobody: the library takes answers, and here nobody gives any.
fn policy(origin: &str) -> String {
    let key = |name: &str, kind, byte| Key::new(name, kind, &[byte; 32]).map(|key| key.text()).unwrap_or_default();
    let (log, witness) = (key(origin, Kind::Ed25519, 1), key("w.example", Kind::Cosignature, 2));
    format!("log {log}\nwitness w {witness}\nquorum w\n")
}

/// A proof file, or a submission.
pub fn run(data: &[u8]) {
    if let Ok(submission) = Submission::parse(data) {
        assert!(submission.hashes.len() <= 63);
        // A checkpoint that is no text is refused when the note is read.
        if let Ok(text) = submission.text() {
            assert_eq!(text.as_bytes(), data);
        }
    }
    let Ok(file) = ProofFile::parse(data) else { return };
    assert!(file.hashes.len() <= 64);
    let text = file.text().expect("what was read is a text");
    assert_eq!(text.as_bytes(), data);
    let origin = file.checkpoint.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let policy = policy(core::str::from_utf8(origin).unwrap_or_default());
    let leaf: Hash = [7; 32];
    for pending in
        [Pending::checkpoint(file.checkpoint, policy.as_bytes()), Pending::proof(data, &leaf, policy.as_bytes())]
    {
        let Ok(pending) = pending else { continue };
        let asked = pending.equations().len();
        let answers = |answer: bool| vec![answer; asked];
        // No answers, or no to all, are no signature; yes to all is not yet a quorum, and never of a log that did not sign.
        for silent in [Vec::new(), answers(false)] {
            let refused = pending.clone().finish(&silent).map(|_| ()).map_err(|error| error.code);
            assert_eq!(refused, Err(Code::SignatureInvalid));
        }
        if let Ok(verdict) = pending.clone().finish(&answers(true)) {
            assert!(asked >= 2 && verdict.witnesses.iter().all(|(name, _)| name == "w.example"));
        }
    }
}
