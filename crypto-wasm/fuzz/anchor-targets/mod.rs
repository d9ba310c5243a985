//! What is fuzzed of the evidence of anchors: one function a target, from any bytes, that panics when a promise of the library is
//! broken. What is accepted is what a naive walk finds, and does not survive a changed byte.

mod evm;
mod ots;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[("anchor_evm", evm::run), ("anchor_ots", ots::run)];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of this name");
    target(data);
}
