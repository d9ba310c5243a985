//! The tree in tiles of 256 hashes, and the entries in bundles of 256: names, widths, bytes.
//!
//! Source: C2SP tlog-tiles; contracts/spec/log.md#tiles.

use alloc::string::String;
use alloc::vec::Vec;

use crate::hash::{self, HASH_BYTES, Hash};
use crate::limits::{ENTRY_BYTES, TREE_SIZE};
use crate::proof::Nodes;
use crate::text::{decimal, push_decimal};
use crate::{Code, Error};

/// Levels of the tree within one tile.
pub const HEIGHT: u32 = 8;
/// Hashes of a full tile.
pub const WIDTH: u64 = 1 << HEIGHT;
/// The highest level of a tile in a tree of the largest size.
pub const MAX_LEVEL: u32 = 6;

/// What a name under `tile/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hashes at a level; 0 holds the leaves.
    Hashes(u32),
    /// Entries.
    Entries,
}

/// One tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Hashes of a level, or entries.
    pub kind: Kind,
    /// Its place in the level.
    pub index: u64,
    /// How many hashes or entries it holds, 1 to 256.
    pub width: u64,
}

const fn malformed(detail: &'static str) -> Error {
    Error::new(Code::TileMalformed, detail)
}

/// How many hashes a tree of this size has at a tile level.
#[must_use]
pub fn hashes_at(level: u32, size: u64) -> u64 {
    size.checked_shr(level.saturating_mul(HEIGHT)).unwrap_or(0)
}

impl Tile {
    /// The tile at this place of a tree of `size` leaves, as wide as that tree makes it; none where it has no hash there.
    #[must_use]
    pub fn of(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let level = if let Kind::Hashes(level) = kind { level } else { 0 };
        let width = hashes_at(level, size).checked_sub(index.checked_mul(WIDTH)?)?.min(WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// Its name, relative to the log: `tile/<level>/<index>[.p/<width>]` or `tile/entries/…`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::from("tile/");
        match self.kind {
            Kind::Hashes(level) => push_decimal(&mut path, u64::from(level)),
            Kind::Entries => path.push_str("entries"),
        }
        path.push('/');
        push_index(&mut path, self.index);
        if self.width < WIDTH {
            path.push_str(".p/");
            push_decimal(&mut path, self.width);
        }
        path
    }

    /// The tile with this name.
    ///
    /// # Errors
    /// `TileMalformed` for what no tile of a tree within bounds is named.
    pub fn parse(path: &str) -> Result<Self, Error> {
        Self::read(path).ok_or(malformed("no name of a tile"))
    }

    fn read(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(u32::try_from(decimal(level)?).ok().filter(|level| *level <= MAX_LEVEL)?),
        };
        let (index, width) = match rest.split_once('.') {
            Some((index, width)) => {
                (index, decimal(width.strip_prefix("p/")?).filter(|width| (1..WIDTH).contains(width))?)
            }
            None => (rest, WIDTH),
        };
        let tile = Self { kind, index: read_index(index)?, width };
        tile.within_bounds().then_some(tile)
    }

    fn within_bounds(&self) -> bool {
        let level = if let Kind::Hashes(level) = self.kind { level } else { 0 };
        self.index.checked_mul(WIDTH).is_some_and(|first| first < hashes_at(level, TREE_SIZE))
    }
}

/// Groups of three digits, all but the last after an `x`.
fn push_index(path: &mut String, index: u64) {
    if index >= 1000 {
        push_groups(path, index / 1000);
    }
    push_group(path, index % 1000);
}

fn push_groups(path: &mut String, index: u64) {
    if index >= 1000 {
        push_groups(path, index / 1000);
    }
    path.push('x');
    push_group(path, index % 1000);
    path.push('/');
}

fn push_group(path: &mut String, group: u64) {
    for unit in [100, 10, 1] {
        push_decimal(path, group / unit % 10);
    }
}

fn read_index(text: &str) -> Option<u64> {
    let (front, last) = text.rsplit_once('/').map_or((None, text), |(front, last)| (Some(front), last));
    let mut index = 0u64;
    for (place, group) in front.into_iter().flat_map(|front| front.split('/')).enumerate() {
        let value = read_group(group.strip_prefix('x')?)?;
        // A leading group of zeros would give one tile two names.
        if place == 0 && value == 0 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(value)?;
    }
    index.checked_mul(1000)?.checked_add(read_group(last)?)
}

fn read_group(digits: &str) -> Option<u64> {
    let sound = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| digits.bytes().fold(0, |value, byte| value * 10 + u64::from(byte - b'0')))
}

/// The root over a power of two of hashes, at most 256.
pub(crate) fn subtree_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => hash::empty(),
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            hash::node(&subtree_root(left), &subtree_root(right))
        }
    }
}

/// The root of a full tile: one hash of the level above.
///
/// # Errors
/// `TileMalformed` for another width.
pub fn full_root(bytes: &[u8]) -> Result<Hash, Error> {
    if bytes.len() != tile_bytes(WIDTH) {
        return Err(malformed("not a full tile"));
    }
    Ok(subtree_root(bytes.as_chunks::<HASH_BYTES>().0))
}

/// Bytes of a tile of this width, at most 8192.
#[must_use]
pub fn tile_bytes(width: u64) -> usize {
    usize::try_from(width.min(WIDTH)).unwrap_or(0) * HASH_BYTES
}

/// Where a subtree's leaves stand: its tile, and the first and last of its hashes there, exclusive.
fn place(level: u32, index: u64, size: u64) -> Option<(Tile, usize, usize)> {
    let within = level % HEIGHT;
    let first = index.checked_shl(within)?;
    let tile = Tile::of(Kind::Hashes(level / HEIGHT), first / WIDTH, size)?;
    let from = usize::try_from(first % WIDTH).ok()?;
    let to = from + (1 << within);
    (to <= usize::try_from(tile.width).ok()?).then_some((tile, from, to))
}

/// Records which tiles a proof needs, in the order of their first use; the hashes it gives are zeros.
#[derive(Debug)]
pub struct Plan {
    size: u64,
    /// The tiles, each once.
    pub tiles: Vec<Tile>,
}

impl Plan {
    /// For the tree of `size` leaves.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, tiles: Vec::new() }
    }
}

impl Nodes for Plan {
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Error> {
        let (tile, ..) = place(level, index, self.size).ok_or(malformed("no such subtree"))?;
        if !self.tiles.contains(&tile) {
            self.tiles.push(tile);
        }
        Ok([0; HASH_BYTES])
    }
}

/// Gives hashes out of tiles that a [`Plan`] named.
#[derive(Debug)]
pub struct Tiles<'a> {
    size: u64,
    tiles: Vec<(Tile, &'a [Hash])>,
}

impl<'a> Tiles<'a> {
    /// The planned tiles, with their bytes one after another.
    ///
    /// # Errors
    /// `TileMalformed` when they are of another length.
    pub fn new(plan: &Plan, bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut rest, left_over) = bytes.as_chunks::<HASH_BYTES>();
        let mut tiles = Vec::with_capacity(plan.tiles.len());
        for &tile in &plan.tiles {
            let width = usize::try_from(tile.width).unwrap_or(usize::MAX);
            let (hashes, after) = rest.split_at_checked(width).ok_or(malformed("tiles are missing"))?;
            tiles.push((tile, hashes));
            rest = after;
        }
        if rest.is_empty() && left_over.is_empty() {
            Ok(Self { size: plan.size, tiles })
        } else {
            Err(malformed("more bytes than tiles"))
        }
    }
}

impl Nodes for Tiles<'_> {
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Error> {
        let missing = malformed("a tile that nobody planned");
        let (wanted, from, to) = place(level, index, self.size).ok_or(missing)?;
        let (_, hashes) = self.tiles.iter().find(|(tile, _)| *tile == wanted).ok_or(missing)?;
        hashes.get(from..to).map(subtree_root).ok_or(missing)
    }
}

/// Append an entry to a bundle: its length in two bytes, then its bytes.
///
/// # Errors
/// `TileMalformed` for an entry whose length two bytes do not hold.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(entry.len()).map_err(|_| malformed("an entry that is too long"))?;
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    Ok(())
}

/// The entries of a bundle.
///
/// # Errors
/// `TileMalformed` when it ends within an entry, is empty or holds more than 256.
pub fn entries(bundle: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut found = Vec::new();
    let mut rest = bundle;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(ENTRY_BYTES);
        let (entry, after) = after.split_at_checked(length).ok_or(malformed("a bundle that ends within an entry"))?;
        found.push(entry);
        rest = after;
    }
    let most = usize::try_from(WIDTH).unwrap_or(usize::MAX);
    if rest.is_empty() && (1..=most).contains(&found.len()) {
        Ok(found)
    } else {
        Err(malformed("not a bundle of 1 to 256 entries"))
    }
}
