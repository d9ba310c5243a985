//! The hashes of the chains.

use sha2::{Digest, Sha256};
use sha3::Keccak256;

/// 32 bytes.
pub type Hash = [u8; 32];

/// SHA-256 of the parts one after another.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Keccak-256, the hash of Ethereum: SHA-3 before its padding was changed.
#[must_use]
pub fn keccak256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
