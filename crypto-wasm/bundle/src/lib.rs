//! Proof bundles: one file that proves one event, from its bytes to a verdict.
//!
//! Pure functions of their arguments, as in [`talos_log`]: no clock, no I/O, no curve. What a block is, the caller says; what
//! is not shown is never called verified.
//!
//! Source: contracts/spec/log.md#proof-bundle.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)
)]

extern crate alloc;

pub mod anchors;
pub mod bundle;
pub mod error;
pub mod event;
pub mod json;
pub mod limits;
pub mod trust;
pub mod verify;

pub use error::{Error, Step};
