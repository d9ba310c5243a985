//! SHA-256, and the hash as text.

use sha2::{Digest, Sha256};

use crate::b64;

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of the parts one after another, without joining them in memory.
#[must_use]
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// base64url of SHA-256 of `bytes`: the form of hashes in protocol objects (contracts/spec/encoding.md#ids-hashes-times).
#[must_use]
pub fn sha256_b64(bytes: &[u8]) -> String {
    b64::encode(&sha256(bytes))
}

/// Lower-case hex of `bytes`: the form of `event_hash`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0'); // value < 16
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_abc_is_the_one_of_fips_180() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), expected);
        assert_eq!(hex(&sha256_parts(&[b"a", b"", b"bc"])), expected);
    }
}
