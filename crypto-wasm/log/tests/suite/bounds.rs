//! Just inside and just outside of what is allowed, where no vector stands.

use talos_log::checkpoint::{Checkpoint, is_origin};
use talos_log::edge::{Edge, edge_tiles};
use talos_log::frontier::Frontier;
use talos_log::limits::{NOTE_BYTES, POLICY_BYTES, POLICY_ITEMS, PROOF_BYTES, TREE_SIZE};
use talos_log::note::{Key, Kind, Note, is_name, key_id};
use talos_log::policy::Policy;
use talos_log::proof::{self, Nodes};
use talos_log::proof_file::ProofFile;
use talos_log::tile::{self, Plan, Tile, WIDTH};
use talos_log::{Code, Hash, base64};

/// Knows every subtree, so that only the maker's own checks refuse.
struct Any;

impl Nodes for Any {
    fn node(&mut self, _: u32, _: u64) -> Result<Hash, talos_log::Error> {
        Ok([7; 32])
    }
}

fn code<T: core::fmt::Debug>(outcome: Result<T, talos_log::Error>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn proofs_are_made_of_what_is_in_a_tree_within_bounds() {
    assert!(proof::root(&mut Any, TREE_SIZE).is_ok());
    assert_eq!(code(proof::root(&mut Any, TREE_SIZE + 1)), Code::TileMalformed);
    assert!(proof::inclusion(&mut Any, 4, 5).is_ok());
    for (index, size) in [(5, 5), (6, 5), (0, 0), (0, TREE_SIZE + 1)] {
        assert_eq!(code(proof::inclusion(&mut Any, index, size)), Code::InclusionInvalid);
    }
    assert!(proof::consistency(&mut Any, 5, 5).is_ok());
    for (old, size) in [(6, 5), (0, 5), (5, TREE_SIZE + 1)] {
        assert_eq!(code(proof::consistency(&mut Any, old, size)), Code::ConsistencyInvalid);
    }
}

#[test]
fn a_hash_too_many_leads_to_no_root() {
    let proof = proof::inclusion(&mut Any, 2, 5).unwrap();
    assert!(proof::inclusion_root(2, 5, &[1; 32], &proof).is_ok());
    let longer = [proof.as_slice(), &[[9; 32]]].concat();
    assert_eq!(code(proof::inclusion_root(2, 5, &[1; 32], &longer)), Code::InclusionInvalid);
    assert_eq!(code(proof::inclusion_root(0, 1, &[1; 32], &[[9; 32]])), Code::InclusionInvalid);
}

fn key_text(name: &str, id: [u8; 4], kind: u8, public: &[u8]) -> String {
    let mut text = format!("{name}+{:08x}+", u32::from_be_bytes(id));
    base64::push(&mut text, &[&[kind], public].concat());
    text
}

#[test]
fn keys_have_a_name_a_known_type_and_its_length() {
    let public = [3; 32];
    let id = key_id("log.example", Kind::Ed25519, &public);
    assert!(Key::parse(&key_text("log.example", id, 1, &public)).is_some());
    for kind in [0, 2, 3, 5, 7, 255] {
        // With the id that the key would have under a type that is known.
        assert_eq!(Key::parse(&key_text("log.example", id, kind, &public)), None);
    }
    assert!(Key::new("log.example", Kind::Ed25519, &public).is_some());
    for length in [0, 31, 33] {
        assert_eq!(Key::new("log.example", Kind::Ed25519, &vec![3; length]), None);
    }
    assert_eq!(Key::new("log.example", Kind::MlDsa44, &public), None);
    assert!(is_name("a") && is_name("é"));
    for name in ["", "a+b", "a b", "a\u{1}b", "a\u{a0}b", &"a".repeat(256)] {
        assert!(!is_name(name), "{name:?}");
        assert_eq!(Key::new(name, Kind::Ed25519, &public), None);
    }
    assert!(is_origin("a b+c"));
    for origin in ["", "a\u{1}b", "a\tb", &"a".repeat(256)] {
        assert!(!is_origin(origin), "{origin:?}");
    }
    assert!(Checkpoint::parse("a\u{1}b\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n").is_err());
}

#[test]
fn texts_end_at_their_bounds() {
    let line = "\n\u{2014} a AAAAAAE=\n";
    let note = |text: usize| format!("{}\n{line}", "t".repeat(text));
    let most = NOTE_BYTES - line.len() - 1;
    assert!(Note::parse(note(most).as_bytes()).is_ok());
    assert_eq!(code(Note::parse(note(most + 1).as_bytes())), Code::NoteMalformed);

    let file = |rest: usize| format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{}", "c".repeat(rest));
    let most = PROOF_BYTES - file(0).len();
    assert!(ProofFile::parse(file(most).as_bytes()).is_ok());
    assert_eq!(code(ProofFile::parse(file(most + 1).as_bytes())), Code::ProofMalformed);

    let policy = |comment: usize| format!("#{}\nquorum none\n", "c".repeat(comment));
    let most = POLICY_BYTES - policy(0).len();
    assert!(Policy::parse(policy(most).as_bytes()).is_ok());
    assert_eq!(code(Policy::parse(policy(most + 1).as_bytes())), Code::PolicyMalformed);
    for control in ["#\r\nquorum none\n", "#\u{1}\nquorum none\n", "#\u{7f}\nquorum none\n"] {
        assert_eq!(code(Policy::parse(control.as_bytes())), Code::PolicyMalformed, "{control:?}");
    }
}

fn witness(at: usize) -> String {
    Key::new("w.example", Kind::Cosignature, &[u8::try_from(at).unwrap(); 32]).unwrap().text()
}

#[test]
fn policies_end_at_their_bounds() {
    let log = |at: u8| format!("log {}\n", Key::new("l.example", Kind::Ed25519, &[at; 32]).unwrap().text());
    let logs = |most: u8| (0..most).map(log).collect::<String>() + "quorum none\n";
    assert!(Policy::parse(logs(64).as_bytes()).is_ok());
    assert_eq!(code(Policy::parse(logs(65).as_bytes())), Code::PolicyMalformed);

    let witnesses = (0..POLICY_ITEMS).map(|at| format!("witness w{at} {}\n", witness(at))).collect::<String>();
    let groups = |most: usize| {
        let group =
            |at: usize| format!("group g{at} any {}\n", if at < POLICY_ITEMS { format!("w{at}") } else { "g0".into() });
        witnesses.clone() + &(0..most).map(group).collect::<String>() + "quorum none\n"
    };
    assert!(Policy::parse(groups(POLICY_ITEMS).as_bytes()).is_ok());
    assert_eq!(code(Policy::parse(groups(POLICY_ITEMS + 1).as_bytes())), Code::PolicyMalformed);

    let two = |first: &str, second: &str| {
        format!("witness {first} {}\nwitness {second} {}\nquorum {first}\n", witness(1), witness(2))
    };
    assert!(Policy::parse(two("a", "b").as_bytes()).is_ok());
    assert_eq!(code(Policy::parse(two("a", "a").as_bytes())), Code::PolicyMalformed);
    assert_eq!(code(Policy::parse(two("none", "b").as_bytes())), Code::PolicyMalformed);
    let same = format!("witness a {}\ngroup a any a\nquorum a\n", witness(1));
    assert_eq!(code(Policy::parse(same.as_bytes())), Code::PolicyMalformed);
}

#[test]
fn a_tile_has_one_name_and_at_least_one_hash() {
    assert!(Tile::of(tile::Kind::Hashes(0), 0, 1).is_some());
    assert_eq!(Tile::of(tile::Kind::Hashes(0), 1, WIDTH), None);
    assert_eq!(Tile::of(tile::Kind::Hashes(1), 0, WIDTH - 1), None);
    let middle = Tile::parse("tile/0/x001/x000/067").unwrap();
    assert_eq!((middle.index, middle.path().as_str()), (1_000_067, "tile/0/x001/x000/067"));
    for path in ["tile/0/00a", "tile/0/0:0", "tile/0/0/0", "tile/0/x000/067", "tile/0/ 67", "tile/7/000"] {
        assert_eq!(code(Tile::parse(path)), Code::TileMalformed, "{path}");
    }
    assert!(tile::full_root(&[0; 256 * 32]).is_ok());
    for length in [0, 32, 255 * 32, 256 * 32 - 1, 256 * 32 + 32] {
        assert_eq!(code(tile::full_root(&vec![0; length])), Code::TileMalformed);
    }
    // Of a partial tile only what is complete in it.
    assert!(Plan::new(5).node(2, 0).is_ok());
    assert_eq!(code(Plan::new(5).node(3, 0)), Code::TileMalformed);
    assert_eq!(code(Plan::new(5).node(2, 1)), Code::TileMalformed);
}

#[test]
fn a_bundle_ends_with_an_entry() {
    assert_eq!(tile::entries(&[0, 1, b'a']).unwrap(), [b"a"]);
    assert_eq!(code(tile::entries(&[0, 1, b'a', 9])), Code::TileMalformed);
    assert_eq!(code(tile::entries(&[])), Code::TileMalformed);
    let many = |count: usize| [0, 1, b'a'].repeat(count);
    assert_eq!(tile::entries(&many(256)).unwrap().len(), 256);
    assert_eq!(code(tile::entries(&many(257))), Code::TileMalformed);
}

#[test]
fn edges_and_frontiers_end_with_the_largest_tree() {
    let bytes =
        |size: u64| edge_tiles(size).iter().map(|tile| usize::try_from(tile.width).unwrap() * 32).sum::<usize>();
    assert_eq!(code(Edge::new(TREE_SIZE + 1, &vec![0; bytes(TREE_SIZE + 1)])), Code::TileMalformed);
    let mut full = Edge::new(TREE_SIZE, &vec![0; bytes(TREE_SIZE)]).unwrap();
    assert_eq!(code(full.append(&[[1; 32]])), Code::TileMalformed);
    assert_eq!(code(Edge::new(3, &[0; 97])), Code::TileMalformed);
    let mut frontier = Frontier::new(TREE_SIZE, &[0; 32]).unwrap();
    assert_eq!(code(frontier.append(&[1; 32])), Code::TileMalformed);
    assert!(Frontier::new(TREE_SIZE + 1, &[0; 64]).is_err());
}

#[test]
fn appending_writes_what_changed_and_no_more() {
    let names = |edge: &mut Edge, leaves: usize| -> Vec<String> {
        edge.append(&vec![[1; 32]; leaves]).unwrap().iter().map(|written| written.tile.path()).collect()
    };
    let mut edge = Edge::new(0, &[]).unwrap();
    assert_eq!(names(&mut edge, 255), ["tile/0/000.p/255"]);
    assert_eq!(names(&mut edge, 1), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(names(&mut edge, 2), ["tile/0/001.p/2"]);
    assert_eq!(names(&mut edge, 0), [""; 0]);
}
