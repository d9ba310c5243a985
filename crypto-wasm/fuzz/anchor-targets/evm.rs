//! Proofs of tries whose roots an attacker chose: what is shown is what a naive walk finds, and no other nodes show it.

use talos_anchor::evm::Header;
use talos_anchor::hash::keccak256;
use talos_anchor::trie;

/// Stands for the hash of the next node, which the fuzzer cannot guess.
const NEXT: [u8; 32] = [0xee; 32];

/// A digit's count and digits, then up to eight nodes, each after its length in two bytes. What is left is a header.
pub fn run(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((path, mut rest)) = rest.split_at_checked(usize::from(count % 9)) else { return };
    let path: Vec<u8> = path.iter().map(|digit| digit & 15).collect();
    let mut nodes: Vec<Vec<u8>> = Vec::new();
    while nodes.len() < 8 {
        let Some((length, after)) = rest.split_first_chunk() else { break };
        let Some((node, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        nodes.push(node.to_vec());
        rest = after;
    }
    let _ = Header::parse(rest);
    for at in (1..nodes.len()).rev() {
        let hash = keccak256(&[&nodes[at]]);
        let above = &mut nodes[at - 1];
        let mut from = 0;
        while from + 32 <= above.len() {
            if above[from..from + 32] == NEXT {
                above[from..from + 32].copy_from_slice(&hash);
                from += 31;
            }
            from += 1;
        }
    }
    let Some(root) = nodes.first().map(|node| keccak256(&[node])) else { return };
    let found = at(&root, &path, &nodes);
    assert_eq!(found, naive(&path, &nodes), "a naive walk finds something else");
    if found.is_none() {
        return;
    }
    let mut longer = nodes.clone();
    longer.push(vec![0xc0]);
    assert_eq!(at(&root, &path, &longer), None, "a node too many");
    assert_eq!(at(&root, &path, &nodes[..nodes.len() - 1]), None, "a node too few");
    assert_eq!(at(&root, &[path.as_slice(), &[0]].concat(), &nodes), None, "a longer path");
    for node in 0..nodes.len() {
        let mut changed = nodes.clone();
        let byte = usize::from(*count) % changed[node].len();
        changed[node][byte] ^= 1;
        assert_eq!(at(&root, &path, &changed), None, "another byte");
    }
}

fn at(root: &[u8; 32], path: &[u8], nodes: &[Vec<u8>]) -> Option<Vec<u8>> {
    let nodes: Vec<&[u8]> = nodes.iter().map(Vec::as_slice).collect();
    trie::at(root, path, &nodes).ok().map(<[u8]>::to_vec)
}

enum Rlp {
    Bytes(Vec<u8>),
    List(Vec<Rlp>, usize),
}

fn decode(bytes: &[u8]) -> Option<(Rlp, &[u8])> {
    let prefix = *bytes.first()?;
    let (list, head, length) = match prefix {
        0..=0x7f => (false, 0, 1),
        0x80..=0xb7 => (false, 1, usize::from(prefix - 0x80)),
        0xc0..=0xf7 => (true, 1, usize::from(prefix - 0xc0)),
        _ => {
            let size = usize::from(if prefix < 0xc0 { prefix - 0xb7 } else { prefix - 0xf7 });
            let digits = bytes.get(1..=size)?;
            let length = (size <= 3).then(|| digits.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit)))?;
            if digits[0] == 0 || length < 56 {
                return None;
            }
            (prefix >= 0xc0, 1 + size, length)
        }
    };
    let content = bytes.get(head..head + length)?;
    let rest = &bytes[head + length..];
    if !list {
        return (prefix != 0x81 || content[0] >= 0x80).then(|| (Rlp::Bytes(content.to_vec()), rest));
    }
    let (mut items, mut left) = (Vec::new(), content);
    while !left.is_empty() {
        let (item, after) = decode(left)?;
        items.push(item);
        left = after;
    }
    Some((Rlp::List(items, head + length), rest))
}

fn naive(path: &[u8], nodes: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (Rlp::List(items, _), []) = decode(nodes.first()?)? else { return None };
    walk(&items, path, &nodes[1..])
}

fn walk(items: &[Rlp], path: &[u8], nodes: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (next, path) = match items {
        [Rlp::Bytes(compact), next] => {
            let digits: Vec<u8> = compact.iter().flat_map(|byte| [byte / 16, byte % 16]).collect();
            let flag = *digits.first()?;
            let part = match flag {
                1 | 3 => &digits[1..],
                0 | 2 if digits[1] == 0 => &digits[2..],
                _ => return None,
            };
            let path = path.strip_prefix(part)?;
            if flag >= 2 {
                let Rlp::Bytes(value) = next else { return None };
                return (path.is_empty() && nodes.is_empty()).then(|| value.clone());
            }
            if part.is_empty() || path.is_empty() {
                return None;
            }
            (next, path)
        }
        _ if items.len() == 17 => (&items[usize::from(*path.first()?)], &path[1..]),
        _ => return None,
    };
    match next {
        Rlp::List(items, length) if *length < 32 => walk(items, path, nodes),
        Rlp::Bytes(hash) if hash.len() == 32 => {
            let below = nodes.first()?;
            (keccak256(&[below]).as_slice() == hash).then_some(())?;
            naive(path, nodes)
        }
        _ => None,
    }
}
