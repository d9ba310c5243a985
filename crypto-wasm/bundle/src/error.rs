//! One error for the crate: the step of a bundle's verification that failed, and what refused beneath it.

/// A step, in the order of verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The policy cannot be read.
    Policy,
    /// The file is no bundle, or not the one spelling of it.
    Bundle,
    /// The leaf is no event, or not what its hash says.
    Event,
    /// The event is not in its log.
    Log,
    /// The log's head is not in the meta-log.
    Meta,
    /// An anchor shows something else.
    Anchor,
    /// A demanded anchor is not there or was not checked.
    AnchorMissing,
}

impl Step {
    /// As a verifier reports it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Bundle => "bundle",
            Self::Event => "event",
            Self::Log => "log",
            Self::Meta => "meta",
            Self::Anchor | Self::AnchorMissing => "anchors",
        }
    }

    /// The code of contracts/errors.json.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Policy => "log.policy_malformed",
            Self::Bundle => "bundle.malformed",
            Self::Event => "bundle.event_invalid",
            Self::Log => "bundle.log_invalid",
            Self::Meta => "bundle.meta_invalid",
            Self::Anchor => "bundle.anchor_invalid",
            Self::AnchorMissing => "bundle.anchor_missing",
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The step that failed.
    pub step: Step,
    /// What refused beneath it, the code of the library that did.
    pub reason: Option<&'static str>,
    /// One phrase for whoever looks into it.
    pub detail: &'static str,
}

impl Error {
    /// A refusal at a step.
    #[must_use]
    pub const fn new(step: Step, detail: &'static str) -> Self {
        Self { step, reason: None, detail }
    }

    /// A refusal by the log's library, at a step of ours.
    #[must_use]
    pub fn beneath(step: Step, error: talos_log::Error) -> Self {
        Self { step, reason: Some(error.code.as_str()), detail: error.detail }
    }

    /// A refusal of an anchor's evidence.
    #[must_use]
    pub fn anchor(error: talos_anchor::Error) -> Self {
        Self { step: Step::Anchor, reason: Some(error.code.as_str()), detail: error.detail }
    }
}
