//! Decimals and hex as the texts of the log write them. `core::fmt` would be a third of the verifier's size.

use alloc::string::String;

/// Append `value` in decimal.
pub fn push_decimal(text: &mut String, value: u64) {
    if value >= 10 {
        push_decimal(text, value / 10);
    }
    text.push(char::from(b'0' + u8::try_from(value % 10).unwrap_or(0))); // a rest is below 10
}

/// A decimal without sign or needless zero, or none.
#[must_use]
pub fn decimal(text: &str) -> Option<u64> {
    let sound = !text.is_empty() && (text == "0" || !text.starts_with('0'));
    if !sound {
        return None;
    }
    text.bytes().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Append `bytes` in lower-case hex.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0')); // half < 16
        }
    }
}

/// Eight lower-case hex digits as four bytes, or none.
#[must_use]
pub fn hex4(text: &str) -> Option<[u8; 4]> {
    if text.len() != 8 {
        return None;
    }
    let value = text.bytes().try_fold(0u32, |value, byte| match byte {
        b'0'..=b'9' => Some(value << 4 | u32::from(byte - b'0')),
        b'a'..=b'f' => Some(value << 4 | u32::from(byte - b'a' + 10)),
        _ => None,
    })?;
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_one_text() {
        for value in [0, 1, 9, 10, 1_234_567, u64::MAX] {
            let mut text = String::new();
            push_decimal(&mut text, value);
            assert_eq!(text, value.to_string());
            assert_eq!(decimal(&text), Some(value));
        }
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "18446744073709551616", "٣"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn key_ids_are_eight_lower_case_digits() {
        let mut text = String::new();
        push_hex(&mut text, &[0x53, 0x0d, 0x90, 0x3a]);
        assert_eq!(text, "530d903a");
        assert_eq!(hex4(&text), Some([0x53, 0x0d, 0x90, 0x3a]));
        for text in ["", "530d903", "530d903a0", "530D903a", "530d903g"] {
            assert_eq!(hex4(text), None, "{text:?}");
        }
    }
}
