//! From a proof file and a policy to a verdict, in two steps: the library reads everything and names the equations; who asks
//! answers them with whatever curve it has, and gets the verdict or the step that failed. Never a partial yes.
//!
//! Source: contracts/spec/log.md#verification.

use alloc::string::String;
use alloc::vec::Vec;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::note::{Equation, Key, Kind, Note};
use crate::policy::Policy;
use crate::proof_file::ProofFile;
use crate::{Code, Error, proof};

/// Who signed what an equation asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signer {
    Log,
    /// Index into the policy's witnesses, and the time that it names, seconds.
    Witness(usize, u64),
}

/// A checkpoint, with or without a proof, of which everything but the curve is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending<'a> {
    policy: Policy,
    checkpoint: Checkpoint<'a>,
    signers: Vec<Signer>,
    equations: Vec<Equation>,
}

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The log.
    pub origin: String,
    /// How many leaves its signed head speaks of.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// Names of the witnesses' keys whose cosignatures hold, each with the time that it names (seconds).
    pub witnesses: Vec<(String, u64)>,
}

impl<'a> Pending<'a> {
    /// A checkpoint under a policy.
    ///
    /// # Errors
    /// `PolicyMalformed`, `NoteMalformed`, `CheckpointMalformed`, `OriginUnknown`, `SignatureInvalid` or
    /// `CosignatureInvalid` for signatures of known keys that have another shape.
    pub fn checkpoint(note: &'a [u8], policy: &[u8]) -> Result<Self, Error> {
        let policy = Policy::parse(policy)?;
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text)?;
        if !policy.logs.iter().any(|key| key.name == checkpoint.origin) {
            return Err(Error::new(Code::OriginUnknown, "the policy lists no log of this origin"));
        }
        let mut pending = Self { policy, checkpoint, signers: Vec::new(), equations: Vec::new() };
        pending.read_signatures(&note)?;
        Ok(pending)
    }

    /// The proof that the leaf with this hash is in a log, under a policy.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), `ProofMalformed`, `InclusionInvalid`.
    pub fn proof(file: &'a [u8], leaf: &Hash, policy: &[u8]) -> Result<Self, Error> {
        let file = ProofFile::parse(file)?;
        let pending = Self::checkpoint(file.checkpoint, policy)?;
        let Checkpoint { size, root, .. } = &pending.checkpoint;
        proof::check_inclusion(file.index, *size, leaf, &file.hashes, root)?;
        Ok(pending)
    }

    /// Signatures of unknown keys are ignored, as a note demands; those of known keys must all hold.
    fn read_signatures(&mut self, note: &Note<'_>) -> Result<(), Error> {
        for signature in &note.signatures {
            let known = |key: &&Key| key.name == signature.name && key.id == signature.id;
            // A key of another log says nothing about this one.
            let log = self.policy.logs.iter().filter(|key| key.name == self.checkpoint.origin).find(known);
            if let Some(key) = log {
                let wrong = Error::new(Code::SignatureInvalid, "the log's signature has another shape");
                self.equations.push(key.equation(note.text, &signature.bytes).ok_or(wrong)?.0);
                self.signers.push(Signer::Log);
            }
            let witness = self.policy.witnesses.iter().enumerate().find(|(_, key)| known(key));
            if let Some((index, key)) = witness {
                if key.kind == Kind::MlDsa44 {
                    continue;
                }
                let wrong = Error::new(Code::CosignatureInvalid, "a cosignature has another shape");
                let (equation, time) = key.equation(note.text, &signature.bytes).ok_or(wrong)?;
                self.equations.push(equation);
                self.signers.push(Signer::Witness(index, time.unwrap_or(0)));
            }
        }
        Ok(())
    }

    /// What is to be answered, in this order.
    #[must_use]
    pub fn equations(&self) -> &[Equation] {
        &self.equations
    }

    /// The log that the checkpoint is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.origin
    }

    /// The verdict. An equation without an answer does not hold.
    ///
    /// # Errors
    /// `SignatureInvalid`, `CosignatureInvalid`, `QuorumMissed`.
    pub fn finish(self, answers: &[bool]) -> Result<Verdict, Error> {
        let witnesses = self.signed_by(answers)?;
        if !self.policy.is_met(&|index| witnesses.iter().any(|(witness, _)| *witness == index)) {
            return Err(Error::new(Code::QuorumMissed, "too few witnesses"));
        }
        Ok(self.verdict(&witnesses))
    }

    /// As [`finish`](Self::finish) without the quorum, for a checkpoint that another, witnessed log holds.
    ///
    /// # Errors
    /// `SignatureInvalid`, `CosignatureInvalid`.
    pub fn finish_signed(self, answers: &[bool]) -> Result<Verdict, Error> {
        let witnesses = self.signed_by(answers)?;
        Ok(self.verdict(&witnesses))
    }

    /// The witnesses that signed, with their times.
    fn signed_by(&self, answers: &[bool]) -> Result<Vec<(usize, u64)>, Error> {
        let holds = |index: usize| answers.get(index) == Some(&true);
        let by_log = |signer: &Signer| *signer == Signer::Log;
        if !self.signers.iter().any(by_log) {
            return Err(Error::new(Code::SignatureInvalid, "no signature of the log"));
        }
        if self.signers.iter().enumerate().any(|(index, signer)| by_log(signer) && !holds(index)) {
            return Err(Error::new(Code::SignatureInvalid, "a signature of the log does not hold"));
        }
        let mut witnesses: Vec<(usize, u64)> = Vec::new();
        for (index, signer) in self.signers.iter().enumerate() {
            let Signer::Witness(witness, time) = signer else { continue };
            if !holds(index) {
                return Err(Error::new(Code::CosignatureInvalid, "a cosignature does not hold"));
            }
            witnesses.push((*witness, *time));
        }
        Ok(witnesses)
    }

    fn verdict(&self, witnesses: &[(usize, u64)]) -> Verdict {
        let name = |index: usize| self.policy.witnesses.get(index).map(|key| key.name.clone()).unwrap_or_default();
        Verdict {
            origin: self.checkpoint.origin.into(),
            size: self.checkpoint.size,
            root: self.checkpoint.root,
            witnesses: witnesses.iter().map(|(index, time)| (name(*index), *time)).collect(),
        }
    }
}
