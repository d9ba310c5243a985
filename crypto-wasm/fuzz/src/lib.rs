//! What the targets of cargo-fuzz share.

#[path = "../targets/mod.rs"]
pub mod targets;

#[path = "../anchor-targets/mod.rs"]
pub mod anchor_targets;

#[path = "../bundle-targets/mod.rs"]
pub mod bundle_targets;

#[path = "../log-targets/mod.rs"]
pub mod log_targets;

// The generators of the core's property tests, here with a fuzzer's choices.
#[allow(dead_code)]
#[path = "../../core/tests/suite/generate.rs"]
mod generate;
