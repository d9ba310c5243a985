//! Operations: how the next message is made of the one before.

use alloc::vec::Vec;

use ripemd::Ripemd160;
use sha1::{Digest, Sha1};

use super::walk::{Reader, bad};
use crate::error::Error;
use crate::hash::{keccak256, sha256};
use crate::limits::OTS_MESSAGE;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Reads what the operation of this tag needs, and does it.
pub fn apply(tag: u8, message: &[u8], reader: &mut Reader<'_>) -> Result<Vec<u8>, Error> {
    let next = match tag {
        0x02 => Sha1::digest(message).to_vec(),
        0x03 => Ripemd160::digest(message).to_vec(),
        0x08 => sha256(&[message]).to_vec(),
        0x67 => keccak256(&[message]).to_vec(),
        0xf0 => [message, argument(reader)?].concat(),
        0xf1 => [argument(reader)?, message].concat(),
        0xf2 => message.iter().rev().copied().collect(),
        0xf3 => message.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect(),
        _ => return Err(bad("an operation that is not known")),
    };
    if next.len() <= OTS_MESSAGE { Ok(next) } else { Err(bad("a message beyond its bound")) }
}

fn argument<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let argument = reader.counted(OTS_MESSAGE)?;
    if argument.is_empty() { Err(bad("nothing to append")) } else { Ok(argument) }
}

fn digit(value: u8) -> Option<u8> {
    DIGITS.get(usize::from(value)).copied()
}
