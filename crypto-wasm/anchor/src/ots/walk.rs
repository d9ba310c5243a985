//! The tree of operations and attestations, walked as it is written: items of a message, each but the last after a mark;
//! an item is an attestation, or an operation and the tree of what it makes.

use alloc::string::String;
use alloc::vec::Vec;

use super::{FORK, operation};
use crate::error::{Code, Error};
use crate::hash::Hash;
use crate::limits::{NUMBER, OTS_ATTESTATIONS, OTS_DEPTH, OTS_OPERATIONS, OTS_PAYLOAD, OTS_URI};

const ATTESTATION: u8 = 0x00;
const BITCOIN: [u8; 8] = [0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01];
const PENDING: [u8; 8] = [0x83, 0xdf, 0xe3, 0x0d, 0x2e, 0xf9, 0x0c, 0x8e];

pub const fn bad(detail: &'static str) -> Error {
    Error::new(Code::OtsMalformed, detail)
}

/// What an attestation says of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the root of the transactions of the block of this height.
    Bitcoin {
        /// Blocks before it.
        height: u64,
        /// The message.
        merkle_root: Hash,
    },
    /// A calendar promises to have it attested.
    Pending {
        /// Where to ask.
        uri: String,
    },
    /// Of a kind that is not known here; it counts for nothing.
    Unknown {
        /// Its kind.
        tag: [u8; 8],
    },
}

/// An attestation, with its message and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What it is about.
    pub message: Vec<u8>,
    /// What it says.
    pub claim: Claim,
    /// Bytes from its start (its mark's, if it has one) and from its end to the end of all.
    pub(super) from_end: (usize, usize),
    /// The operations that lead to it, and itself, without marks: a tree that forks nowhere.
    pub(super) path: Vec<u8>,
}

/// What was found in a tree.
pub struct Tree {
    pub attestations: Vec<Attestation>,
    /// Where the last item of the first message begins.
    last: usize,
}

impl Tree {
    /// The tree of a message that these bytes are.
    pub fn read(bytes: &[u8], message: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader { rest: bytes };
        let mut tree = Self { attestations: Vec::new(), last: 0 };
        // Behind a fork's mark stands an attestation, which closes it, or an operation: never more open than the way is long.
        let mut open: Vec<(Vec<u8>, usize, usize)> = Vec::new();
        let (mut message, mut depth, mut operations) = (message.to_vec(), 0, 0);
        let mut path = Vec::new();
        loop {
            let start = reader.rest.len();
            let mut tag = reader.byte()?;
            if tag == FORK {
                open.push((message.clone(), depth, path.len()));
                tag = reader.byte()?;
            } else if depth == 0 {
                tree.last = bytes.len() - start;
            }
            path.push(tag);
            let behind = reader.rest;
            if tag != ATTESTATION {
                (depth, operations) = (depth + 1, operations + 1);
                if depth > OTS_DEPTH || operations > OTS_OPERATIONS {
                    return Err(bad("too many operations"));
                }
                message = operation::apply(tag, &message, &mut reader)?;
                path.extend_from_slice(read_since(behind, &reader));
                continue;
            }
            if tree.attestations.len() == OTS_ATTESTATIONS {
                return Err(bad("too many attestations"));
            }
            let claim = reader.claim(&message)?;
            let from_end = (start, reader.rest.len());
            path.extend_from_slice(read_since(behind, &reader));
            let next = open.pop();
            let whole = core::mem::take(&mut message);
            tree.attestations.push(Attestation { message: whole, claim, from_end, path: path.clone() });
            match next {
                Some((saved, at, length)) => {
                    (message, depth) = (saved, at);
                    path.truncate(length);
                }
                None if reader.rest.is_empty() => return Ok(tree),
                None => return Err(bad("bytes behind the last attestation")),
            }
        }
    }

    /// The bytes that this was read from, so that further items of the same message can follow them.
    pub fn forked(&self, bytes: &[u8]) -> Vec<u8> {
        let (before, last) = bytes.split_at_checked(self.last).unwrap_or_default();
        [before, &[FORK], last].concat()
    }
}

/// What was taken since `behind` was all that was left.
fn read_since<'a>(behind: &'a [u8], reader: &Reader<'_>) -> &'a [u8] {
    behind.get(..behind.len().saturating_sub(reader.rest.len())).unwrap_or_default()
}

/// Bytes that are taken from the front.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Error> {
        let (&byte, rest) = self.rest.split_first().ok_or(bad("cut"))?;
        self.rest = rest;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(bad("cut"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A whole number, seven bits a byte, the lowest first, without a needless byte.
    fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let lawful = (byte > 0 || shift == 0) && value <= NUMBER;
                return if lawful { Ok(value) } else { Err(bad("a number with a needless byte, or beyond its bound")) };
            }
        }
        Err(bad("a number beyond its bound"))
    }

    /// Bytes after their number.
    pub fn counted(&mut self, most: usize) -> Result<&'a [u8], Error> {
        let length = self.number()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= most).ok_or(bad("too many bytes"))?;
        self.take(length)
    }

    fn claim(&mut self, message: &[u8]) -> Result<Claim, Error> {
        let tag: [u8; 8] = self.take(8)?.try_into().map_err(|_| bad("cut"))?;
        let mut payload = Reader { rest: self.counted(OTS_PAYLOAD)? };
        let claim = match tag {
            BITCOIN => {
                let merkle_root = message.try_into().map_err(|_| bad("not a root of transactions"))?;
                Claim::Bitcoin { height: payload.number()?, merkle_root }
            }
            PENDING => Claim::Pending { uri: address(payload.counted(OTS_URI)?)? },
            _ => return Ok(Claim::Unknown { tag }),
        };
        if payload.rest.is_empty() { Ok(claim) } else { Err(bad("bytes behind a claim")) }
    }
}

/// The format allows few characters, so that an address cannot be more than a place to ask.
fn address(bytes: &[u8]) -> Result<String, Error> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(byte);
    let text = bytes.iter().all(allowed).then(|| core::str::from_utf8(bytes).ok()).flatten();
    text.filter(|text| !text.is_empty()).map(String::from).ok_or(bad("not an address"))
}
