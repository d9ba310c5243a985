//! What is fuzzed of proof bundles, with the promises of the log's targets (../log-targets): what is accepted has one spelling,
//! says what an honest log says, and does not survive a changed byte.

mod chain;
mod made;
mod naive;
mod whole;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[("bundle", bundle)];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of this name");
    target(data);
}

/// After `~` what a bundle is made of, otherwise a bundle; either way the reader of JSON agrees with a naive one.
fn bundle(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        let read = talos_bundle::json::parse(text).is_some();
        assert_eq!(read, naive::is_canonical(text), "a naive reader finds another spelling");
    }
    match data.strip_prefix(b"~") {
        Some(parts) => made::run(parts),
        None => whole::run(data),
    }
}
