//! From a bundle and a policy to a verdict, in two steps as [`talos_log::verify`]: what the curve is asked, then the verdict or
//! the first step that failed, in the order of the specification whatever was found out first.
//!
//! Source: contracts/spec/log.md#proof-bundle.

use talos_log::note::{Equation, Note};
use talos_log::policy::Policy;
use talos_log::proof_file::ProofFile;
use talos_log::verify::{Pending as Signed, Verdict};
use talos_log::{Code, hash};

use crate::bundle::{Anchor, Bundle};
use crate::{Error, Step, event};

/// A bundle of which everything but the curve and the anchors is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending<'a> {
    bundle: &'a Bundle,
    log: Part<'a>,
    /// What is wrong with it is told only when the log's part holds.
    meta: Option<Result<Part<'a>, Error>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part<'a> {
    index: u64,
    /// Of the checkpoint.
    text: &'a str,
    signed: Signed<'a>,
}

/// A leaf in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The leaf's index.
    pub index: u64,
    /// The checkpoint's text.
    pub text: &'a str,
    /// The log's head, and who signed it.
    pub head: Verdict,
}

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved<'a> {
    /// The event in its log.
    pub log: Placed<'a>,
    /// The log's head in the meta-log.
    pub meta: Option<Placed<'a>>,
    /// Still to be checked.
    pub anchors: &'a [Anchor],
}

/// Refuse what cannot be a policy, a bundle, an event: the steps before the proofs.
///
/// # Errors
/// The step that failed.
pub fn read(file: &[u8], policy: &[u8]) -> Result<Bundle, Error> {
    Policy::parse(policy).map_err(|error| Error::beneath(Step::Policy, error))?;
    let bundle = Bundle::parse(file)?;
    event::check(&bundle.event)?;
    Ok(bundle)
}

impl<'a> Pending<'a> {
    /// Read both proofs under a policy.
    ///
    /// # Errors
    /// The step that failed; what is wrong with the meta-log's proof is told by [`finish`](Self::finish).
    pub fn new(bundle: &'a Bundle, policy: &[u8]) -> Result<Self, Error> {
        let log = part(Step::Log, &bundle.log_proof, bundle.event.as_bytes(), policy)?;
        let meta = bundle.meta_proof.as_ref().map(|file| {
            let meta = part(Step::Meta, file, log.text.as_bytes(), policy)?;
            let same = meta.signed.origin() == log.signed.origin();
            if same { Err(Error::new(Step::Meta, "a log that vouches for itself")) } else { Ok(meta) }
        });
        Ok(Self { bundle, log, meta })
    }

    /// What is to be answered, in this order.
    pub fn equations(&self) -> impl Iterator<Item = &Equation> {
        let meta = self.meta.iter().flatten().flat_map(|meta| meta.signed.equations());
        self.log.signed.equations().iter().chain(meta)
    }

    /// The verdict on the proofs. An equation without an answer does not hold.
    ///
    /// # Errors
    /// The step that failed.
    pub fn finish(self, answers: &[bool]) -> Result<Proved<'a>, Error> {
        let count = self.log.signed.equations().len();
        let (ours, theirs) = answers.split_at_checked(count).unwrap_or((answers, &[]));
        // The quorum is that of the last checkpoint, so that nothing is gained by taking the meta-log's part out.
        let log = self.log.finish(Step::Log, ours, self.meta.is_none())?;
        let meta = self.meta.map(|meta| meta?.finish(Step::Meta, theirs, true)).transpose()?;
        Ok(Proved { log, meta, anchors: &self.bundle.anchors })
    }
}

fn part<'a>(step: Step, file: &'a str, leaf: &[u8], policy: &[u8]) -> Result<Part<'a>, Error> {
    let read = || {
        let proof = ProofFile::parse(file.as_bytes())?;
        if proof.extra.is_some() {
            return Err(talos_log::Error::new(Code::ProofMalformed, "bytes that no signature covers"));
        }
        let text = Note::parse(proof.checkpoint)?.text;
        let signed = Signed::proof(file.as_bytes(), &hash::leaf(leaf), policy)?;
        Ok(Part { index: proof.index, text, signed })
    };
    read().map_err(|error| Error::beneath(step, error))
}

impl<'a> Part<'a> {
    fn finish(self, step: Step, answers: &[bool], quorum: bool) -> Result<Placed<'a>, Error> {
        let Self { index, text, signed } = self;
        let head = if quorum { signed.finish(answers) } else { signed.finish_signed(answers) };
        head.map(|head| Placed { index, text, head }).map_err(|error| Error::beneath(step, error))
    }
}

/// What anchors are of: SHA-256 of the text of the meta-log's checkpoint.
#[must_use]
pub fn anchored_digest(meta: &Placed<'_>) -> [u8; 32] {
    hash::of(&[meta.text.as_bytes()])
}

/// By what a registry knows the meta-log: SHA-256 of its origin.
#[must_use]
pub fn log_id(meta: &Placed<'_>) -> [u8; 32] {
    hash::of(&[meta.head.origin.as_bytes()])
}
