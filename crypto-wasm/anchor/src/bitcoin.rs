//! A Bitcoin block's header: 80 bytes, and the work that stands behind them.
//!
//! Source: contracts/spec/anchors.md#bitcoin.

use crate::error::{Code, Error};
use crate::hash::{Hash, sha256};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 80;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SHA-256 twice, in the order of its bytes; people write it reversed.
    pub hash: Hash,
    /// Of the block's transactions.
    pub merkle_root: Hash,
    /// Seconds since the Unix epoch, as the miner named them: right within two hours.
    pub time: u32,
}

const fn bad(detail: &'static str) -> Error {
    Error::new(Code::HeaderInvalid, detail)
}

impl Header {
    /// The header of these bytes, which shows the work of its own target, and that is no easier than `easiest`, both in the
    /// compact form. One header alone does not show that the block is of the chain.
    pub fn parse(bytes: &[u8], easiest: u32) -> Result<Self, Error> {
        let header: &[u8; HEADER_BYTES] = bytes.try_into().map_err(|_| bad("not 80 bytes"))?;
        let hash = sha256(&[&sha256(&[header])]);
        let word = |at: usize| header.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
        let (Some(time), Some(bits)) = (word(68), word(72)) else { return Err(bad("not 80 bytes")) };
        let merkle_root = header.get(36..68).and_then(|root| root.try_into().ok()).ok_or(bad("not 80 bytes"))?;
        let target = target(bits).ok_or(bad("no target"))?;
        if target > self::target(easiest).ok_or(bad("no bound"))? {
            return Err(bad("too little work"));
        }
        let mut value = hash;
        value.reverse();
        if value > target { Err(bad("the work is not done")) } else { Ok(Self { hash, merkle_root, time }) }
    }
}

/// The number that a hash may not exceed, big-endian: 23 bits of digits and a length in bytes. Zero, negative and too large
/// ones are none.
#[must_use]
pub fn target(bits: u32) -> Option<Hash> {
    let [length, digits @ ..] = bits.to_be_bytes();
    if digits.first().is_none_or(|digit| digit & 0x80 != 0) {
        return None;
    }
    let mut target = [0; 32];
    for (place, digit) in digits.iter().enumerate() {
        // The first digit has the weight 256^(length - 1).
        let weight = usize::from(length).checked_sub(1 + place);
        match weight.and_then(|weight| 31_usize.checked_sub(weight)) {
            Some(at) => *target.get_mut(at)? = *digit,
            // Below the point digits fall away; above 32 bytes only a zero fits.
            None if weight.is_none() || *digit == 0 => {}
            None => return None,
        }
    }
    (target != [0; 32]).then_some(target)
}
