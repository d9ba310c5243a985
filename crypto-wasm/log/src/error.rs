//! One error for the library: the step that failed, by the name that the contract gives it.

use core::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A code of contracts/errors.json.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, in the order of their declaration.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),+ }
            }
        }
    };
}

codes! {
    /// A policy file that cannot be read, or that says two things.
    PolicyMalformed = "log.policy_malformed",
    /// A proof file that is none.
    ProofMalformed = "log.proof_malformed",
    /// A text that is no signed note.
    NoteMalformed = "log.note_malformed",
    /// A note whose text is no checkpoint.
    CheckpointMalformed = "log.checkpoint_malformed",
    /// What is no checkpoint handed to a witness.
    SubmissionMalformed = "log.submission_malformed",
    /// A tile, bundle or right edge of another shape than its place in the tree demands.
    TileMalformed = "log.tile_malformed",
    /// The checkpoint is of a log that the policy does not list.
    OriginUnknown = "log.origin_unknown",
    /// The entry is not in the tree of the checkpoint.
    InclusionInvalid = "log.inclusion_invalid",
    /// One head does not extend the other.
    ConsistencyInvalid = "log.consistency_invalid",
    /// No signature of the log, or a wrong one.
    SignatureInvalid = "log.signature_invalid",
    /// A known witness' cosignature is wrong.
    CosignatureInvalid = "log.cosignature_invalid",
    /// Fewer witnesses than the policy demands.
    QuorumMissed = "log.quorum_missed",
}

/// A refusal: the step, and one phrase for whoever looks into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The step that failed.
    pub code: Code,
    /// What was wrong.
    pub detail: &'static str,
}

impl Error {
    /// A refusal at a step.
    #[must_use]
    pub const fn new(code: Code, detail: &'static str) -> Self {
        Self { code, detail }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl core::error::Error for Error {}
