//! Proof files: an index, the hashes up to the root, and the checkpoint with all of its signatures, in one text.
//!
//! Source: C2SP tlog-proof; contracts/spec/log.md#proof-files.

use alloc::string::String;
use alloc::vec::Vec;

use crate::hash::Hash;
use crate::limits::{PROOF_BYTES, PROOF_HASHES};
use crate::text::{decimal, push_decimal};
use crate::{Code, Error, base64};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// What a proof file holds; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile<'a> {
    /// Bytes that no signature covers.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// From the leaf's sibling upwards.
    pub hashes: Vec<Hash>,
    /// The signed note.
    pub checkpoint: &'a [u8],
}

impl<'a> ProofFile<'a> {
    /// The proof in `bytes`.
    ///
    /// # Errors
    /// `ProofMalformed`. The checkpoint in it is not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes).ok_or(Error::new(Code::ProofMalformed, "no proof file"))
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = core::str::from_utf8(bytes).ok().filter(|text| text.len() <= PROOF_BYTES)?;
        let (head, rest) = text.split_at_checked(bytes.windows(2).position(|pair| pair == b"\n\n")?)?;
        let mut lines = head.split('\n');
        if lines.next()? != HEADER {
            return None;
        }
        let mut line = lines.next()?;
        let mut extra = None;
        if let Some(data) = line.strip_prefix("extra ") {
            extra = Some(base64::decode(data)?);
            line = lines.next()?;
        }
        let index = decimal(line.strip_prefix("index ")?)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == PROOF_HASHES {
                return None;
            }
            hashes.push(base64::decode_hash(line)?);
        }
        Some(Self { extra, index, hashes, checkpoint: rest.strip_prefix("\n\n")?.as_bytes() })
    }

    /// The proof as a file.
    ///
    /// # Errors
    /// `ProofMalformed` when the checkpoint is not UTF-8.
    pub fn text(&self) -> Result<String, Error> {
        let mut text = String::from(HEADER);
        if let Some(extra) = &self.extra {
            text.push_str("\nextra ");
            base64::push(&mut text, extra);
        }
        text.push_str("\nindex ");
        push_decimal(&mut text, self.index);
        for hash in &self.hashes {
            text.push('\n');
            base64::push(&mut text, hash);
        }
        text.push_str("\n\n");
        let checkpoint = core::str::from_utf8(self.checkpoint);
        text.push_str(checkpoint.map_err(|_| Error::new(Code::ProofMalformed, "a checkpoint that is no text"))?);
        Ok(text)
    }
}
