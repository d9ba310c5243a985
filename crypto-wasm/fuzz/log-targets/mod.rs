//! What is fuzzed of the log: one function a target, from any bytes, that panics when a promise of the library is broken. As for
//! the core (../targets), what is accepted has exactly one spelling, a tree is held against a naive one, and nobody's silence is a
//! signature.

mod notes;
mod policies;
mod proofs;
mod trees;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] =
    &[("log_note", notes::run), ("log_policy", policies::run), ("log_proof", proofs::run), ("log_tree", trees::run)];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of this name");
    target(data);
}
