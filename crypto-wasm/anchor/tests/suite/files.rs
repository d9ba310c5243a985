//! Files of `OpenTimestamps`: a published one, and every byte turned over.

use std::path::PathBuf;

use talos_anchor::ots::{Claim, File, to_block};

use super::vectors::{bytes, cases, hex};

/// A file that others made, whose attestation is in Bitcoin's block 358,391. Named when it is not there.
#[test]
fn a_published_file() {
    let Ok(folder) = std::env::var("TALOS_VECTORS_DIR") else {
        eprintln!("skipped: published OpenTimestamps file: TALOS_VECTORS_DIR is not set");
        return;
    };
    let read = |name: &str| std::fs::read(PathBuf::from(&folder).join("ots").join(name)).unwrap();
    let file = File::read(&read("hello-world.txt.ots")).unwrap();
    assert_eq!(file.digest, talos_anchor::hash::sha256(&[&read("hello-world.txt")]));
    let [made] = file.attestations.as_slice() else { panic!("one attestation") };
    let Claim::Bitcoin { height, merkle_root } = made.claim else { panic!("in Bitcoin") };
    let mut shown = merkle_root;
    shown.reverse();
    assert_eq!(height, 358_391);
    println!("root of block {height}: {}", hex(&shown));
}

/// A changed byte is refused, or attests something else: never the same of the same digest.
#[test]
fn every_byte_of_a_file_counts() {
    for case in cases("ots.json").iter().filter(|case| case["expect"] == "OK") {
        let good = bytes(case, "file");
        let before = File::read(&good).unwrap();
        let claims = |file: &File| {
            file.attestations.iter().map(|made| (made.message.clone(), made.claim.clone())).collect::<Vec<_>>()
        };
        let known = |file: &File| {
            claims(file).into_iter().filter(|(_, claim)| !matches!(claim, Claim::Unknown { .. })).collect::<Vec<_>>()
        };
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                if let Ok(after) = File::read(&changed) {
                    let unread = claims(&before).len() != known(&before).len();
                    assert!(
                        after.digest != before.digest || unread || known(&after) != known(&before),
                        "{} {at}",
                        case["name"]
                    );
                }
            }
        }
        for end in 0..good.len() {
            assert!(File::read(&good[..end]).is_err());
        }
    }
}

/// What is kept of a file leads to its earliest block and nowhere else, and cutting it down again changes nothing.
#[test]
fn a_file_is_cut_down_to_its_earliest_block() {
    let height = |claim: &Claim| if let Claim::Bitcoin { height, .. } = claim { Some(*height) } else { None };
    let (mut cut, mut forked) = (0, 0);
    for case in cases("ots.json").iter().filter(|case| case["expect"] == "OK") {
        let whole = bytes(case, "file");
        let before = File::read(&whole).unwrap();
        let earliest = before.attestations.iter().filter(|made| height(&made.claim).is_some());
        let Some(earliest) = earliest.min_by_key(|made| height(&made.claim)) else {
            assert!(to_block(&whole).is_err(), "{}", case["name"]);
            continue;
        };
        let kept = to_block(&whole).unwrap();
        let after = File::read(&kept).unwrap();
        let [made] = after.attestations.as_slice() else { panic!("one attestation: {}", case["name"]) };
        assert_eq!(after.digest, before.digest);
        assert_eq!((&made.message, &made.claim), (&earliest.message, &earliest.claim), "{}", case["name"]);
        assert_eq!(to_block(&kept).unwrap(), kept);
        cut += 1;
        forked += usize::from(before.attestations.len() > 1);
    }
    assert!(cut > 1 && forked > 0, "{cut} cut, {forked} of them forked");
}
