//! What a log sends to a witness: the size that the witness knows, a proof that the new tree extends that one, the new
//! checkpoint.
//!
//! Source: C2SP tlog-witness, `add-checkpoint`; contracts/spec/log.md#witness.

use alloc::string::String;
use alloc::vec::Vec;

use crate::hash::Hash;
use crate::limits::{SUBMISSION_BYTES, SUBMISSION_HASHES, TREE_SIZE};
use crate::text::{decimal, push_decimal};
use crate::{Code, Error, base64};

/// What a submission holds; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission<'a> {
    /// Size of the tree that the witness is said to know.
    pub old: u64,
    /// Of the proof of consistency.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub note: &'a [u8],
}

impl<'a> Submission<'a> {
    /// The submission in `bytes`.
    ///
    /// # Errors
    /// `SubmissionMalformed`. The checkpoint in it is not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes).ok_or(Error::new(Code::SubmissionMalformed, "no submission"))
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > SUBMISSION_BYTES {
            return None;
        }
        // The first empty line: what stands before it has none.
        let (head, rest) = bytes.split_at_checked(bytes.windows(2).position(|pair| pair == b"\n\n")?)?;
        let mut lines = core::str::from_utf8(head).ok()?.split('\n');
        let old = decimal(lines.next()?.strip_prefix("old ")?).filter(|old| *old <= TREE_SIZE)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == SUBMISSION_HASHES {
                return None;
            }
            hashes.push(base64::decode_hash(line)?);
        }
        Some(Self { old, hashes, note: rest.get(2..)? })
    }

    /// The submission as it is sent.
    ///
    /// # Errors
    /// `SubmissionMalformed` when the checkpoint is not UTF-8, or the proof is too long.
    pub fn text(&self) -> Result<String, Error> {
        let malformed = Error::new(Code::SubmissionMalformed, "a checkpoint that is no text, or too long a proof");
        if self.hashes.len() > SUBMISSION_HASHES {
            return Err(malformed);
        }
        let mut text = String::from("old ");
        push_decimal(&mut text, self.old);
        for hash in &self.hashes {
            text.push('\n');
            base64::push(&mut text, hash);
        }
        text.push_str("\n\n");
        text.push_str(core::str::from_utf8(self.note).map_err(|_| malformed)?);
        Ok(text)
    }
}
