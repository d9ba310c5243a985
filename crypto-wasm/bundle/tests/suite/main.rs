//! Bundles against the contract's vectors, their anchors against published evidence, and their own bytes turned over.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::format_collect
)]

mod anchors;
mod bundles;
mod fuzz_replay;
