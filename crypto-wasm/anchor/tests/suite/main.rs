//! The evidence of anchors against vectors, published files, naive tries and trees, and its own bytes turned over.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::cast_possible_truncation
)]

mod bounds;
mod files;
mod fuzz_replay;
mod tries;
mod vectors;
