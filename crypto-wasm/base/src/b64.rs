//! base64url without padding, strict: one byte string has exactly one text.
//!
//! Source: contracts/spec/encoding.md#base64url, RFC 4648 §5.

use crate::Error;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NONE: u8 = 0xff;

/// The value of each byte as a digit, `NONE` where it is none.
const DIGITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut value = 0;
    // `while` and plain indices: iterators are not const, and a wrong index would fail the build.
    #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
    while value < 64 {
        table[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    table
};

fn digit(byte: u8) -> Result<u32, Error> {
    match DIGITS.get(usize::from(byte)) {
        Some(&value) if value != NONE => Ok(u32::from(value)),
        _ => Err(Error::malformed("not a base64url character")),
    }
}

/// The text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    encode_in(ALPHABET, bytes)
}

/// The text of `bytes` in these digits, without padding.
pub(crate) fn encode_in(alphabet: &[u8; 64], bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let value = (group >> (18 - 6 * index)) & 63;
            text.push(char::from(alphabet.get(value as usize).copied().unwrap_or(b'A'))); // value < 64
        }
    }
    text
}

/// The bytes of `text`.
///
/// # Errors
/// `MALFORMED` for padding, a foreign character, a length of 1 mod 4, or unused trailing bits that are not zero (otherwise the
/// same signed token would have several ids).
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let value = |byte: u8| u32::from(DIGITS.get(usize::from(byte)).copied().unwrap_or(NONE));
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    let mut bytes = Vec::with_capacity(groups.len() * 3 + 2);
    for &[a, b, c, d] in groups {
        let [a, b, c, d] = [value(a), value(b), value(c), value(d)];
        // A digit is below 64; what is none has the highest bit.
        if (a | b | c | d) & 0x80 != 0 {
            return Err(Error::malformed("not a base64url character"));
        }
        let [_, high, middle, low] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        bytes.extend_from_slice(&[high, middle, low]);
    }
    let mut group = 0u32;
    for &byte in rest {
        group = group << 6 | digit(byte)?;
    }
    let [_, high, middle, low] = (group << (6 * (4 - rest.len()))).to_be_bytes();
    match rest.len() {
        0 => {}
        3 if low == 0 => bytes.extend([high, middle]),
        2 if middle == 0 => bytes.push(high),
        1 => return Err(Error::malformed("base64url of impossible length")),
        _ => return Err(Error::malformed("base64url with trailing bits")),
    }
    Ok(bytes)
}

/// The 32 bytes of `text`: a hash, a key, a seed.
///
/// # Errors
/// `MALFORMED` as [`decode`], or when it is not 32 bytes.
pub fn decode32(text: &str) -> Result<[u8; 32], Error> {
    if text.len() != 43 {
        return Err(Error::malformed("not 32 bytes in base64url"));
    }
    decode(text)?.try_into().map_err(|_| Error::malformed("not 32 bytes in base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_string_has_exactly_one_text() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"hello", &[0xff; 7], &[0xfb, 0xef, 0xbe]] {
            assert_eq!(decode(&encode(bytes)).unwrap(), bytes);
        }
        assert_eq!(encode(b"foo"), "Zm9v");
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn altered_trailing_bits_are_refused() {
        // "Zg" is the one text of "f"; the other 15 differ in bits that carry nothing.
        for last in "hijklmnopqrstuv".chars() {
            assert!(decode(&format!("Z{last}")).is_err(), "{last}");
        }
        for last in "9-_".chars() {
            assert!(decode(&format!("Zm{last}")).is_err(), "{last}");
        }
    }

    #[test]
    fn padding_foreign_characters_and_impossible_lengths_are_refused() {
        for text in ["Zg==", "Zm+v", "Zm/v", "A", "Zm9vA", "Zm9v\n", " Zm9v", "Zm9é", "\u{0}AAA"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn thirty_two_bytes_are_exactly_thirty_two() {
        assert_eq!(decode32(&encode(&[7; 32])).unwrap(), [7; 32]);
        assert!(decode32(&encode(&[7; 31])).is_err());
        assert!(decode32(&encode(&[7; 33])).is_err());
        assert!(decode32("").is_err());
    }
}
