//! The committed corpora of the core's targets.

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/targets/mod.rs"]
mod targets;

#[test]
fn every_corpus_is_replayed() {
    replay::corpora(targets::TARGETS, targets::run);
}

#[test]
fn every_target_has_a_program() {
    replay::programs(targets::TARGETS, "targets");
}
