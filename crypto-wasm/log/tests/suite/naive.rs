//! RFC 6962 as its own words put it: recursive, over all leaves, slow. Shares nothing with the library but SHA-256.

use sha2::{Digest, Sha256};
use talos_log::Hash;

/// Leaf hashes of entries that are the decimals from 0.
pub fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|index| Sha256::new().chain_update([0]).chain_update(index.to_string()).finalize().into()).collect()
}

fn node(left: Hash, right: Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    let mut middle = 1;
    while middle * 2 < leaves.len() {
        middle *= 2;
    }
    leaves.split_at(middle)
}

pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node(root(left), root(right))
        }
    }
}

pub fn inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut proof, sibling) = if index < left.len() {
        (inclusion(index, left), root(right))
    } else {
        (inclusion(index - left.len(), right), root(left))
    };
    proof.push(sibling);
    proof
}

pub fn consistency(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    let (mut proof, other) = if old <= left.len() {
        (consistency(old, left, whole), root(right))
    } else {
        (consistency(old - left.len(), right, false), root(left))
    };
    proof.push(other);
    proof
}
