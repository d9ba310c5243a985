//! Commitments to values that the record does not keep.
//!
//! Source: contracts/spec/audit.md#commitments.

use crate::b64;
use crate::hash::sha256_parts;

/// base64url SHA-256 of salt and value. `value` is canonical JSON, or the bytes where it is none; the salt is 16 random
/// bytes, without which a value that can be guessed could be found again.
#[must_use]
pub fn commit(salt: &[u8; 16], value: &[u8]) -> String {
    b64::encode(&sha256_parts(&[salt, value]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256_b64;

    #[test]
    fn it_is_the_hash_of_salt_and_value() {
        let mut joined = [7; 16].to_vec();
        joined.extend(br#"{"a":1}"#);
        assert_eq!(commit(&[7; 16], br#"{"a":1}"#), sha256_b64(&joined));
    }

    #[test]
    fn another_salt_or_value_gives_another_commitment() {
        let commitment = commit(&[7; 16], b"value");
        assert_ne!(commit(&[8; 16], b"value"), commitment);
        assert_ne!(commit(&[7; 16], b"valve"), commitment);
    }
}
