//! The committed corpora of the bundle's target.

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/bundle-targets/mod.rs"]
mod targets;

#[test]
fn every_corpus_is_replayed() {
    replay::corpora(targets::TARGETS, targets::run);
}

#[test]
fn every_target_has_a_program() {
    replay::programs(targets::TARGETS, "bundle_targets");
}
