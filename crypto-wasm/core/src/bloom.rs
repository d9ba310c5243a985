//! The blocked Bloom filter of a revocation body.
//!
//! Source: contracts/spec/in-force.md#revocation-body.

use crate::Error;
use crate::hash::sha256;

/// Bytes of one block, one cache line: all probes of an item fall into one block.
const BLOCK_BYTES: usize = 64;
const BLOCK_BITS: usize = BLOCK_BYTES * 8;
/// Filter bits for each item at the least.
const BITS_PER_ITEM: usize = 16;
const PROBES: usize = 8;
/// Most blocks of a filter that is read: 4 MiB, about two million items. Bounds what a poisoned cache can make us hold.
const MAX_BLOCKS: usize = 65_536;

/// Where an item falls, whatever the filter's size: computed once for an item that is asked about often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    block: u32,
    bits: [u16; PROBES],
}

impl Probe {
    /// The probe of `item`, for example `key:<jkt>`.
    #[must_use]
    pub fn of(item: &str) -> Self {
        let hash = sha256(item.as_bytes());
        let (block, rest) =
            hash.split_first_chunk::<4>().map_or((0, &hash[..]), |(b, rest)| (u32::from_le_bytes(*b), rest));
        let mut bits = [0; PROBES];
        for (bit, pair) in bits.iter_mut().zip(rest.as_chunks::<2>().0) {
            *bit = u16::from_le_bytes(*pair) & 0x1ff;
        }
        Self { block, bits }
    }
}

/// A filter over the items of the revocations in force. It may say yes to a stranger, never no to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    blocks: Vec<[u8; BLOCK_BYTES]>,
}

impl Filter {
    /// The filter that holds exactly `items`.
    #[must_use]
    pub fn build(items: &[String]) -> Self {
        let blocks = (items.len() * BITS_PER_ITEM).div_ceil(BLOCK_BITS).max(1).next_power_of_two();
        let mut filter = Self { blocks: vec![[0; BLOCK_BYTES]; blocks] };
        for item in items {
            let probe = Probe::of(item);
            if let Some(block) = filter.slot(probe).and_then(|slot| filter.blocks.get_mut(slot)) {
                for bit in probe.bits {
                    if let Some(byte) = block.get_mut(usize::from(bit / 8)) {
                        *byte |= 1 << (bit % 8);
                    }
                }
            }
        }
        filter
    }

    /// The filter whose blocks are `bytes`.
    ///
    /// Errors: `MALFORMED` unless it is a power of two of whole blocks, at most 4 MiB.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        if !rest.is_empty() || !blocks.len().is_power_of_two() || blocks.len() > MAX_BLOCKS {
            return Err(Error::malformed("not a power of two of blocks").at("filter"));
        }
        Ok(Self { blocks: blocks.to_vec() })
    }

    /// The blocks, one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.blocks.concat()
    }

    /// Whether the item may be a member. `false` is certain.
    #[must_use]
    pub fn may_hold(&self, probe: Probe) -> bool {
        // A filter without that block cannot be built; if it could, only the exact look-up may clear the item.
        let Some(block) = self.slot(probe).and_then(|slot| self.blocks.get(slot)) else {
            return true;
        };
        probe.bits.iter().all(|bit| block.get(usize::from(bit / 8)).is_none_or(|byte| byte & (1 << (bit % 8)) != 0))
    }

    /// The block of a probe; the number of blocks is a power of two.
    fn slot(&self, probe: Probe) -> Option<usize> {
        usize::try_from(probe.block).ok()?.checked_rem(self.blocks.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(count: usize, prefix: &str) -> Vec<String> {
        (0..count).map(|n| format!("{prefix}:{n}")).collect()
    }

    #[test]
    fn has_sixteen_bits_an_item_in_a_power_of_two_of_blocks() {
        for (count, blocks) in [(0, 1), (1, 1), (32, 1), (33, 2), (64, 2), (65, 4), (1_000, 32), (1_025, 64)] {
            assert_eq!(Filter::build(&items(count, "link")).to_bytes().len(), blocks * BLOCK_BYTES, "{count}");
        }
    }

    #[test]
    fn an_item_sets_the_bits_that_the_page_names() {
        let item = "link:a".to_owned();
        let hash = sha256(item.as_bytes());
        let mut expected = [0_u8; 64];
        for probe in 0..8 {
            let bit = usize::from(u16::from_le_bytes([hash[4 + 2 * probe], hash[5 + 2 * probe]]) & 511);
            expected[bit / 8] |= 1 << (bit % 8);
        }
        assert_eq!(Filter::build(&[item]).to_bytes(), expected);
    }

    #[test]
    fn the_block_is_the_first_word_mod_the_number_of_blocks() {
        let members = items(64, "key");
        let filter = Filter::build(&members);
        let last = members.last().unwrap();
        let hash = sha256(last.as_bytes());
        let block = usize::try_from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])).unwrap() % 2;
        let bit = usize::from(u16::from_le_bytes([hash[4], hash[5]]) & 511);
        assert_ne!(filter.to_bytes()[block * 64 + bit / 8] & (1 << (bit % 8)), 0);
    }

    #[test]
    fn strangers_hit_rarely() {
        let filter = Filter::build(&items(1_000, "member"));
        let hits = items(20_000, "stranger").iter().filter(|item| filter.may_hold(Probe::of(item))).count();
        // 16 to 32 bits an item in blocks of 512: about 1 in 1,000; a broken probe would give several per cent.
        assert!(hits < 100, "{hits} of 20000");
    }

    #[test]
    fn an_empty_filter_hits_nothing() {
        let filter = Filter::build(&[]);
        assert!(items(1_000, "x").iter().all(|item| !filter.may_hold(Probe::of(item))));
    }

    #[test]
    fn other_sizes_are_refused() {
        for bytes in [0, 1, 63, 65, 3 * 64, 5 * 64, (MAX_BLOCKS * 2) * 64] {
            assert!(Filter::from_bytes(&vec![0; bytes]).is_err(), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn no_member_is_ever_missed(members in prop::collection::vec("[a-z]{1,5}:[A-Za-z0-9_-]{1,43}", 0..300)) {
            let filter = Filter::build(&members);
            prop_assert!(members.iter().all(|item| filter.may_hold(Probe::of(item))));
            let read = Filter::from_bytes(&filter.to_bytes()).unwrap();
            prop_assert_eq!(read, filter);
        }
    }
}
