//! The log against published vectors, our own vectors, a naive tree, and its own bytes turned over.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::cast_possible_truncation,
    clippy::large_stack_arrays,
    clippy::format_push_string,
    clippy::format_collect
)]

mod bounds;
mod fuzz_replay;
mod naive;
mod published;
mod texts;
mod trees;
mod vectors;
mod verdicts;
