//! Each check by itself: evidence that is right but for the one thing that the check is about.

use talos_anchor::bitcoin::target;
use talos_anchor::evm::Header;
use talos_anchor::hash::keccak256;
use talos_anchor::limits::{
    NODE_BYTES, OTS_ATTESTATIONS, OTS_BYTES, OTS_DEPTH, OTS_OPERATIONS, OTS_PAYLOAD, PROOF_NODES,
};
use talos_anchor::ots::{File, MAGIC};
use talos_anchor::{Code, trie};

use super::tries::{compact, list, prefixed, string};

/// Bytes of a header's fields.
const LENGTHS: [usize; 15] = [32, 32, 20, 32, 32, 32, 256, 0, 1, 0, 0, 1, 0, 32, 8];
const NUMBER: usize = 8;
const EXTRA: usize = 12;

/// The fields of a header as they are written; those that are read have their smallest lawful values.
fn fields() -> Vec<Vec<u8>> {
    LENGTHS.iter().map(|length| string(&vec![7; *length])).collect()
}

fn refused(header: &[u8], why: &str) {
    assert_eq!(Header::parse(header).map_err(|error| error.code), Err(Code::Malformed), "{why}");
}

#[test]
fn a_header_has_one_encoding() {
    let content = fields().concat();
    assert_eq!(Header::parse(&list(&fields())).unwrap().number, 7);
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    refused(&[&[0xfa, 0, high, low], content.as_slice()].concat(), "a length with a leading zero");
    refused(&prefixed(0x80, &content), "bytes in place of a list");
    let with = |at: usize, field: &[u8]| {
        let mut changed = fields();
        changed[at] = field.to_vec();
        list(&changed)
    };
    assert!(Header::parse(&with(NUMBER, &[5])).is_ok());
    refused(&with(NUMBER, &[0x81, 5]), "a byte with a prefix");
    assert!(Header::parse(&with(EXTRA, &[0x83, 1, 2, 3])).is_ok());
    refused(&with(EXTRA, &[0xb8, 3, 1, 2, 3]), "a short length written long");
}

#[test]
fn each_field_of_a_header_has_its_length() {
    // Neither numbers nor the author's own words, whose lengths vary, nor what later upgrades append.
    for at in [0, 1, 2, 3, 4, 5, 6, 13, 14] {
        let mut changed = fields();
        changed[at] = string(&vec![7; LENGTHS[at] - 1]);
        refused(&list(&changed), &format!("field {at}"));
    }
}

/// A way of so many nodes: branches, then a leaf.
fn way(nodes: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let path = vec![3; PROOF_NODES];
    let mut proof = vec![list(&[string(&compact(&path[nodes - 1..], true)), string(&[7; 40])])];
    for _ in 1..nodes {
        let mut branch = vec![string(&[]); 17];
        branch[3] = string(&keccak256(&[&proof[0]]));
        proof.insert(0, list(&branch));
    }
    (path, proof)
}

#[test]
fn a_proof_is_bounded() {
    let shown = |(path, proof): (Vec<u8>, Vec<Vec<u8>>)| {
        let nodes: Vec<&[u8]> = proof.iter().map(Vec::as_slice).collect();
        trie::at(&keccak256(&[nodes[0]]), &path, &nodes).map(<[u8]>::len)
    };
    assert_eq!(shown(way(PROOF_NODES)), Ok(40));
    assert_eq!(shown(way(PROOF_NODES + 1)).map_err(|error| error.code), Err(Code::ProofInvalid));
    // The prefixes of list and value, and the path, take 9 bytes.
    for (length, there) in [(NODE_BYTES - 9, true), (NODE_BYTES - 8, false)] {
        let node = list(&[string(&[0x20, 0x12]), string(&vec![7; length])]);
        assert_eq!(node.len() <= NODE_BYTES, there);
        let root = keccak256(&[&node]);
        assert_eq!(trie::at(&root, &[1, 2], &[&node]).is_ok(), there, "{length}");
    }
}

#[test]
fn targets() {
    let with = |places: &[(usize, u8)]| {
        let mut target = [0; 32];
        for (at, digit) in places {
            target[*at] = *digit;
        }
        Some(target)
    };
    assert_eq!(target(0x1d00_ffff), with(&[(4, 0xff), (5, 0xff)]));
    assert_eq!(target(0x2000_0001), with(&[(2, 1)]));
    assert_eq!(target(0x2100_ffff), with(&[(0, 0xff), (1, 0xff)]));
    assert_eq!(target(0x0300_0001), with(&[(31, 1)]));
    assert_eq!(target(0x0212_3456), with(&[(30, 0x12), (31, 0x34)]));
    for none in [0x1d80_ffff, 0x2101_0001, 0x2200_0100, 0xff00_0001, 0x0300_0000, 0x0100_3456, 0x0012_3456] {
        assert_eq!(target(none), None, "{none:08x}");
    }
}

const FORK: &[u8] = &[0xff];
const HASHED: u8 = 0x08;

/// An attestation of a kind that is not known, of so many bytes.
fn unknown(bytes: u8) -> Vec<u8> {
    [&[0x00; 9], &[bytes][..], &vec![1; usize::from(bytes)]].concat()
}

/// A file whose digest's items are these.
fn file(items: &[Vec<u8>]) -> Vec<u8> {
    let (last, others) = items.split_last().unwrap();
    let others = others.iter().flat_map(|item| [FORK, item].concat());
    MAGIC.iter().copied().chain([1, HASHED]).chain([9; 32]).chain(others).chain(last.iter().copied()).collect()
}

#[test]
fn a_file_is_bounded() {
    let read =
        |items: &[Vec<u8>]| File::read(&file(items)).map(|read| read.attestations.len()).map_err(|error| error.code);
    let malformed = Err(Code::OtsMalformed);

    // Two attestations of the longest claims are a file, and three would be, were they shorter.
    let longest = [&[0x00; 9][..], &[0x80, 0x40], &[1; OTS_PAYLOAD]].concat();
    assert_eq!(read(&vec![longest.clone(); 2]), Ok(2));
    assert!(file(&vec![longest.clone(); 3]).len() > OTS_BYTES);
    assert_eq!(read(&vec![longest; 3]), malformed);

    let operations = |count: usize| [vec![HASHED; count], unknown(1)].concat();
    let (each, whole) = (OTS_DEPTH, OTS_OPERATIONS / OTS_DEPTH);
    assert_eq!(read(&[operations(each)]), Ok(1));
    assert_eq!(read(&[operations(each + 1)]), malformed);
    assert_eq!(read(&vec![operations(each); whole]), Ok(whole));
    assert_eq!(read(&[vec![operations(each); whole], vec![operations(1)]].concat()), malformed);

    assert_eq!(read(&vec![unknown(1); OTS_ATTESTATIONS]), Ok(OTS_ATTESTATIONS));
    assert_eq!(read(&vec![unknown(1); OTS_ATTESTATIONS + 1]), malformed);
}
