//! The hashes of the tree: a leaf and a node never share an input, so an inner node cannot pass as a leaf.
//!
//! Source: RFC 6962 §2.1.

use sha2::{Digest, Sha256};

/// SHA-256 of a leaf or node.
pub type Hash = [u8; 32];

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    of(&[&[0], entry])
}

/// SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    of(&[&[1], left, right])
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty() -> Hash {
    of(&[])
}

/// SHA-256 of the parts one after another.
#[must_use]
pub fn of(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The hashes that stand one after another in `bytes`; what is left over is dropped, so callers check the length first.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &Hash> {
    bytes.as_chunks::<HASH_BYTES>().0.iter()
}
