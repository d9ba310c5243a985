//! Signed notes: a text, an empty line, and lines of signatures by named keys; and the keys as verifiers write them.
//!
//! Source: C2SP signed-note, tlog-cosignature; contracts/spec/log.md#notes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::hash;
use crate::limits::{NAME_BYTES, NOTE_BYTES, NOTE_SIGNATURES};
use crate::text::{hex4, push_decimal, push_hex};
use crate::{Code, Error, base64};

/// An em dash and a space: how a line of a signature begins.
const DASH: &str = "\u{2014} ";

/// What a key signs, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type 0x01: Ed25519 over the note's text.
    Ed25519,
    /// Type 0x04: Ed25519 over a time and the note's text.
    Cosignature,
    /// Type 0x06: ML-DSA-44 over a statement. Its keys are read; what it signs is not checked here, so it counts for nothing.
    MlDsa44,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            0x06 => Some(Self::MlDsa44),
            _ => None,
        }
    }

    /// The byte that stands before the key.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
            Self::MlDsa44 => 0x06,
        }
    }

    fn key_bytes(self) -> usize {
        if self == Self::MlDsa44 { 1312 } else { 32 }
    }
}

/// A key that verifies, as `<name>+<key id>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whose it is.
    pub name: String,
    /// First bytes of a hash over name, type and key.
    pub id: [u8; 4],
    /// What it signs.
    pub kind: Kind,
    /// The key itself.
    pub public: Vec<u8>,
}

/// The curve's question: does `signature` of `message` hold under `public`? Who asks the library answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// Ed25519 key.
    pub public: [u8; 32],
    /// What was signed.
    pub message: Vec<u8>,
    /// R and S.
    pub signature: [u8; 64],
}

/// The signature line's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Name of the key.
    pub name: &'a str,
    /// Id of the key.
    pub id: [u8; 4],
    /// What the key's kind makes of it.
    pub bytes: Vec<u8>,
}

/// A signed note, read and not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, with its last line feed.
    pub text: &'a str,
    /// At least one.
    pub signatures: Vec<Signature<'a>>,
}

/// Whether a key may be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let sound = |char: char| char >= ' ' && char != '+' && !char.is_whitespace();
    (1..=NAME_BYTES).contains(&name.len()) && name.chars().all(sound)
}

/// The first four bytes of SHA-256(name ‖ line feed ‖ type ‖ key).
#[must_use]
pub fn key_id(name: &str, kind: Kind, public: &[u8]) -> [u8; 4] {
    let hash = hash::of(&[name.as_bytes(), b"\n", &[kind.byte()], public]);
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

impl Key {
    /// A key of this name, or none: a name that no key may have, or bytes of another length.
    #[must_use]
    pub fn new(name: &str, kind: Kind, public: &[u8]) -> Option<Self> {
        let sound = is_name(name) && public.len() == kind.key_bytes();
        sound.then(|| Self { name: name.into(), id: key_id(name, kind, public), kind, public: public.into() })
    }

    /// The key in a verifier's text, or none: another shape, an unknown type, or an id that is not the key's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let key = base64::decode(key)?;
        let (kind, public) = key.split_first()?;
        let found = Self::new(name, Kind::of(*kind)?, public)?;
        (hex4(id)? == found.id).then_some(found)
    }

    /// The key as verifiers write it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.name.clone();
        text.push('+');
        push_hex(&mut text, &self.id);
        text.push('+');
        let mut key = vec![self.kind.byte()];
        key.extend(&self.public);
        base64::push(&mut text, &key);
        text
    }

    /// The question that a signature of this key over `text` asks, and the time it speaks of (seconds), if any; none when the
    /// signature has another shape, or is of a kind that is not checked here.
    #[must_use]
    pub fn equation(&self, text: &str, signature: &[u8]) -> Option<(Equation, Option<u64>)> {
        let public = self.public.as_slice().try_into().ok()?;
        match self.kind {
            Kind::Ed25519 => {
                let signature = signature.try_into().ok()?;
                Some((Equation { public, message: text.into(), signature }, None))
            }
            Kind::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                let signature = signature.try_into().ok()?;
                let sound = time <= i64::MAX.unsigned_abs();
                sound.then(|| (Equation { public, message: cosigned(text, time).into(), signature }, Some(time)))
            }
            Kind::MlDsa44 => None,
        }
    }

    /// The line that adds `signature` to a note.
    #[must_use]
    pub fn line(&self, signature: &[u8]) -> String {
        let mut line = String::from(DASH);
        line.push_str(&self.name);
        line.push(' ');
        let mut bytes = self.id.to_vec();
        bytes.extend(signature);
        base64::push(&mut line, &bytes);
        line.push('\n');
        line
    }
}

/// What a witness signs: that it saw this checkpoint at `time` (seconds), and nothing that contradicts it.
#[must_use]
pub fn cosigned(text: &str, time: u64) -> String {
    let mut message = String::from("cosignature/v1\ntime ");
    push_decimal(&mut message, time);
    message.push('\n');
    message.push_str(text);
    message
}

impl<'a> Note<'a> {
    /// The note in `bytes`.
    ///
    /// # Errors
    /// `NoteMalformed`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes).ok_or(Error::new(Code::NoteMalformed, "no signed note"))
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let whole = core::str::from_utf8(bytes).ok()?;
        if whole.len() > NOTE_BYTES || whole.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return None;
        }
        // The last empty line: the text itself may have some.
        let (text, lines) = whole.split_at_checked(bytes.windows(2).rposition(|pair| pair == b"\n\n")? + 1)?;
        let lines = lines.strip_prefix('\n')?.strip_suffix('\n')?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
            let signature = base64::decode(signature)?;
            let (id, rest) = signature.split_first_chunk::<4>()?;
            if !is_name(name) || rest.is_empty() || signatures.len() == NOTE_SIGNATURES {
                return None;
            }
            signatures.push(Signature { name, id: *id, bytes: rest.into() });
        }
        Some(Self { text, signatures })
    }
}
