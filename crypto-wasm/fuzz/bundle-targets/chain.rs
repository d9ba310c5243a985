//! Anchors of a checkpoint on a chain of one account that has one slot.

use talos_anchor::evm::{Header, checkpoint_slot};
use talos_anchor::hash::keccak256;
use talos_anchor::ots::MAGIC;
use talos_bundle::bundle::{Anchor, Evm};
use talos_bundle::trust::{Block, Trust};
use talos_log::hash;

use super::made::META;

const CODE: [u8; 32] = [5; 32];

/// `o` and what follows a file's digest, in hexadecimal; or `e` and bytes: of contract, publisher, chain, and of the header's
/// number and time.
pub fn anchor(line: &[u8], digest: &[u8; 32]) -> Option<Anchor> {
    match line.split_first()? {
        (b'o', tree) => {
            let digits = tree.iter().map(|byte| char::from(*byte).to_digit(16)).collect::<Option<Vec<u32>>>()?;
            let tree = digits.as_chunks::<2>().0.iter().map(|[high, low]| u8::try_from(high * 16 + low).unwrap_or(0));
            Some(Anchor::Ots([MAGIC.as_slice(), &[1, 8], digest, tree.collect::<Vec<u8>>().as_slice()].concat()))
        }
        (b'e', [contract, publisher, chain, number, time, ..]) => {
            let (contract, publisher) = ([*contract; 20], [*publisher; 20]);
            let slot = checkpoint_slot(&publisher, &hash::of(&[META.as_bytes()]));
            let zeros = digest.iter().take_while(|byte| **byte == 0).count();
            let storage = leaf(&slot, &bytes(&digest[zeros..]));
            let root = keccak256(&[&storage]);
            let account = leaf(&contract, &list(&[bytes(&[1]), bytes(&[]), bytes(&root), bytes(&CODE)]));
            let header = header(&keccak256(&[&account]), *number, *time);
            let chain_id = 1 + u64::from(*chain);
            let (account_proof, storage_proof) = (vec![account], vec![storage]);
            Some(Anchor::Evm(Evm { chain_id, contract, publisher, header, account_proof, storage_proof }))
        }
        _ => None,
    }
}

/// Knows the block of each anchor.
pub fn trust(anchors: &[Anchor]) -> Trust {
    let block = |anchor: &Anchor| {
        let Anchor::Evm(evm) = anchor else { return None };
        let Header { number, hash, .. } = Header::parse(&evm.header).expect("a header");
        Some(Block { chain_id: evm.chain_id, number, hash })
    };
    Trust { code: CODE, easiest: 0x207f_ffff, blocks: anchors.iter().filter_map(block).collect(), ..Trust::default() }
}

/// Knows other blocks of the same numbers, if any.
pub fn forked(trust: &Trust) -> Option<Trust> {
    let blocks = trust.blocks.iter().map(|block| Block { hash: [0; 32], ..block.clone() }).collect();
    (!trust.blocks.is_empty()).then(|| Trust { blocks, ..trust.clone() })
}

fn header(state: &[u8; 32], number: u8, time: u8) -> Vec<u8> {
    let integer = |byte: u8| bytes(if byte == 0 { &[] } else { core::slice::from_ref(&byte) }.to_vec().as_slice());
    let hash = || bytes(&[7; 32]);
    list(&[
        hash(),
        hash(),
        bytes(&[7; 20]),
        bytes(state),
        hash(),
        hash(),
        bytes(&[0; 256]),
        bytes(&[]),
        integer(number),
        bytes(&[1]),
        bytes(&[1]),
        integer(time),
        bytes(b"talos"),
        hash(),
        bytes(&[0; 8]),
    ])
}

/// The only node of a trie: a leaf at the whole hash of its key.
fn leaf(key: &[u8], value: &[u8]) -> Vec<u8> {
    list(&[bytes(&[&[0x20], keccak256(&[key]).as_slice()].concat()), bytes(value)])
}

fn bytes(content: &[u8]) -> Vec<u8> {
    match content {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => [prefix(0x80, content.len()), content.to_vec()].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let content = items.concat();
    [prefix(0xc0, content.len()), content].concat()
}

fn prefix(base: u8, length: usize) -> Vec<u8> {
    let low = u8::try_from(length % 256).unwrap_or(0);
    match length {
        0..=55 => vec![base + low],
        56..=255 => vec![base + 56, low],
        _ => vec![base + 57, u8::try_from(length / 256).unwrap_or(0), low],
    }
}
