//! Standard base64 with padding, strict: one byte string has exactly one text.
//!
//! Source: RFC 4648 §4 with §3.5 (unused bits are zero).

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Append the text of `bytes` to `text`.
pub fn push(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let value = (group >> (18 - 6 * index)) & 63;
            let digit = ALPHABET.get(value as usize).copied().unwrap_or(b'A'); // value < 64
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

fn digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// The bytes of `text`, or none: padding is demanded, foreign characters and unused bits that are not zero are refused.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (chunks, rest) = text.as_bytes().as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(chunks.len() * 3);
    for (at, chunk) in chunks.iter().enumerate() {
        let padding = match chunk {
            [.., b'=', b'='] => 2,
            [.., b'='] => 1,
            _ => 0,
        };
        if padding > 0 && at + 1 != chunks.len() {
            return None;
        }
        let mut group = 0;
        for &byte in chunk.iter().take(4 - padding) {
            group = group << 6 | digit(byte)?;
        }
        let [_, high, middle, low] = (group << (6 * padding)).to_be_bytes();
        match padding {
            0 => bytes.extend([high, middle, low]),
            1 if low == 0 => bytes.extend([high, middle]),
            2 if middle == 0 && low == 0 => bytes.push(high),
            _ => return None,
        }
    }
    Some(bytes)
}

/// The 32 bytes of `text`.
#[must_use]
pub fn decode_hash(text: &str) -> Option<[u8; 32]> {
    if text.len() == 44 { decode(text)?.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(bytes: &[u8]) -> String {
        let mut text = String::new();
        push(&mut text, bytes);
        text
    }

    #[test]
    fn every_byte_string_has_exactly_one_text() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (&[0xfb, 0xff, 0xbf], "+/+/")]
        {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).unwrap(), bytes);
        }
        for length in 0..40 {
            let bytes = vec![0xa7; length];
            assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_not_the_one_text_is_refused() {
        for text in ["Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "=g==", "Z===", "====", "Zm-v", "Zm_v", "Zm9v\n", " Zm9v"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(decode_hash(&encode(&[7; 32])), Some([7; 32]));
        assert_eq!(decode_hash(&encode(&[7; 31])), None);
        assert_eq!(decode_hash(&encode(&[7; 33])), None);
    }
}
