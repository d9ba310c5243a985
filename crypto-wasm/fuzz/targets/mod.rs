//! What is fuzzed: one function a target, from any bytes, that panics when a promise of the core is broken.
//!
//! cargo-fuzz runs them on inputs that it finds (`npm run fuzz`), and `cargo test` runs them on the committed corpora, so a
//! finding stays found. A target is more than "does not panic": what is accepted must be lawful by an oracle that shares no code
//! with the core, must read as it is printed, and must not survive a changed byte. Where bytes alone would never pass a signature
//! or a seal, the input says what differs from a valid artefact, and the target signs or seals that.
//!
//! Whoever includes this module has the test suite's `generate` beside it.

mod asked;
mod chain;
mod frame;
mod grants;
mod head;
mod json;
mod mcp;
mod policy;
mod proof;
mod read;
mod revocation;
mod texts;
mod ticket;
mod world;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    ("chain", chain::run),
    ("frame", frame::run),
    ("grants", grants::run),
    ("head", head::run),
    ("json", json::run),
    ("mcp", mcp::run),
    ("policy", policy::run),
    ("proof", proof::run),
    ("read", read::run),
    ("revocation", revocation::run),
    ("scope", texts::scope),
    ("texts", texts::run),
    ("ticket", ticket::run),
];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of this name");
    target(data);
}
