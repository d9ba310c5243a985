//! Files of OpenTimestamps: from a digest, by operations that fork, to attestations of the time before which it was there.
//!
//! Source: contracts/spec/anchors.md#opentimestamps.

mod operation;
mod walk;

use alloc::vec::Vec;

use crate::error::{Code, Error};
use crate::hash::{Hash, sha256};
use crate::limits::{OTS_BYTES, OTS_CALENDARS};

pub use walk::{Attestation, Claim};
use walk::{Tree, bad};

/// What a file begins with; its last eight bytes tell it from text.
pub const MAGIC: &[u8; 31] = b"\0OpenTimestamps\0\0Proof\0\xbf\x89\xe2\xe8\x84\xe8\x92\x94";
/// Then the version, and the hash that made the file's digest: SHA-256, the only one that is taken here.
const VERSION: u8 = 1;
const SHA256: u8 = 0x08;
const APPEND: u8 = 0xf0;
/// Another item of the same message follows.
const FORK: u8 = 0xff;

/// Bytes of the nonce that keeps calendars from learning what they attest.
pub const NONCE_BYTES: usize = 16;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// SHA-256 of what is attested.
    pub digest: Hash,
    /// In the order of the file.
    pub attestations: Vec<Attestation>,
}

impl File {
    /// The file that these bytes are, every operation done.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > OTS_BYTES {
            return Err(bad("a file beyond its bound"));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(bad("not a file of OpenTimestamps"))?;
        let rest = rest.strip_prefix(&[VERSION, SHA256]).ok_or(bad("another version, or a digest by another hash"))?;
        let (digest, rest) = rest.split_first_chunk().ok_or(bad("no digest"))?;
        let tree = Tree::read(rest, digest)?;
        Ok(Self { digest: *digest, attestations: tree.attestations })
    }
}

/// What calendars are asked to attest: SHA-256(digest ‖ nonce).
#[must_use]
pub fn commitment(digest: &Hash, nonce: &[u8; NONCE_BYTES]) -> Hash {
    sha256(&[digest, nonce])
}

/// The file of a digest out of calendars' answers to its commitment.
pub fn file(digest: &Hash, nonce: &[u8; NONCE_BYTES], answers: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let ([others @ .., last], true) = (answers, answers.len() <= OTS_CALENDARS) else {
        return Err(bad("no answer, or too many"));
    };
    let message = commitment(digest, nonce);
    let mut out = [MAGIC.as_slice(), &[VERSION, SHA256], digest, &[APPEND, 16], nonce, &[SHA256]].concat();
    for answer in others {
        out.extend(Tree::read(answer, &message)?.forked(answer));
    }
    out.extend_from_slice(last);
    File::read(&out)?;
    Ok(out)
}

/// The file cut down to the way to its earliest block: evidence in which every bit counts, as nothing stands beside it.
pub fn to_block(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let File { digest, attestations } = File::read(bytes)?;
    let height = |made: &Attestation| if let Claim::Bitcoin { height, .. } = made.claim { Some(height) } else { None };
    let first = attestations.iter().filter(|made| height(made).is_some()).min_by_key(|made| height(made));
    let first = first.ok_or(Error::new(Code::OtsIncomplete, "the file has no block"))?;
    let out = [MAGIC.as_slice(), &[VERSION, SHA256], &digest, &first.path].concat();
    File::read(&out)?;
    Ok(out)
}

/// The file with a calendar's answer in place of what it left pending at a commitment.
pub fn upgrade(bytes: &[u8], uri: &str, message: &[u8], answer: &[u8]) -> Result<Vec<u8>, Error> {
    let file = File::read(bytes)?;
    let tree = Tree::read(answer, message)?;
    if !tree.attestations.iter().any(|made| matches!(made.claim, Claim::Bitcoin { .. })) {
        return Err(Error::new(Code::OtsIncomplete, "the answer has no block"));
    }
    let pending = file
        .attestations
        .iter()
        .find(|made| made.message == message && matches!(&made.claim, Claim::Pending { uri: own } if own == uri));
    let pending = pending.ok_or(Error::new(Code::OtsIncomplete, "nothing pending there"))?;
    let start = bytes.len() - pending.from_end.0;
    let end = bytes.len() - pending.from_end.1;
    let before = bytes.get(..start).unwrap_or_default();
    let after = bytes.get(end..).unwrap_or_default();
    // A fork's mark is part of the attestation that is replaced.
    let forked = bytes.get(start) == Some(&FORK);
    let answer = if forked { tree.forked(answer) } else { answer.to_vec() };
    let out = [before, &answer, after].concat();
    File::read(&out)?;
    Ok(out)
}
