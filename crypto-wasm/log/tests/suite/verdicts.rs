//! Whole verifications: a log of five leaves, signed and cosigned, under a policy.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use talos_log::checkpoint::Checkpoint;
use talos_log::note::{self, Equation, Key, Kind};
use talos_log::proof_file::ProofFile;
use talos_log::verify::{Pending, Verdict};
use talos_log::{Code, Error, Hash};

use crate::naive;

pub const ORIGIN: &str = "talos.example/t/default/audit";

pub fn holds(equation: &Equation) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&equation.public) else { return false };
    key.verify(&equation.message, &Signature::from_bytes(&equation.signature)).is_ok()
}

fn key(seed: u8, name: &str, kind: Kind) -> (SigningKey, Key) {
    let signing = SigningKey::from_bytes(&[seed; 32]);
    let key = Key::new(name, kind, signing.verifying_key().as_bytes()).unwrap();
    (signing, key)
}

pub struct Log {
    pub leaves: Vec<Hash>,
    pub policy: String,
    pub checkpoint: String,
}

impl Log {
    pub fn new() -> Self {
        let leaves = naive::leaves(5);
        let (log, log_key) = key(1, ORIGIN, Kind::Ed25519);
        let text = Checkpoint { origin: ORIGIN, size: 5, root: naive::root(&leaves) }.text();
        let mut checkpoint = text.clone() + "\n" + &log_key.line(&log.sign(text.as_bytes()).to_bytes());
        let mut policy = format!("# who may say what\nlog {}\n\n", log_key.text());
        for (seed, name) in [(2, "w1"), (3, "w2"), (4, "w3")] {
            let (witness, key) = key(seed, &format!("{name}.example"), Kind::Cosignature);
            policy += &format!("witness {name} {}\n", key.text());
            if seed < 4 {
                let time = 1_700_000_000 + u64::from(seed);
                let signature = witness.sign(note::cosigned(&text, time).as_bytes());
                checkpoint += &key.line(&[&time.to_be_bytes()[..], &signature.to_bytes()].concat());
            }
        }
        policy += "group two 2 w1 w2 w3\nquorum two\n";
        Self { leaves, policy, checkpoint }
    }

    pub fn proof(&self, index: usize) -> String {
        let hashes = naive::inclusion(index, &self.leaves);
        ProofFile { extra: None, index: index as u64, hashes, checkpoint: self.checkpoint.as_bytes() }.text().unwrap()
    }

    pub fn verify(&self, proof: &[u8], leaf: &Hash) -> Result<Verdict, Error> {
        let pending = Pending::proof(proof, leaf, self.policy.as_bytes())?;
        let answers: Vec<bool> = pending.equations().iter().map(holds).collect();
        pending.finish(&answers)
    }
}

#[test]
fn a_proof_holds_down_to_two_witnesses() {
    let log = Log::new();
    for (index, leaf) in log.leaves.iter().enumerate() {
        let verdict = log.verify(log.proof(index).as_bytes(), leaf).unwrap();
        assert_eq!((verdict.origin.as_str(), verdict.size), (ORIGIN, 5));
        assert_eq!(verdict.root, naive::root(&log.leaves));
        let witnesses = [("w1.example".to_owned(), 1_700_000_002), ("w2.example".to_owned(), 1_700_000_003)];
        assert_eq!(verdict.witnesses, witnesses);
    }
}

#[test]
fn every_single_bit_matters() {
    let log = Log::new();
    let proof = log.proof(2).into_bytes();
    log.verify(&proof, &log.leaves[2]).unwrap();
    for at in 0..proof.len() {
        for bit in 0..8 {
            let mut changed = proof.clone();
            changed[at] ^= 1 << bit;
            assert!(log.verify(&changed, &log.leaves[2]).is_err(), "byte {at} bit {bit}");
        }
    }
    for bit in 0..256 {
        let mut leaf = log.leaves[2];
        leaf[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(log.verify(&proof, &leaf).unwrap_err().code, Code::InclusionInvalid);
    }
}

#[test]
fn every_step_fails_by_its_name() {
    let log = Log::new();
    let proof = log.proof(2);
    let leaf = &log.leaves[2];
    let refused = |proof: &str| log.verify(proof.as_bytes(), leaf).unwrap_err().code;
    assert_eq!(refused(""), Code::ProofMalformed);
    assert_eq!(refused(&proof.replace("@v1", "@v2")), Code::ProofMalformed);
    assert_eq!(refused(&proof.replace("index 2", "index 02")), Code::ProofMalformed);
    assert_eq!(refused(&proof.replace("index 2", "index 3")), Code::InclusionInvalid);
    assert_eq!(refused(&proof.replace("index 2", "index 5")), Code::InclusionInvalid);
    assert_eq!(refused(proof.trim_end()), Code::NoteMalformed);
    assert_eq!(refused(&proof.replace("\n5\n", "\n05\n")), Code::CheckpointMalformed);
    assert_eq!(refused(&proof.replace(&format!("\n{ORIGIN}\n"), "\nother.example\n")), Code::OriginUnknown);

    let lines: Vec<&str> = proof.lines().collect();
    let without = |name: &str| {
        let kept: Vec<&str> =
            lines.iter().filter(|line| !line.contains(&format!("\u{2014} {name} "))).copied().collect();
        kept.join("\n") + "\n"
    };
    assert_eq!(refused(&without(ORIGIN)), Code::SignatureInvalid);
    assert_eq!(refused(&without("w2.example")), Code::QuorumMissed);
    let pending = Pending::proof(proof.as_bytes(), leaf, log.policy.as_bytes()).unwrap();
    assert_eq!(pending.equations().len(), 3);
    assert_eq!(pending.clone().finish(&[false, true, true]).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(pending.clone().finish(&[true, true, false]).unwrap_err().code, Code::CosignatureInvalid);
    assert_eq!(pending.clone().finish(&[]).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(pending.clone().finish(&[true]).unwrap_err().code, Code::CosignatureInvalid);
    assert!(pending.finish(&[true, true, true]).is_ok());

    let policy = Log { policy: log.policy.replace("quorum two", "quorum three"), ..Log::new() };
    assert_eq!(policy.verify(proof.as_bytes(), leaf).unwrap_err().code, Code::PolicyMalformed);
}

#[test]
fn two_lines_of_one_witness_are_one_witness() {
    let log = Log::new();
    let proof = log.proof(2);
    let line = proof.lines().find(|line| line.contains("w1.example")).unwrap();
    let other = proof.lines().find(|line| line.contains("w2.example")).unwrap();
    let doubled = proof.replace(other, line);
    assert_eq!(log.verify(doubled.as_bytes(), &log.leaves[2]).unwrap_err().code, Code::QuorumMissed);
}

#[test]
fn the_key_of_another_log_says_nothing() {
    let log = Log::new();
    let (signing, other) = key(9, "other.example", Kind::Ed25519);
    let text = Checkpoint { origin: ORIGIN, size: 5, root: naive::root(&log.leaves) }.text();
    let note = text.clone() + "\n" + &other.line(&signing.sign(text.as_bytes()).to_bytes());
    let policy =
        log.policy.replace("# who", &format!("log {}\n# who", other.text())).replace("quorum two", "quorum none");
    let pending = Pending::checkpoint(note.as_bytes(), policy.as_bytes()).unwrap();
    assert_eq!(pending.finish(&[true]).unwrap_err().code, Code::SignatureInvalid);
}
