//! The right edge of a tree as its partial tiles: what an object keeps between two heads.
//!
//! The edge of a size is one tile for each level that is not full there, lowest first, one after another; its length follows
//! from the size. Appending gives the root, every tile that changed, and the new edge is the partial ones among all.

use alloc::vec::Vec;

use crate::hash::{HASH_BYTES, Hash};
use crate::limits::TREE_SIZE;
use crate::tile::{HEIGHT, Kind, MAX_LEVEL, Tile, WIDTH, full_root, hashes_at, subtree_root};
use crate::{Code, Error, frontier};

/// The partial tiles of a tree, by level; a level whose hashes fill whole tiles has an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// A tile that appending wrote, full or partial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it stands.
    pub tile: Tile,
    /// Its hashes.
    pub hashes: Vec<Hash>,
}

const fn malformed(detail: &'static str) -> Error {
    Error::new(Code::TileMalformed, detail)
}

/// How many hashes of a level stand in its partial tile.
fn partial(level: u32, size: u64) -> usize {
    usize::try_from(hashes_at(level, size) % WIDTH).unwrap_or(0)
}

/// The partial tiles of a tree of this size, lowest level first: what [`Edge::new`] reads.
#[must_use]
pub fn edge_tiles(size: u64) -> Vec<Tile> {
    (0..=MAX_LEVEL)
        .filter(|level| partial(*level, size) > 0)
        .filter_map(|level| Tile::of(Kind::Hashes(level), hashes_at(level, size) / WIDTH, size))
        .collect()
}

impl Edge {
    /// Of the tree with `size` leaves, from its partial tiles one after another, lowest level first.
    ///
    /// # Errors
    /// `TileMalformed` when they are not as long as this size makes them.
    pub fn new(size: u64, tiles: &[u8]) -> Result<Self, Error> {
        let (mut rest, left_over) = tiles.as_chunks::<HASH_BYTES>();
        if size > TREE_SIZE || !left_over.is_empty() {
            return Err(malformed("a right edge of another size"));
        }
        let mut levels = Vec::new();
        for level in 0..=MAX_LEVEL {
            let (hashes, after) =
                rest.split_at_checked(partial(level, size)).ok_or(malformed("a right edge of another size"))?;
            levels.push(hashes.to_vec());
            rest = after;
        }
        if rest.is_empty() { Ok(Self { size, levels }) } else { Err(malformed("a right edge of another size")) }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Append leaf hashes.
    /// @returns the tiles that changed: full ones in the order in which they filled, then the partial ones
    ///
    /// # Errors
    /// `TileMalformed` at the bound of a tree's size.
    pub fn append(&mut self, leaves: &[Hash]) -> Result<Vec<Written>, Error> {
        let before = self.size;
        let mut written = Vec::new();
        for leaf in leaves {
            if self.size >= TREE_SIZE {
                return Err(malformed("the tree is full"));
            }
            self.size += 1;
            let mut carried = Some(*leaf);
            for (level, hashes) in (0..).zip(self.levels.iter_mut()) {
                let Some(hash) = carried.take() else { break };
                hashes.push(hash);
                if hashes.len() as u64 == WIDTH {
                    carried = Some(full_root(hashes.as_flattened())?);
                    let index = hashes_at(level, self.size) / WIDTH - 1;
                    let tile = Tile { kind: Kind::Hashes(level), index, width: WIDTH };
                    written.push(Written { tile, hashes: core::mem::take(hashes) });
                }
            }
        }
        for (level, hashes) in (0..).zip(&self.levels) {
            if hashes_at(level, self.size) > hashes_at(level, before) && !hashes.is_empty() {
                let index = hashes_at(level, self.size) / WIDTH;
                let tile = Tile { kind: Kind::Hashes(level), index, width: hashes.len() as u64 };
                written.push(Written { tile, hashes: hashes.clone() });
            }
        }
        Ok(written)
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        frontier::fold(&self.subtrees())
    }

    /// The roots of the complete subtrees, largest first: what a [`frontier::Frontier`] goes on from.
    #[must_use]
    pub fn subtrees(&self) -> Vec<Hash> {
        let mut subtrees = Vec::new();
        for hashes in self.levels.iter().rev() {
            let mut rest = hashes.as_slice();
            for bit in (0..HEIGHT).rev() {
                let Some((complete, after)) = rest.split_at_checked(1 << bit) else { continue };
                subtrees.push(subtree_root(complete));
                rest = after;
            }
        }
        subtrees
    }
}
