//! What every request passes through: encoding, JSON, grants and the decision on them.
//!
//! A crate of its own for one reason: it is compiled for speed, where the rest of the core is compiled for size. Use it
//! through `talos_core`, which has all of it under the same names.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)
)]

pub mod b64;
pub mod bytes;
pub mod contain;
pub mod contract;
pub mod decide;
pub mod error;
pub mod grant;
pub mod hash;
pub mod json;
pub mod limits;
pub mod need;
pub mod path;
pub mod structured;
pub mod table;

pub use error::{Code, Error};
