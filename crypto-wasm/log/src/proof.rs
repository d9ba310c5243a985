//! Inclusion and consistency proofs: made from the hashes of complete subtrees, checked from nothing but the proof.
//!
//! Source: RFC 6962 §2.1.1 and §2.1.2, RFC 9162 §2.1.3.2 and §2.1.4.2 for the checks.

use alloc::vec::Vec;

use crate::hash::{self, Hash};
use crate::limits::{PROOF_HASHES, TREE_SIZE};
use crate::{Code, Error, frontier};

/// Where a maker of proofs finds hashes.
pub trait Nodes {
    /// The root of the complete subtree over the leaves `index << level .. (index + 1) << level`.
    ///
    /// # Errors
    /// What the source of hashes says.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Error>;
}

const fn invalid(code: Code) -> Error {
    Error::new(code, "the proof does not lead to the root")
}

/// The largest power of two below `size` (which is at least 2).
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The hash of the leaves `low..high`, which RFC 6962's recursion meets: `low` is aligned to every subtree in it.
fn range(nodes: &mut dyn Nodes, mut low: u64, high: u64) -> Result<Hash, Error> {
    let mut subtrees = Vec::new();
    while low < high {
        let level = (high - low).ilog2();
        subtrees.push(nodes.node(level, low >> level)?);
        low += 1 << level;
    }
    Ok(frontier::fold(&subtrees))
}

/// The root of the tree with `size` leaves.
///
/// # Errors
/// `TileMalformed` beyond the bound of a tree's size, or as `nodes` says.
pub fn root(nodes: &mut dyn Nodes, size: u64) -> Result<Hash, Error> {
    if size > TREE_SIZE {
        return Err(Error::new(Code::TileMalformed, "no such tree"));
    }
    range(nodes, 0, size)
}

/// The hashes that lead from the leaf at `index` to the root of the tree with `size` leaves, the leaf's sibling first.
///
/// # Errors
/// `InclusionInvalid` for an index outside of the tree, or as `nodes` says.
pub fn inclusion(nodes: &mut dyn Nodes, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if index >= size || size > TREE_SIZE {
        return Err(Error::new(Code::InclusionInvalid, "the index is outside of the tree"));
    }
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show the tree with `old` leaves to be the beginning of the one with `size`.
///
/// # Errors
/// `ConsistencyInvalid` when the old tree is empty or the larger one, or as `nodes` says.
pub fn consistency(nodes: &mut dyn Nodes, old: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if old == 0 || old > size || size > TREE_SIZE {
        return Err(Error::new(Code::ConsistencyInvalid, "the old head is empty or the larger one"));
    }
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    if low > 0 {
        proof.push(range(nodes, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root that a proof of inclusion leads to.
///
/// # Errors
/// `InclusionInvalid` for an index outside of the tree or a proof of another length than this place has.
pub fn inclusion_root(index: u64, size: u64, leaf: &Hash, proof: &[Hash]) -> Result<Hash, Error> {
    if index >= size || proof.len() > PROOF_HASHES {
        return Err(Error::new(Code::InclusionInvalid, "the index is outside of the tree"));
    }
    // `at` and `last` are the places of our subtree and of the rightmost one, level by level upwards.
    let (mut at, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(invalid(Code::InclusionInvalid));
        }
        if at & 1 == 1 || at == last {
            root = hash::node(sibling, &root);
            // On the right edge a subtree without a sibling stands for its parent too.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = hash::node(&root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(invalid(Code::InclusionInvalid)) }
}

/// Check that the leaf at `index` is in the tree with this root.
///
/// # Errors
/// `InclusionInvalid`.
pub fn check_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), Error> {
    if inclusion_root(index, size, leaf, proof)? == *root { Ok(()) } else { Err(invalid(Code::InclusionInvalid)) }
}

/// Check that the tree with `old` leaves and `old_root` is the beginning of the one with `size` leaves and `root`.
///
/// The empty tree is the beginning of every tree and shows nothing about any, so it is refused.
///
/// # Errors
/// `ConsistencyInvalid`.
pub fn check_consistency(old: u64, size: u64, old_root: &Hash, root: &Hash, proof: &[Hash]) -> Result<(), Error> {
    let sound = match old {
        0 => false,
        _ if old > size || proof.len() > PROOF_HASHES => false,
        _ if old == size => proof.is_empty() && old_root == root,
        _ => consistency_roots(old, size, old_root, proof) == Some((*old_root, *root)),
    };
    if sound { Ok(()) } else { Err(invalid(Code::ConsistencyInvalid)) }
}

/// Both roots that a proof leads to, for 0 < `old` < `size`.
fn consistency_roots(old: u64, size: u64, old_root: &Hash, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut at, mut last) = (old - 1, size - 1);
    let shift = at.trailing_ones();
    at >>= shift;
    last >>= shift;
    // A complete old tree is its own beginning, and the proof leaves it out.
    let (seed, rest) = if old.is_power_of_two() { (old_root, proof) } else { proof.split_first()? };
    let (mut first, mut second) = (*seed, *seed);
    for hash in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            first = hash::node(hash, &first);
            second = hash::node(hash, &second);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            second = hash::node(&second, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((first, second))
}
