//! RLP, strictly: one encoding a value, so a byte more or another length is no second form of the same evidence.
//!
//! Source: the Ethereum yellow paper, appendix B.

use alloc::vec::Vec;

use crate::error::{Code, Error};
use crate::limits::NUMBER;

/// One item, with the bytes that it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Whether it is a list, whose items are in `content`.
    pub list: bool,
    /// What stands behind its prefix.
    pub content: &'a [u8],
    /// Prefix and content.
    pub whole: &'a [u8],
}

const fn bad(detail: &'static str) -> Error {
    Error::new(Code::Malformed, detail)
}

impl<'a> Item<'a> {
    /// The one item that `bytes` are.
    pub fn only(bytes: &'a [u8]) -> Result<Self, Error> {
        let (item, rest) = Self::first(bytes)?;
        if rest.is_empty() { Ok(item) } else { Err(bad("bytes after an item")) }
    }

    /// The item at the start of `bytes`, and what follows.
    pub fn first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let (&prefix, rest) = bytes.split_first().ok_or(bad("no item"))?;
        let (list, short) = if prefix >= 0xc0 { (true, prefix - 0xc0) } else { (false, prefix.wrapping_sub(0x80)) };
        let (head, length) = match prefix {
            0..0x80 => (0, 1),
            _ if short <= 55 => (1, usize::from(short)),
            _ => {
                let (length, _) = rest.split_at_checked(usize::from(short - 55)).ok_or(bad("an item is cut"))?;
                (1 + length.len(), long(length)?)
            }
        };
        let end = length.checked_add(head).ok_or(bad("an item is cut"))?;
        let (whole, rest) = bytes.split_at_checked(end).ok_or(bad("an item is cut"))?;
        let content = whole.get(head..).unwrap_or_default();
        if prefix == 0x81 && content.first().is_some_and(|byte| *byte < 0x80) {
            return Err(bad("a byte has a prefix"));
        }
        Ok((Self { list, content, whole }, rest))
    }

    /// The items of a list, at most `most`.
    pub fn items(&self, most: usize) -> Result<Vec<Item<'a>>, Error> {
        if !self.list {
            return Err(bad("not a list"));
        }
        let mut items = Vec::new();
        let mut rest = self.content;
        while !rest.is_empty() {
            if items.len() == most {
                return Err(bad("too many items"));
            }
            let (item, after) = Self::first(rest)?;
            items.push(item);
            rest = after;
        }
        Ok(items)
    }

    /// The bytes of an item that is no list.
    pub fn bytes(&self) -> Result<&'a [u8], Error> {
        if self.list { Err(bad("a list in place of bytes")) } else { Ok(self.content) }
    }

    /// Exactly so many bytes.
    pub fn exactly<const N: usize>(&self) -> Result<[u8; N], Error> {
        self.bytes()?.try_into().map_err(|_| bad("bytes of another length"))
    }

    /// A whole number without leading zeros.
    pub fn integer(&self) -> Result<u64, Error> {
        let bytes = self.bytes()?;
        if bytes.first() == Some(&0) || bytes.len() > 8 {
            return Err(bad("not a number"));
        }
        let value = bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        if value <= NUMBER { Ok(value) } else { Err(bad("a number beyond its bound")) }
    }
}

/// The length of an item that is longer than 55 bytes.
fn long(bytes: &[u8]) -> Result<usize, Error> {
    if bytes.first() == Some(&0) || bytes.len() > 3 {
        return Err(bad("a length that none needs"));
    }
    let length = bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    if length > 55 { Ok(length) } else { Err(bad("a short length written long")) }
}
