//! Proofs of Merkle-Patricia tries: the nodes on the way from a root to the value of a key.
//!
//! Source: the Ethereum yellow paper, appendix D.

use alloc::vec::Vec;

use crate::error::{Code, Error};
use crate::hash::{Hash, keccak256};
use crate::limits::{NODE_BYTES, PROOF_NODES};
use crate::rlp::Item;

const fn bad(detail: &'static str) -> Error {
    Error::new(Code::ProofInvalid, detail)
}

/// The value at keccak-256 of `key` in the trie of this root.
pub fn value<'a>(root: &Hash, key: &[u8], nodes: &[&'a [u8]]) -> Result<&'a [u8], Error> {
    let key = keccak256(&[key]);
    let digits: Vec<u8> = key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    at(root, &digits, nodes)
}

/// The value at a path of hexadecimal digits. Every node is used, in its order, so a proof has one form.
pub fn at<'a>(root: &Hash, mut path: &[u8], nodes: &[&'a [u8]]) -> Result<&'a [u8], Error> {
    if nodes.len() > PROOF_NODES || nodes.iter().any(|node| node.len() > NODE_BYTES) {
        return Err(bad("a proof beyond its bounds"));
    }
    let mut nodes = nodes.iter();
    let mut node = hashed(root, &mut nodes)?;
    loop {
        let next = match (node.as_slice(), path.split_first()) {
            ([prefix, next], _) => {
                let (leaf, part) = digits_of(prefix.bytes()?)?;
                path = path.strip_prefix(part.as_slice()).ok_or(bad("the way leads elsewhere"))?;
                match (leaf, path.is_empty()) {
                    (true, true) => {
                        let end = nodes.next().is_none();
                        return if end { next.bytes() } else { Err(bad("nodes behind the value")) };
                    }
                    (false, false) if !part.is_empty() => *next,
                    _ => return Err(bad("the way ends elsewhere")),
                }
            }
            (children, Some((digit, rest))) if children.len() == 17 => {
                path = rest;
                *children.get(usize::from(*digit)).ok_or(bad("not a digit"))?
            }
            _ => return Err(bad("not a node")),
        };
        node = match (next.list, next.content.len()) {
            // A node of less than 32 bytes stands inside the one above; it is smaller, so this ends.
            (true, _) if next.whole.len() < 32 => next.items(17)?,
            (false, 32) => hashed(&next.exactly()?, &mut nodes)?,
            _ => return Err(bad("there is no such key")),
        };
    }
}

/// The next node of the proof, which must have this hash.
fn hashed<'a, 'b: 'a>(hash: &Hash, nodes: &mut impl Iterator<Item = &'a &'b [u8]>) -> Result<Vec<Item<'b>>, Error> {
    let node = nodes.next().ok_or(bad("a node is missing"))?;
    if keccak256(&[node]) != *hash {
        return Err(bad("a node is another one"));
    }
    Item::only(node)?.items(17)
}

/// The digits of a compact path, and whether it ends at a leaf.
fn digits_of(compact: &[u8]) -> Result<(bool, Vec<u8>), Error> {
    let (first, rest) = compact.split_first().ok_or(bad("no path"))?;
    let (flags, digit) = (first >> 4, first & 15);
    if flags > 3 || (flags & 1 == 0 && digit != 0) {
        return Err(bad("not a path"));
    }
    let odd = (flags & 1 == 1).then_some(digit);
    let even = rest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok((flags & 2 == 2, odd.into_iter().chain(even).collect()))
}
