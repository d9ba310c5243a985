//! What the core promises, from the outside.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value
)]

mod atoms;
mod attenuation;
mod authorize;
mod cells;
mod chains;
mod decisions;
mod ed25519;
mod fuzz_replay;
mod generate;
mod grants;
mod links;
mod paths;
mod properties;
mod published;
mod published_gateway;
mod scopes;
mod support;
mod uncovered;
mod universe;
mod vectors;
mod vectors_gateway;
mod world;
