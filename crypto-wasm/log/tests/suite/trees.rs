//! Trees, proofs and tiles against the naive tree.

use std::collections::HashMap;

use proptest::prelude::*;
use talos_log::edge::{Edge, edge_tiles};
use talos_log::frontier::Frontier;
use talos_log::proof::{self, Nodes, check_consistency, check_inclusion};
use talos_log::tile::{self, Kind, Plan, Tile, Tiles};
use talos_log::{Code, Error, Hash};

use crate::naive;

/// Tiles by name, as a log in a folder has them.
pub struct Stored(HashMap<String, Vec<u8>>);

impl Stored {
    /// Of a tree that grew by `step` leaves at a time.
    pub fn of(leaves: &[Hash], step: usize) -> (Self, Edge) {
        let mut stored = HashMap::new();
        let mut edge = Edge::new(0, &[]).unwrap();
        for chunk in leaves.chunks(step) {
            for written in edge.append(chunk).unwrap() {
                stored.insert(written.tile.path(), written.hashes.as_flattened().to_vec());
            }
        }
        (Self(stored), edge)
    }

    fn bytes(&self, tiles: &[Tile]) -> Vec<u8> {
        tiles.iter().flat_map(|tile| self.0.get(&tile.path()).unwrap_or_else(|| panic!("{tile:?}")).clone()).collect()
    }

    pub fn proof(&self, size: u64, make: impl Fn(&mut dyn Nodes) -> Result<Vec<Hash>, Error>) -> Vec<Hash> {
        let mut plan = Plan::new(size);
        make(&mut plan).unwrap();
        let bytes = self.bytes(&plan.tiles);
        make(&mut Tiles::new(&plan, &bytes).unwrap()).unwrap()
    }
}

#[test]
fn every_proof_of_every_small_tree_is_the_naive_one_and_checks() {
    let all = naive::leaves(40);
    for size in 0..=40u64 {
        let leaves = &all[..size as usize];
        let root = naive::root(leaves);
        let (stored, edge) = Stored::of(leaves, 1);
        assert_eq!(edge.root(), root);
        for (index, leaf) in leaves.iter().enumerate() {
            let made = stored.proof(size, |nodes| proof::inclusion(nodes, index as u64, size));
            assert_eq!(made, naive::inclusion(index, leaves));
            check_inclusion(index as u64, size, leaf, &made, &root).unwrap();
            for other in (0..=size).filter(|other| *other != index as u64) {
                assert!(check_inclusion(other, size, leaf, &made, &root).is_err());
            }
        }
        for old in 1..=size {
            let old_root = naive::root(&leaves[..old as usize]);
            let made = stored.proof(size, |nodes| proof::consistency(nodes, old, size));
            assert_eq!(made, naive::consistency(old as usize, leaves, true));
            check_consistency(old, size, &old_root, &root, &made).unwrap();
            assert!(check_consistency(old, size, &root, &old_root, &made).is_err() || old == size);
        }
    }
}

#[test]
fn an_inner_node_is_no_leaf_and_a_leaf_repeated_is_another_tree() {
    let leaves = naive::leaves(4);
    let root = naive::root(&leaves);
    let inner = naive::root(&leaves[..2]);
    let proof = [naive::root(&leaves[2..])];
    // The shape of a tree of two leaves: the root would be the same, were it not for the size.
    assert!(check_inclusion(0, 4, &inner, &proof, &root).is_err());
    assert_ne!(talos_log::hash::leaf(&[leaves[0], leaves[1]].concat()), inner);
    assert_ne!(naive::root(&[leaves[0], leaves[1], leaves[2], leaves[2]]), naive::root(&leaves[..3]));
    let three = Stored::of(&leaves[..3], 3).1;
    let repeated = Stored::of(&[leaves[0], leaves[1], leaves[2], leaves[2]], 4).1;
    assert_ne!(three.root(), repeated.root());
}

#[test]
fn the_empty_tree_shows_nothing() {
    let leaves = naive::leaves(3);
    let root = naive::root(&leaves);
    assert!(check_consistency(0, 3, &naive::root(&[]), &root, &[]).is_err());
    assert!(check_consistency(0, 0, &naive::root(&[]), &naive::root(&[]), &[]).is_err());
    assert!(check_consistency(3, 2, &root, &root, &[]).is_err());
    assert!(proof::consistency(&mut Plan::new(3), 0, 3).is_err());
}

#[test]
fn a_larger_tree_fills_tiles_at_two_levels() {
    let leaves = naive::leaves(70_000);
    let (stored, edge) = Stored::of(&leaves, 1_000);
    let root = naive::root(&leaves);
    assert_eq!(edge.root(), root);
    let names: Vec<String> = edge_tiles(70_000).iter().map(Tile::path).collect();
    // The example of C2SP tlog-tiles.
    assert_eq!(names, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    let bytes = stored.bytes(&edge_tiles(70_000));
    assert_eq!(Edge::new(70_000, &bytes).unwrap(), edge);
    for index in [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let made = stored.proof(70_000, |nodes| proof::inclusion(nodes, index, 70_000));
        check_inclusion(index, 70_000, &leaves[index as usize], &made, &root).unwrap();
        let mut plan = Plan::new(70_000);
        proof::inclusion(&mut plan, index, 70_000).unwrap();
        assert!(plan.tiles.len() <= 4, "{:?}", plan.tiles);
    }
    for old in [1, 256, 65_536, 65_537, 69_999] {
        let made = stored.proof(70_000, |nodes| proof::consistency(nodes, old, 70_000));
        let old_root = naive::root(&leaves[..old as usize]);
        check_consistency(old, 70_000, &old_root, &root, &made).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_steps_the_tree_is_the_same(size in 1usize..1_500, step in 1usize..700) {
        let leaves = naive::leaves(size as u64);
        let (stored, edge) = Stored::of(&leaves, step);
        let mut frontier = Frontier::default();
        for leaf in &leaves {
            frontier.append(leaf).unwrap();
        }
        prop_assert_eq!(edge.root(), naive::root(&leaves));
        prop_assert_eq!(frontier.root(), edge.root());
        let again = Frontier::new(size as u64, frontier.subtrees().as_flattened()).unwrap();
        prop_assert_eq!(&again, &frontier);
        // What is stored for the last size is enough to go on from, and to know the root.
        let kept = stored.bytes(&edge_tiles(size as u64));
        prop_assert_eq!(Edge::new(size as u64, &kept).unwrap(), edge);
        let root = stored.proof(size as u64, |nodes| proof::root(nodes, size as u64).map(|root| vec![root]));
        prop_assert_eq!(root[0], frontier.root());
    }

    #[test]
    fn a_changed_proof_or_place_is_refused(
        size in 2usize..600, at: prop::sample::Index, which: prop::sample::Index, bit in 0usize..256, old: prop::sample::Index,
    ) {
        let leaves = naive::leaves(size as u64);
        let root = naive::root(&leaves);
        let index = at.index(size);
        let mut made = naive::inclusion(index, &leaves);
        let n = size as u64;
        check_inclusion(index as u64, n, &leaves[index], &made, &root).unwrap();
        let changed = which.index(made.len());
        made[changed][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check_inclusion(index as u64, n, &leaves[index], &made, &root).is_err());
        made[changed][bit / 8] ^= 1 << (bit % 8);
        let last = made.pop().unwrap();
        prop_assert!(check_inclusion(index as u64, n, &leaves[index], &made, &root).is_err());
        made.extend([last, last]);
        prop_assert!(check_inclusion(index as u64, n, &leaves[index], &made, &root).is_err());

        let old = 1 + old.index(size - 1);
        let old_root = naive::root(&leaves[..old]);
        let mut made = naive::consistency(old, &leaves, true);
        check_consistency(old as u64, n, &old_root, &root, &made).unwrap();
        let changed = which.index(made.len());
        made[changed][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check_consistency(old as u64, n, &old_root, &root, &made).is_err());
        let mut other = old_root;
        other[bit / 8] ^= 1 << (bit % 8);
        made[changed][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check_consistency(old as u64, n, &other, &root, &made).is_err());
    }

    #[test]
    fn names_of_tiles_are_read_back(level in 0u32..7, index in 0u64..1_000_000_000, width in 1u64..=256, entries: bool) {
        let kind = if entries { Kind::Entries } else { Kind::Hashes(level) };
        let made = Tile { kind, index, width };
        match Tile::parse(&made.path()) {
            Ok(read) => prop_assert_eq!(read, made),
            Err(error) => {
                prop_assert_eq!(error.code, Code::TileMalformed);
                prop_assert!(index >= (1 << 53) >> (8 * (level + 1)), "{}", made.path());
            }
        }
    }

    #[test]
    fn whatever_comes_is_answered(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..300), size: u64, old: u64) {
        let _ = Tile::parse(&text);
        let _ = Tile::parse(&format!("tile/{text}"));
        let _ = tile::entries(&bytes);
        let _ = Edge::new(size, &bytes);
        let _ = Frontier::new(size, &bytes);
        let mut plan = Plan::new(size);
        let _ = proof::inclusion(&mut plan, old, size);
        let _ = proof::consistency(&mut plan, old, size);
        let _ = Tile::of(Kind::Hashes(u32::MAX), old, size);
        let _ = proof::check_inclusion(old, size, &[0; 32], &[[0; 32]; 3], &[0; 32]);
        let _ = check_consistency(old, size, &[0; 32], &[0; 32], &[[0; 32]; 3]);
    }
}

#[test]
fn bundles_are_read_back_and_broken_ones_are_refused() {
    let mut bundle = Vec::new();
    for entry in [&b"first"[..], b"", &[7; 65_535]] {
        tile::push_entry(&mut bundle, entry).unwrap();
    }
    assert_eq!(tile::entries(&bundle).unwrap(), [&b"first"[..], b"", &[7; 65_535]]);
    assert!(tile::push_entry(&mut bundle, &[0; 65_536]).is_err());
    assert!(tile::entries(&bundle[..bundle.len() - 1]).is_err());
    assert!(tile::entries(&[]).is_err());
    assert!(tile::entries(&[0]).is_err());
    assert_eq!(tile::entries(&[0; 512]).unwrap().len(), 256);
    assert!(tile::entries(&[0; 514]).is_err());
}

#[test]
fn edges_and_frontiers_of_another_length_are_refused() {
    assert!(Edge::new(3, &[0; 96]).is_ok());
    for (size, length) in [(3, 64), (3, 128), (3, 95), (256, 64), (u64::MAX, 0)] {
        assert_eq!(Edge::new(size, &vec![0; length]).unwrap_err().code, Code::TileMalformed, "{size} {length}");
    }
    assert!(Frontier::new(3, &[0; 64]).is_ok());
    for (size, length) in [(3, 96), (3, 63), (u64::MAX, 64 * 32)] {
        assert_eq!(Frontier::new(size, &vec![0; length]).unwrap_err().code, Code::TileMalformed, "{size} {length}");
    }
    let mut plan = Plan::new(2);
    plan.tiles = vec![Tile { kind: Kind::Hashes(0), index: 0, width: 2 }];
    assert!(Tiles::new(&plan, &[0; 64]).is_ok());
    for length in [0, 32, 63, 65, 96] {
        assert!(Tiles::new(&plan, &vec![0; length]).is_err(), "{length}");
    }
}
