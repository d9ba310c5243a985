//! Names of tiles, bundles, and trees that grow in any steps, against a naive tree.

use talos_log::edge::{Edge, edge_tiles};
use talos_log::frontier::Frontier;
use talos_log::proof::{self, Nodes};
use talos_log::tile::{self, Tile};
use talos_log::{Error, Hash, hash};

/// RFC 6962, word for word.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash::node(&naive(left), &naive(right))
        }
    }
}

struct Leaves<'a>(&'a [Hash]);

impl Nodes for Leaves<'_> {
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Error> {
        let (from, width) = (usize::try_from(index << level).unwrap(), 1_usize << level);
        Ok(naive(self.0.get(from..from + width).expect("a complete subtree of the tree")))
    }
}

/// `/` and a name; `b` and a bundle; else how many leaves are appended at each step, and in the first byte which proofs are asked for.
pub fn run(data: &[u8]) {
    match data {
        [b'/', name @ ..] => {
            let Some(name) = core::str::from_utf8(name).ok() else { return };
            if let Ok(tile) = Tile::parse(name) {
                assert_eq!(tile.path(), name);
            }
        }
        [b'b', bytes @ ..] => {
            let Ok(entries) = tile::entries(bytes) else { return };
            assert!((1..=256).contains(&entries.len()));
            let mut again = Vec::new();
            for entry in entries {
                tile::push_entry(&mut again, entry).expect("what was read can be written");
            }
            assert_eq!(again, bytes);
        }
        [choice, steps @ ..] => grow(usize::from(*choice), steps),
        [] => {}
    }
}

fn grow(choice: usize, steps: &[u8]) {
    let mut leaves: Vec<Hash> = Vec::new();
    let (mut edge, mut frontier) = (Edge::new(0, &[]).unwrap(), Frontier::default());
    let mut sizes = Vec::new();
    for step in steps.iter().take(6) {
        let fresh: Vec<Hash> = (0..*step).map(|at| [at ^ u8::try_from(leaves.len() % 251).unwrap(); 32]).collect();
        let written = edge.append(&fresh).unwrap();
        assert!(fresh.is_empty() == written.is_empty());
        for leaf in &fresh {
            frontier.append(leaf).unwrap();
        }
        leaves.extend(fresh);
        sizes.push(leaves.len());
        for tile in written.iter().filter(|one| one.tile.kind == tile::Kind::Hashes(0)) {
            let from = usize::try_from(tile.tile.index).unwrap() * 256;
            assert_eq!(tile.hashes, leaves[from..from + usize::try_from(tile.tile.width).unwrap()]);
        }
    }
    let (size, root) = (leaves.len() as u64, naive(&leaves));
    assert_eq!((edge.root(), frontier.root()), (root, root));
    assert!(edge_tiles(size).iter().all(|tile| (1..256).contains(&tile.width)));
    if leaves.is_empty() {
        return;
    }
    let index = choice * 7 % leaves.len();
    let inclusion = proof::inclusion(&mut Leaves(&leaves), index as u64, size).unwrap();
    let holds =
        |index: usize, proof: &[Hash]| proof::check_inclusion(index as u64, size, &leaves[index], proof, &root).is_ok();
    assert!(holds(index, &inclusion));
    let other = (index + 1 + choice) % leaves.len();
    assert!(other == index || leaves[other] == leaves[index] || !holds(other, &inclusion));
    let mut damaged = inclusion.clone();
    if let Some(hash) = damaged.first_mut() {
        hash[choice % 32] ^= 1;
        assert!(!holds(index, &damaged));
    }
    let old = sizes[choice % sizes.len()];
    if old == 0 {
        return;
    }
    let old_root = naive(&leaves[..old]);
    let hashes = proof::consistency(&mut Leaves(&leaves), old as u64, size).unwrap();
    assert!(proof::check_consistency(old as u64, size, &old_root, &root, &hashes).is_ok());
    let mut wrong = old_root;
    wrong[choice % 32] ^= 1;
    assert!(proof::check_consistency(old as u64, size, &wrong, &root, &hashes).is_err());
    assert!(proof::check_consistency(old as u64, size, &old_root, &wrong, &hashes).is_err());
}
