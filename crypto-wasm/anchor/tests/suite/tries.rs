//! Tries of random entries, built naively, with keys so short that nodes stand inside others.

use std::collections::BTreeMap;

use proptest::prelude::*;
use talos_anchor::Hash;
use talos_anchor::hash::keccak256;
use talos_anchor::trie;

pub fn prefixed(base: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    if body.len() <= 55 {
        return [&[base + length], body].concat();
    }
    let long = u16::try_from(body.len()).unwrap().to_be_bytes();
    let long = if long[0] == 0 { &long[1..] } else { &long[..] };
    [&[base + 55 + long.len() as u8], long, body].concat()
}

pub fn string(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() == 1 && bytes[0] < 0x80 { bytes.to_vec() } else { prefixed(0x80, bytes) }
}

pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    prefixed(0xc0, &items.concat())
}

pub fn compact(digits: &[u8], leaf: bool) -> Vec<u8> {
    let flag = if leaf { 2 } else { 0 };
    let all = if digits.len() % 2 == 1 { [&[flag + 1], digits].concat() } else { [&[flag, 0], digits].concat() };
    all.chunks(2).map(|two| two[0] * 16 + two[1]).collect()
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The node of these entries below `depth` digits.
fn node(entries: &Entries, depth: usize, path: &[u8], proof: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let (first, value) = entries.first_key_value().unwrap();
    if entries.len() == 1 {
        return list(&[string(&compact(&first[depth..], true)), string(value)]);
    }
    let shared = (depth..first.len()).take_while(|at| entries.keys().all(|key| key[*at] == first[*at])).count();
    if shared > 0 {
        let below = child(entries, depth + shared, path, first.starts_with(&path[..depth + shared]), proof);
        return list(&[string(&compact(&first[depth..depth + shared], false)), below]);
    }
    let mut items = Vec::new();
    for digit in 0..16 {
        let below: Entries =
            entries.iter().filter(|(key, _)| key[depth] == digit).map(|(k, v)| (k.clone(), v.clone())).collect();
        let none = below.is_empty();
        items.push(if none { string(&[]) } else { child(&below, depth + 1, path, path[depth] == digit, proof) });
    }
    items.push(string(&[]));
    list(&items)
}

fn child(entries: &Entries, depth: usize, path: &[u8], on: bool, proof: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut below = Vec::new();
    let made = node(entries, depth, path, &mut below);
    if made.len() < 32 {
        return made;
    }
    if on {
        proof.push(made.clone());
        proof.extend(below);
    }
    string(&keccak256(&[&made]))
}

fn prove(entries: &Entries, path: &[u8]) -> (Hash, Vec<Vec<u8>>) {
    let mut below = Vec::new();
    let root = node(entries, 0, path, &mut below);
    let mut proof = vec![root.clone()];
    proof.extend(below);
    (keccak256(&[&root]), proof)
}

fn at<'a>(root: &Hash, path: &[u8], proof: &'a [Vec<u8>]) -> Option<&'a [u8]> {
    trie::at(root, path, &proof.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok()
}

fn entries() -> impl Strategy<Value = Entries> {
    let key = prop::collection::vec(0_u8..16, 6);
    let value = prop::collection::vec(any::<u8>(), 1..40);
    prop::collection::btree_map(key, value, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_there_is_shown(entries in entries()) {
        for (key, value) in &entries {
            let (root, proof) = prove(&entries, key);
            prop_assert_eq!(at(&root, key, &proof), Some(value.as_slice()));
        }
    }

    #[test]
    fn nothing_else_is(entries in entries(), other in prop::collection::vec(0_u8..16, 6), node: prop::sample::Index, byte: prop::sample::Index, bit in 0..8_u32) {
        let (key, _) = entries.first_key_value().unwrap();
        let (root, proof) = prove(&entries, key);
        if !entries.contains_key(&other) {
            let absent = prove(&entries, &other).1;
            prop_assert_eq!(at(&root, &other, &absent), None);
        }
        if other != *key {
            prop_assert!(at(&root, &other, &proof).is_none_or(|value| entries.get(&other).is_some_and(|own| own == value)));
        }
        prop_assert_eq!(at(&root, &key[..5], &proof), None);
        prop_assert_eq!(at(&root, &[key.as_slice(), &[0]].concat(), &proof), None);
        let mut flipped = proof.clone();
        let node = node.index(proof.len());
        let byte = byte.index(proof[node].len());
        flipped[node][byte] ^= 1_u8 << bit;
        prop_assert_eq!(at(&root, key, &flipped), None);
        let mut longer = proof.clone();
        longer.push(proof[node].clone());
        prop_assert_eq!(at(&root, key, &longer), None);
    }
}

/// Nodes that no trie has, under their own hash: an attacker makes roots, too, wherever a header is believed.
#[test]
fn nodes_that_no_trie_has() {
    let key = [1, 2];
    let leaf = |path: &[u8]| list(&[string(path), string(b"value")]);
    let alone = |node: Vec<u8>| {
        let root = keccak256(&[&node]);
        at(&root, &key, &[node]).map(<[u8]>::to_vec)
    };
    assert_eq!(alone(leaf(&[0x20, 0x12])), Some(b"value".to_vec()));
    for path in [&[0x2f, 0x12][..], &[0x40, 0x12], &[0xe0, 0x12], &[0x00, 0x12], &[0x12], &[], &[0x20, 0x12, 0x00]] {
        assert_eq!(alone(leaf(path)), None, "{path:?}");
    }
    // A value that is a list; three items; an extension without digits; a way that ends at a branch's value.
    assert_eq!(alone(list(&[string(&[0x20, 0x12]), list(&[])])), None);
    assert_eq!(alone(list(&[string(&[0x20, 0x12]), string(b"value"), string(b"")])), None);
    assert_eq!(alone(list(&[string(&[0x00]), leaf(&[0x20, 0x12])])), None);
    let mut branch = vec![string(&[]); 16];
    branch.push(string(b"value"));
    assert_eq!(alone(list(&[string(&[0x00, 0x12]), list(&branch)])), None);
    // A branch has 17 items: one less or more is none, wherever it leads.
    let below = list(&[string(&[0x32]), string(&[7; 40])]);
    for items in [16, 17, 18] {
        let mut branch = vec![string(&[]); items];
        branch[1] = string(&keccak256(&[&below]));
        let proof = [list(&branch), below.clone()];
        let shown = at(&keccak256(&[&proof[0]]), &key, &proof).is_some();
        assert_eq!(shown, items == 17, "{items} items");
    }
    // A node of 32 bytes and more inside another.
    let long = list(&[string(&[0x32]), string(&[7; 40])]);
    assert_eq!(alone(list(&[string(&[0x11]), long])), None);
    assert_eq!(alone(list(&[string(&[0x11]), list(&[string(&[0x32]), string(b"value")])])), Some(b"value".to_vec()));
}
