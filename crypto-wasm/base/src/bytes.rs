//! What is asked of every byte of a header or a text, eight bytes at a time: a ticket alone has 2 kB.

/// This byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte.
const HIGH: u64 = each(0x80);

/// Whether all bytes are visible ASCII; a space is not.
#[must_use]
pub fn visible(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let strange = words.iter().fold(0, |strange, word| {
        let word = u64::from_le_bytes(*word);
        // The lowest byte below `!` borrows from nobody below it, so it shows; DEL is the only one that adding carries up.
        strange | word | word.wrapping_sub(each(b'!')) | word.wrapping_add(each(1))
    });
    strange & HIGH == 0 && rest.iter().all(u8::is_ascii_graphic)
}

/// Whether the two are the same bytes. Not in constant time.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    let ((words, rest), (others, other_rest)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    left.len() == right.len()
        && words.iter().zip(others).all(|(word, other)| u64::from_le_bytes(*word) == u64::from_le_bytes(*other))
        && rest == other_rest
}

/// How many bytes at the front need no escape in a JSON string.
#[must_use]
pub fn plain(bytes: &[u8]) -> usize {
    // A byte is zero where its highest bit is set only after one was taken from it (exact up to the first such byte).
    let zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    let (words, _) = bytes.as_chunks::<8>();
    let clean = words.iter().take_while(|word| {
        let word = u64::from_le_bytes(**word);
        let control = word.wrapping_sub(each(b' ')) & !word;
        (control | zero(word ^ each(b'"')) | zero(word ^ each(b'\\'))) & HIGH == 0
    });
    let clean = clean.count() * 8;
    let rest = bytes.get(clean..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, 0..b' ' | b'"' | b'\\'));
    clean + end.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_in_every_place_is_seen() {
        for byte in 0..=u8::MAX {
            for at in 0..19 {
                for around in [b'!', b'a', b'~'] {
                    let mut bytes = [around; 19];
                    bytes[at] = byte;
                    assert_eq!(visible(&bytes), byte.is_ascii_graphic(), "{byte} at {at}");
                    assert_eq!(same(&bytes, &[around; 19]), byte == around, "{byte} at {at}");
                    let escaped = byte < b' ' || byte == b'"' || byte == b'\\';
                    assert_eq!(plain(&bytes), if escaped { at } else { 19 }, "{byte} at {at}");
                }
            }
        }
        assert!(visible(b"") && same(b"", b"") && plain(b"") == 0);
        assert!(!same(b"12345678", b"123456789") && !same(b"123456789", b"12345678"));
        // Alike but for a whole word more.
        assert!(
            !same(b"12345678", b"1234567812345678") && !same(b"1234567812345678", b"12345678") && !same(b"", &[0; 8])
        );
    }

    proptest! {
        #[test]
        fn words_say_what_bytes_say(bytes: Vec<u8>, other: Vec<u8>) {
            prop_assert_eq!(visible(&bytes), bytes.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(same(&bytes, &other), bytes == other);
            prop_assert!(same(&bytes, &bytes.clone()));
            let escaped = bytes.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(plain(&bytes), escaped.unwrap_or(bytes.len()));
        }
    }
}
