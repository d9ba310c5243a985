//! Evidence that a checkpoint stood on a chain: a proof of a contract's state against a block hash, and a file of
//! OpenTimestamps against a Bitcoin header.
//!
//! Pure functions of their arguments: no clock, no randomness, no I/O, no chain. What a verifier trusts (a block hash, a
//! header) is for whoever asks to compare. No input panics, every loop and allocation is bounded by the input or by
//! [`limits`], and what is wrong is answered with an [`Error`] that names the step.
//!
//! Source: contracts/spec/anchors.md.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)
)]

extern crate alloc;

pub mod bitcoin;
pub mod error;
pub mod evm;
pub mod hash;
pub mod limits;
pub mod ots;
mod rlp;
pub mod trie;

pub use error::{Code, Error};
pub use hash::Hash;
