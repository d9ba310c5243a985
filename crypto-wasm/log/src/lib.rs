//! The verifiable log: an RFC 6962 tree in tiles, and the texts that speak of it.
//!
//! Pure functions of their arguments: no clock, no randomness, no I/O, no curve. Where a signature is to be checked, the
//! library names the [`Equation`](note::Equation) and takes the answer. No input panics, every loop and allocation is
//! bounded by the input or by [`limits`], and what is wrong is answered with an [`Error`] that names the step.
//!
//! Source: contracts/spec/log.md.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)
)]

extern crate alloc;

pub mod base64;
pub mod checkpoint;
pub mod edge;
pub mod error;
pub mod frontier;
pub mod hash;
pub mod limits;
pub mod note;
pub mod policy;
pub mod proof;
pub mod proof_file;
pub mod submission;
pub mod text;
pub mod tile;
pub mod verify;

pub use error::{Code, Error};
pub use hash::Hash;
