//! `UUIDv7`: ids of events, requests and tokens.
//!
//! Source: RFC 9562 §5.7, contracts/spec/encoding.md#ids-hashes-times.

use std::fmt::Write as _;

use crate::Error;

/// Milliseconds that fit into the 48 bits of the timestamp.
const MAX_MS: u64 = (1 << 48) - 1;

/// The id of `now_ms` (milliseconds since the Unix epoch) and ten random bytes, of which 74 bits are used.
///
/// Errors: `LIMIT_EXCEEDED` when the time does not fit into 48 bits.
pub fn make(now_ms: u64, random: [u8; 10]) -> Result<String, Error> {
    if now_ms > MAX_MS {
        return Err(Error::limit("a time beyond 48 bits").at("now_ms"));
    }
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(now_ms.to_be_bytes().into_iter().skip(2).chain(random)) {
        *to = from;
    }
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Whether `text` is a `UUIDv7` in the one form that we write: lower case, version 7, variant 10.
#[must_use]
pub fn valid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'7',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_9562_appendix_a6() {
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        assert_eq!(make(0x017f_22e2_79b0, random).unwrap(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn a_time_beyond_48_bits_is_refused() {
        assert!(make(MAX_MS, [0; 10]).is_ok());
        assert!(make(MAX_MS + 1, [0; 10]).is_err());
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
            "017f22e279b07cc398c4dc0c0c07398f",
            "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f ",
            "",
        ] {
            assert!(!valid(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_is_valid_and_sorts_by_time(a in 0..=MAX_MS, b in 0..=MAX_MS, random: [u8; 10]) {
            let (x, y) = (make(a, random).unwrap(), make(b, random).unwrap());
            prop_assert!(valid(&x) && valid(&y));
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = valid(&text);
        }
    }
}
