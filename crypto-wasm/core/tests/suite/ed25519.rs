//! The Ed25519 profile against everything on which verifiers disagree. The edge cases are made here with curve arithmetic, in
//! the classes of "Taming the many `EdDSAs`" (Chalkias, Garillot, Nikolaenko 2020).

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest, Sha512};
use talos_core::ed25519::{point_acceptable, precheck, public, sign, verify};

const SEED: [u8; 32] = [5; 32];

fn secret(seed: &[u8; 32]) -> Scalar {
    let hash: [u8; 64] = Sha512::digest(seed).into();
    Scalar::from_bytes_mod_order(clamp_integer(*hash.first_chunk().unwrap()))
}

/// k = H(R ‖ A ‖ M), by the bytes given.
fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let hash: [u8; 64] = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize().into();
    Scalar::from_bytes_mod_order_wide(&hash)
}

fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    [r, s].concat().try_into().unwrap()
}

/// What a verifier without byte checks computes: `[S]B = R + [k]A`, or the same times 8.
fn equation(a: &[u8; 32], r: &[u8; 32], s: Scalar, message: &[u8], cofactored: bool) -> bool {
    let (Some(point_a), Some(point_r)) = (CompressedEdwardsY(*a).decompress(), CompressedEdwardsY(*r).decompress())
    else {
        return false;
    };
    let difference = EdwardsPoint::mul_base(&s) - point_r - challenge(r, a, message) * point_a;
    if cofactored {
        difference.mul_by_cofactor() == EdwardsPoint::default()
    } else {
        difference == EdwardsPoint::default()
    }
}

/// Every encoding that decoders accept for a point of small order: with y + p, where that fits 255 bits, and the other sign.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    let mut add = |low: u8, rest: u8, sign: u8| {
        let mut bytes = [rest; 32];
        bytes[0] = low;
        bytes[31] = (rest & 0x7f) | sign;
        all.push(bytes);
    };
    for sign in [0, 0x80] {
        add(0xec, 0xff, sign); // −1
        add(0xed, 0xff, sign); // p, that is 0
        add(0xee, 0xff, sign); // p + 1, that is 1
        add(0x00, 0x00, sign);
        add(0x01, 0x00, sign); // 1, with the sign set the negative zero
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn what_is_signed_verifies_and_nothing_else() {
    let key = public(&SEED);
    let signature = sign(&SEED, b"message");
    assert!(precheck(&key, &signature) && verify(&key, &signature, b"message"));
    assert!(!verify(&key, &signature, b"messagf") && !verify(&public(&[6; 32]), &signature, b"message"));
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&key, &changed, b"message"), "bit {bit}");
    }
}

#[test]
fn every_encoding_of_a_small_order_point_is_refused_as_key_and_as_r() {
    let encodings = small_order_encodings();
    assert_eq!(encodings.len(), 14, "8 points, and 6 encodings that should not be");
    let key = public(&SEED);
    for encoding in &encodings {
        assert!(
            CompressedEdwardsY(*encoding).decompress().is_some_and(|point| point.is_small_order()),
            "{encoding:02x?}"
        );
        assert!(!point_acceptable(encoding));
        assert!(!precheck(encoding, &sign(&SEED, b"m")), "{encoding:02x?} as key");
        assert!(!precheck(&key, &joined(*encoding, Scalar::ONE.to_bytes())), "{encoding:02x?} as R");
    }
}

#[test]
fn a_small_order_key_would_sign_anything_and_is_refused() {
    // speccheck 0 and 1: S = 0 with small-order A and R; S chosen freely with A of order 1 and R = [S]B.
    let mut accepted_elsewhere = 0;
    for a in small_order_encodings() {
        for r in small_order_encodings() {
            for number in 0..16u8 {
                let message = [number];
                accepted_elsewhere += usize::from(equation(&a, &r, Scalar::ZERO, &message, false));
                assert!(!verify(&a, &joined(r, [0; 32]), &message));
            }
        }
    }
    assert!(accepted_elsewhere > 100, "{accepted_elsewhere}");
    let identity = EdwardsPoint::default().compress().0;
    let s = Scalar::from(42u8);
    let r = EdwardsPoint::mul_base(&s).compress().0;
    assert!(equation(&identity, &r, s, b"anything", false));
    assert!(!verify(&identity, &joined(r, s.to_bytes()), b"anything"));
}

#[test]
fn a_small_order_r_under_an_honest_key_is_refused() {
    // speccheck 2: R of small order, A honest, S = k·a (and R the identity) satisfies the equation.
    let key = public(&SEED);
    let identity = EdwardsPoint::default().compress().0;
    let s = challenge(&identity, &key, b"m") * secret(&SEED);
    assert!(equation(&key, &identity, s, b"m", false));
    assert!(!verify(&key, &joined(identity, s.to_bytes()), b"m"));
}

#[test]
fn a_mixed_order_point_is_judged_by_the_cofactorless_equation() {
    // speccheck 3 to 5: A or R with a component of small order. Where the parts cancel, the equation holds and we accept, as
    // every verifier does; where only the cofactored equation holds, verifiers differ and we refuse.
    let (mut both, mut only_cofactored) = (0, 0);
    let a = secret(&SEED);
    for torsion in EIGHT_TORSION.iter().skip(1) {
        let mixed_key = (EdwardsPoint::mul_base(&a) + torsion).compress().0;
        for number in 0..32u8 {
            let message = [number];
            let nonce = Scalar::from(1_000 + u64::from(number));
            for r_torsion in EIGHT_TORSION {
                let r = (EdwardsPoint::mul_base(&nonce) + r_torsion).compress().0;
                let s = nonce + challenge(&r, &mixed_key, &message) * a;
                let signature = joined(r, s.to_bytes());
                assert!(equation(&mixed_key, &r, s, &message, true));
                let holds = equation(&mixed_key, &r, s, &message, false);
                assert_eq!(verify(&mixed_key, &signature, &message), holds);
                both += usize::from(holds);
                only_cofactored += usize::from(!holds);
            }
        }
    }
    assert!(both > 50 && only_cofactored > 50, "{both}, {only_cofactored}");
}

#[test]
fn an_s_of_l_or_more_is_refused() {
    // speccheck 6 and 7: S + L (and more, as far as 256 bits go) satisfies the equation for verifiers that reduce it.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = public(&SEED);
    let signature = sign(&SEED, b"m");
    let (r, s): ([u8; 32], [u8; 32]) = (signature[..32].try_into().unwrap(), signature[32..].try_into().unwrap());
    let mut grown = s;
    for times in 1..=14 {
        let mut carry = 0u16;
        for (byte, more) in grown.iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(Scalar::from_bytes_mod_order(grown), Scalar::from_bytes_mod_order(s));
        assert!(!precheck(&key, &joined(r, grown)) && !verify(&key, &joined(r, grown), b"m"), "S + {times} L");
    }
    assert!(!precheck(&key, &joined(r, ORDER)), "S = L");
    let mut below = ORDER;
    below[0] -= 1;
    assert!(precheck(&key, &joined(r, below)), "S = L − 1 is a scalar");
    let mut above = ORDER;
    above[0] += 1;
    assert!(!precheck(&key, &joined(r, above)));
}

#[test]
fn non_canonical_encodings_are_refused_as_key_and_as_r() {
    // speccheck 8 to 11, and beyond: every y of p..2^255, with either sign, whether it decodes to a point or not.
    let key = public(&SEED);
    let signature = sign(&SEED, b"m");
    let s: [u8; 32] = signature[32..].try_into().unwrap();
    for low in 0xed..=0xffu8 {
        for sign in [0x7f, 0xff] {
            let mut encoding = [0xff; 32];
            encoding[0] = low;
            encoding[31] = sign;
            assert!(!precheck(&encoding, &signature) && !precheck(&key, &joined(encoding, s)), "{low:x} {sign:x}");
        }
    }
    // Just below p, and not of small order: canonical, with either sign.
    for sign in [0x7f, 0xff] {
        let mut encoding = [0xff; 32];
        encoding[0] = 0xeb;
        encoding[31] = sign;
        assert!(point_acceptable(&encoding));
    }
}

#[test]
fn what_is_no_point_is_refused() {
    let mut off_curve = [0u8; 32];
    off_curve[0] = 2;
    assert!(CompressedEdwardsY(off_curve).decompress().is_none());
    assert!(!verify(&off_curve, &sign(&SEED, b"m"), b"m"));
    let signature = sign(&SEED, b"m");
    assert!(!verify(&public(&SEED), &joined(off_curve, signature[32..].try_into().unwrap()), b"m"));
}
