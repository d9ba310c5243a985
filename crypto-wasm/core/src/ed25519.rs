//! The one Ed25519 profile: byte checks first, then the cofactorless equation.
//!
//! Source: contracts/spec/identity.md#the-ed25519-profile, RFC 8032.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// A signature still to be verified, by whoever is fastest at it. Its byte checks are already made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The public key.
    pub key: [u8; 32],
    /// R and S.
    pub signature: [u8; 64],
    /// What is signed.
    pub message: Vec<u8>,
}

impl Check {
    /// Verifies it here, by [`verify`].
    #[must_use]
    pub fn verify(&self) -> bool {
        verify(&self.key, &self.signature, &self.message)
    }
}

/// The public key of a seed.
#[must_use]
pub fn public(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// Signs `message`. Deterministic (RFC 8032 §5.1.6).
#[must_use]
pub fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}

/// Steps 1 to 3 of the profile: S < L, canonical encodings of A and R, neither of small order.
///
/// Verifiers disagree about what these refuse: a signature under a small-order key holds for messages that nobody signed, and
/// a second encoding gives one signature two texts. So these bytes never reach a verifier.
#[must_use]
pub fn precheck(key: &[u8; 32], signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let r: &[u8; 32] = r.first_chunk().unwrap_or(&SMALL_ORDER_ZERO); // always 32 bytes; the point of order 4 would be refused
    below(s, &ORDER) && point_acceptable(key) && point_acceptable(r)
}

/// The whole profile.
#[must_use]
pub fn verify(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    precheck(key, signature)
        && VerifyingKey::from_bytes(key)
            .is_ok_and(|key| ed25519_dalek::Verifier::verify(&key, message, &Signature::from_bytes(signature)).is_ok())
}

/// Whether `key` can be somebody's: canonical and not of small order.
#[must_use]
pub fn point_acceptable(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    // The x of small-order points is the only one that can be zero, so refusing them by their y refuses negative zero too.
    below(&y, &FIELD) && !SMALL_ORDER_Y.contains(&y)
}

/// Whether the little-endian number `number` is less than `bound`. Both are public, so time may depend on them.
fn below(number: &[u8], bound: &[u8; 32]) -> bool {
    number.iter().rev().lt(bound.iter().rev())
}

/// p = 2^255 − 19, little-endian.
const FIELD: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

/// L = 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// y = 0: the points of order 4.
const SMALL_ORDER_ZERO: [u8; 32] = [0; 32];

/// The y coordinates of the 8 points whose order divides 8: 1 (order 1), −1 (order 2), 0 (order 4, two points), and two that
/// belong to two points of order 8 each. With either sign bit.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = FIELD;
        minus_one[0] = 0xec;
        minus_one
    },
    SMALL_ORDER_ZERO,
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];
