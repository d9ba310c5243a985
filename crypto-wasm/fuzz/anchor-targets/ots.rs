//! Files of OpenTimestamps: read as a naive walk reads them, cut nowhere, and upgraded in one place.

use talos_anchor::ots::{self, Attestation, Claim, File, MAGIC};

/// SHA-256 of the message, and it is the root of block 300.
const MINED: &[u8] = &[8, 0, 0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01, 2, 0xac, 2];

/// What stands behind magic, version and hash.
pub fn run(data: &[u8]) {
    let file = [MAGIC.as_slice(), &[1, 8], data].concat();
    let read = File::read(&file);
    let Ok(read) = read else {
        return;
    };
    let made: Vec<Claim> = read.attestations.iter().map(|made| made.claim.clone()).collect();
    assert!(!made.is_empty() && made.len() <= 64);
    let (digest, tree) = data.split_at(32);
    let mut naive = Vec::new();
    if let Some(rest) = walk(tree, digest, &mut naive) {
        assert!(rest.is_empty());
        let shown = read.attestations.iter().map(|made| (made.message.clone(), is_bitcoin(made)));
        assert_eq!(shown.collect::<Vec<_>>(), naive, "a naive walk finds something else");
    }
    assert!(File::read(&file[..file.len() - 1]).is_err(), "cut");
    assert!(File::read(&[file.as_slice(), &[0]].concat()).is_err(), "longer");

    let digest: [u8; 32] = digest.try_into().expect("32 bytes");
    for (at, pending) in read.attestations.iter().enumerate() {
        let Claim::Pending { uri } = &pending.claim else { continue };
        let same = |other: &Attestation| other.message == pending.message && other.claim == pending.claim;
        if read.attestations.iter().position(same) != Some(at) {
            continue;
        }
        let Ok(upgraded) = ots::upgrade(&file, uri, &pending.message, MINED) else { continue };
        let after = File::read(&upgraded).expect("an upgraded file");
        assert_eq!(after.digest, digest);
        for (place, one) in after.attestations.iter().enumerate() {
            assert_eq!(place == at, one.claim != made[place], "one attestation is another");
        }
        assert!(is_bitcoin(&after.attestations[at]));
    }
}

fn is_bitcoin(made: &Attestation) -> bool {
    matches!(made.claim, Claim::Bitcoin { .. })
}

/// Recursive, as the format is written; only operations that are cheap to say. What it does not know ends the comparison.
fn walk<'a>(mut bytes: &'a [u8], message: &[u8], found: &mut Vec<(Vec<u8>, bool)>) -> Option<&'a [u8]> {
    loop {
        let more = bytes[0] == 0xff;
        bytes = item(if more { &bytes[1..] } else { bytes }, message, found)?;
        if !more {
            return Some(bytes);
        }
    }
}

fn item<'a>(bytes: &'a [u8], message: &[u8], found: &mut Vec<(Vec<u8>, bool)>) -> Option<&'a [u8]> {
    let (tag, rest) = (bytes[0], &bytes[1..]);
    if tag == 0 {
        let (length, payload) = number(&rest[8..]);
        found.push((message.to_vec(), rest[..8] == MINED[2..10]));
        return Some(&payload[length..]);
    }
    let (argument, rest) = if tag == 0xf0 || tag == 0xf1 {
        let (length, rest) = number(rest);
        rest.split_at(length)
    } else {
        (&[][..], rest)
    };
    let next = match tag {
        0xf0 => [message, argument].concat(),
        0xf1 => [argument, message].concat(),
        0xf2 => message.iter().rev().copied().collect(),
        0xf3 => message.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
        8 => talos_anchor::hash::sha256(&[message]).to_vec(),
        0x67 => talos_anchor::hash::keccak256(&[message]).to_vec(),
        // SHA-1 and RIPEMD-160 are left to the vectors.
        _ => return None,
    };
    walk(rest, &next, found)
}

fn number(mut bytes: &[u8]) -> (usize, &[u8]) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        bytes = &bytes[1..];
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return (value, bytes);
        }
    }
}
