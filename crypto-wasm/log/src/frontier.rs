//! The right edge of a tree in its most compact form: the roots of its complete subtrees, largest first.
//!
//! Enough to append and to know the root, and nothing else: at most 64 hashes whatever the size. A monitor that has one of a
//! head that it verified reads new entries, appends them, and compares roots.

use alloc::vec::Vec;

use crate::hash::{self, HASH_BYTES, Hash};
use crate::limits::TREE_SIZE;
use crate::{Code, Error};

/// The roots of the complete subtrees of a tree; their number is the count of ones in its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// Of the tree with `size` leaves, from its subtrees' roots one after another.
    ///
    /// # Errors
    /// `TileMalformed` when their number is not the one of this size.
    pub fn new(size: u64, subtrees: &[u8]) -> Result<Self, Error> {
        if size > TREE_SIZE || subtrees.len() != size.count_ones() as usize * HASH_BYTES {
            return Err(Error::new(Code::TileMalformed, "a frontier of another size"));
        }
        Ok(Self { size, subtrees: hash::split(subtrees).copied().collect() })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtrees' roots, largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Append a leaf.
    ///
    /// # Errors
    /// `TileMalformed` at the bound of a tree's size.
    pub fn append(&mut self, leaf: &Hash) -> Result<(), Error> {
        if self.size >= TREE_SIZE {
            return Err(Error::new(Code::TileMalformed, "the tree is full"));
        }
        let mut hash = *leaf;
        // Each trailing one of the size is a complete subtree as large as what is being carried.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = hash::node(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
        Ok(())
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.subtrees)
    }
}

/// The root over complete subtrees, largest first.
#[must_use]
pub fn fold(subtrees: &[Hash]) -> Hash {
    let mut from_right = subtrees.iter().rev();
    match from_right.next() {
        None => hash::empty(),
        Some(last) => from_right.fold(*last, |right, left| hash::node(left, &right)),
    }
}
