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
    /// Evidence that cannot be read.
    Malformed = "anchor.malformed",
    /// The state that is shown is not the block's.
    ProofInvalid = "anchor.proof_invalid",
    /// The contract runs other code than the registry's.
    ContractUnknown = "anchor.contract_unknown",
    /// The contract does not hold this checkpoint for this publisher and log.
    CheckpointMissing = "anchor.checkpoint_missing",
    /// A file of OpenTimestamps that cannot be read.
    OtsMalformed = "anchor.ots_malformed",
    /// A calendar's answer that completes nothing in the file.
    OtsIncomplete = "anchor.ots_incomplete",
    /// A Bitcoin header without the work that it claims, or that may be claimed.
    HeaderInvalid = "anchor.header_invalid",
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
