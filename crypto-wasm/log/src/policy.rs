//! Policy files: which logs and witnesses a verifier knows, and how many of them make a checkpoint good.
//!
//! Source: C2SP tlog-policy; contracts/spec/log.md#policies.

use alloc::vec::Vec;

use crate::limits::{POLICY_BYTES, POLICY_ITEMS};
use crate::note::{Key, Kind};
use crate::text::decimal;
use crate::{Code, Error};

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Keys of logs; a key's name is the log's origin.
    pub logs: Vec<Key>,
    /// Keys of witnesses.
    pub witnesses: Vec<Key>,
    /// Where each of `witnesses` takes checkpoints; empty where the file does not say.
    pub urls: Vec<Vec<u8>>,
    members: Vec<Member>,
    /// Index into `members`; none demands no witness.
    quorum: Option<usize>,
}

/// What a name in the file stands for. Groups name only what stands before them, so one pass evaluates all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: Vec<u8>,
    is: Is,
    /// A name is a member of one group at most, so that a witness counts in one way only.
    taken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Is {
    Witness(usize),
    Group { least: usize, of: Vec<usize> },
}

const fn malformed(detail: &'static str) -> Error {
    Error::new(Code::PolicyMalformed, detail)
}

impl Policy {
    /// The policy in `bytes`.
    ///
    /// # Errors
    /// `PolicyMalformed` with what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e | 0x80..);
        if bytes.len() > POLICY_BYTES || !bytes.iter().all(printable) {
            return Err(malformed("too long, or a control character"));
        }
        // A file that ends within a line was cut.
        let lines = bytes.strip_suffix(b"\n").ok_or(malformed("the last line is not ended"))?;
        let mut policy = Self::default();
        let mut quorum = None;
        for line in lines.split(|byte| *byte == b'\n') {
            let words: Vec<&[u8]> =
                line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with(b"#") => {}
                [b"log", key] | [b"log", key, _] => policy.log(key)?,
                [b"witness", name, key] => policy.witness(name, key, b"")?,
                [b"witness", name, key, url] => policy.witness(name, key, url)?,
                [b"group", name, least, of @ ..] => policy.group(name, least, of)?,
                [b"quorum", name] => {
                    let before = quorum.replace(policy.quorum_of(name)?);
                    if before.is_some() {
                        return Err(malformed("two quorums"));
                    }
                }
                _ => return Err(malformed("a line that says nothing")),
            }
        }
        policy.quorum = quorum.ok_or(malformed("no quorum"))?;
        Ok(policy)
    }

    fn log(&mut self, key: &[u8]) -> Result<(), Error> {
        let key = read_key(key)?;
        if key.kind != Kind::Ed25519 {
            return Err(malformed("the key of a log is not of type 0x01"));
        }
        add(&mut self.logs, key)
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: &[u8]) -> Result<(), Error> {
        let key = read_key(key)?;
        if key.kind == Kind::Ed25519 {
            return Err(malformed("the key of a witness is of type 0x01"));
        }
        let index = self.witnesses.len();
        add(&mut self.witnesses, key)?;
        self.urls.push(url.into());
        self.define(name, Is::Witness(index))
    }

    fn group(&mut self, name: &[u8], least: &[u8], names: &[&[u8]]) -> Result<(), Error> {
        let least = match least {
            b"any" => 1,
            b"all" => names.len(),
            k => core::str::from_utf8(k)
                .ok()
                .and_then(decimal)
                .and_then(|k| usize::try_from(k).ok())
                .ok_or(malformed("no threshold of a group"))?,
        };
        if !(1..=names.len()).contains(&least) {
            return Err(malformed("a threshold that its group cannot meet, or that asks for nothing"));
        }
        let mut of = Vec::with_capacity(names.len());
        for name in names {
            let index = self.find(name)?;
            let member = self.members.get_mut(index).ok_or(malformed("a name that nothing defines before"))?;
            if core::mem::replace(&mut member.taken, true) {
                return Err(malformed("a name that is a member twice"));
            }
            of.push(index);
        }
        self.define(name, Is::Group { least, of })
    }

    fn define(&mut self, name: &[u8], is: Is) -> Result<(), Error> {
        if name == b"none" || self.members.iter().any(|member| member.name == name) {
            return Err(malformed("a name that is defined twice"));
        }
        if self.members.len() >= 2 * POLICY_ITEMS {
            return Err(malformed("too many witnesses and groups"));
        }
        self.members.push(Member { name: name.into(), is, taken: false });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<usize, Error> {
        let found = self.members.iter().position(|member| member.name == name);
        found.ok_or(malformed("a name that nothing defines before"))
    }

    fn quorum_of(&self, name: &[u8]) -> Result<Option<usize>, Error> {
        if name == b"none" { Ok(None) } else { self.find(name).map(Some) }
    }

    /// Whether these witnesses (`seen` answers by their index) are enough.
    #[must_use]
    pub fn is_met(&self, seen: &dyn Fn(usize) -> bool) -> bool {
        let mut met = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let holds = match &member.is {
                Is::Witness(index) => seen(*index),
                // Members stand before their group, so what is not there yet is nothing.
                Is::Group { least, of } => of.iter().filter(|index| met.get(**index) == Some(&true)).count() >= *least,
            };
            met.push(holds);
        }
        self.quorum.is_none_or(|index| met.get(index) == Some(&true))
    }
}

fn read_key(text: &[u8]) -> Result<Key, Error> {
    let text = core::str::from_utf8(text).ok();
    text.and_then(Key::parse).ok_or(malformed("no verifier key, or one with a wrong id"))
}

fn add(keys: &mut Vec<Key>, key: Key) -> Result<(), Error> {
    if keys.iter().any(|known| known.public == key.public) {
        return Err(malformed("one key twice"));
    }
    if keys.len() >= POLICY_ITEMS {
        return Err(malformed("too many keys"));
    }
    keys.push(key);
    Ok(())
}
