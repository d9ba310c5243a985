//! Checkpoints: the text of a note that states a log's size and root.
//!
//! Source: C2SP tlog-checkpoint; contracts/spec/log.md#checkpoints.

use alloc::string::String;

use crate::hash::Hash;
use crate::limits::{NAME_BYTES, TREE_SIZE};
use crate::text::{decimal, push_decimal};
use crate::{Code, Error, base64};

/// What a log states. Extension lines, which ours never writes, are signed with it and mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    /// The log's name.
    pub origin: &'a str,
    /// How many leaves.
    pub size: u64,
    /// The root of the tree with these leaves.
    pub root: Hash,
}

impl<'a> Checkpoint<'a> {
    /// The checkpoint in the text of a note.
    ///
    /// # Errors
    /// `CheckpointMalformed`.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        Self::read(text).ok_or(Error::new(Code::CheckpointMalformed, "no checkpoint"))
    }

    fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|origin| is_origin(origin))?;
        let size = decimal(lines.next()?).filter(|size| *size <= TREE_SIZE)?;
        let root = base64::decode_hash(lines.next()?)?;
        lines.all(|line| !line.is_empty()).then_some(Self { origin, size, root })
    }

    /// Its text, which a note signs.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(self.origin);
        text.push('\n');
        push_decimal(&mut text, self.size);
        text.push('\n');
        base64::push(&mut text, &self.root);
        text.push('\n');
        text
    }
}

/// Whether a log may be called so: one line that is not empty.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    (1..=NAME_BYTES).contains(&origin.len()) && origin.bytes().all(|byte| byte >= b' ')
}
