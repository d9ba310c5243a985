//! The Talos protocol core: encoding, identity, capabilities and decisions.
//!
//! Everything here is a pure function of its arguments. There is no clock, no randomness and no I/O inside: time, nonces and
//! keys are handed in. No input panics and every loop and allocation is bounded by the input or by [`limits`]; what is wrong
//! is answered with an [`Error`] that has a name from the contract.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)
)]

pub use talos_base::{
    Code, Error, b64, bytes, contain, contract, decide, error, grant, hash, json, limits, need, path, structured, table,
};

pub mod attenuate;
pub mod chain;
pub mod did;
pub mod ed25519;
pub mod frame;
pub mod jwk;
pub mod jws;
pub mod link;
pub mod mcp;
pub mod scope;
pub mod trust;

// Proofs and sessions.
pub mod lineage;
pub mod mcp_session;
pub mod proof;
pub mod seal;
pub mod session;
pub mod ticket;
pub mod window;

// What is in force.
pub mod bloom;
pub mod forbid;
pub mod head;
pub mod pep;
pub mod policy;
pub mod registry;
pub mod revocation;
pub mod roles;
pub mod statement;

// Requests.
pub mod authorize;
pub mod surface;
pub mod tickets;

// The record.
pub mod commitment;
pub mod cursor;
pub mod event;
pub mod promise;
pub mod receipt;
pub mod uuidv7;
