//! The bounds that this crate keeps: those of contracts/limits.json, and two that are properties of JSON and of time.

pub use crate::contract::limits::*;

/// Largest integer of a JSON text: 2^53 − 1 (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
/// The latest moment that a contract names, Unix seconds: the year 2100.
pub const MAX_SECONDS: i64 = 4_102_444_800;
