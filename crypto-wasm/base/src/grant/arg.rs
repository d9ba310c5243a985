//! An argument of a request as atoms see it: borrowed from parsed JSON, or from a frame without any copy.

use crate::json::Value;

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg<'a> {
    /// `string`
    Str(&'a str),
    /// `boolean`
    Bool(bool),
    /// `integer`
    Int(i64),
    /// `list`
    List(List<'a>),
    /// Of no type that atoms speak of.
    Other(&'a Value),
}

/// The elements of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum List<'a> {
    /// Parsed.
    Values(&'a [Value]),
    /// In a frame; every element was read once before.
    Packed(&'a [u8]),
}

/// What an argument of a frame is when it is nothing that atoms speak of; frames do not say more.
static OTHER: Value = Value::Null;

const TAG_OTHER: u8 = 0;
const TAG_STR: u8 = 1;
const TAG_FALSE: u8 = 2;
const TAG_TRUE: u8 = 3;
const TAG_INT: u8 = 4;
const TAG_LIST: u8 = 5;

impl<'a> Arg<'a> {
    /// The argument that `value` is.
    #[must_use]
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Str(text) => Self::Str(text),
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Arr(items) => Self::List(List::Values(items)),
            Value::Null | Value::Float(_) | Value::Obj(_) => Self::Other(value),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub const fn as_str(self) -> Option<&'a str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// As JSON. Of a frame's argument that is nothing that atoms speak of, `null`.
    #[must_use]
    pub fn value(self) -> Value {
        match self {
            Self::Str(text) => Value::str(text),
            Self::Bool(truth) => Value::Bool(truth),
            Self::Int(number) => Value::Int(number),
            Self::List(List::Values(items)) => Value::Arr(items.to_vec()),
            Self::List(list) => {
                let mut items = Vec::new();
                list.all(|item| {
                    items.push(item.value());
                    true
                });
                Value::Arr(items)
            }
            Self::Other(value) => value.clone(),
        }
    }

    /// Takes one argument from a frame: a tag; text and list after their `u32` length, an integer in eight bytes. A list
    /// has no list in it: such an element is one that atoms do not speak of.
    pub(crate) fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (tag, more) = rest.split_first()?;
        *rest = more;
        Some(match *tag {
            TAG_OTHER => Self::Other(&OTHER),
            TAG_STR => Self::Str(core::str::from_utf8(take_bytes(rest)?).ok()?),
            TAG_FALSE => Self::Bool(false),
            TAG_TRUE => Self::Bool(true),
            TAG_INT => {
                let (number, more) = rest.split_first_chunk::<8>()?;
                *rest = more;
                Self::Int(i64::from_le_bytes(*number))
            }
            TAG_LIST => {
                let bytes = take_bytes(rest)?;
                let mut items = bytes;
                while !items.is_empty() {
                    if let Self::List(_) = Self::take(&mut items)? {
                        return None;
                    }
                }
                Self::List(List::Packed(bytes))
            }
            _ => return None,
        })
    }
}

/// The bytes behind a `u32` length.
pub(crate) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, more) = rest.split_first_chunk::<4>()?;
    let (bytes, more) = more.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = more;
    Some(bytes)
}

impl<'a> List<'a> {
    /// Whether `holds` is true of every element.
    pub fn all(self, mut holds: impl FnMut(Arg<'a>) -> bool) -> bool {
        match self {
            Self::Values(items) => items.iter().all(|item| holds(Arg::of(item))),
            Self::Packed(mut rest) => {
                while !rest.is_empty() {
                    if !Arg::take(&mut rest).is_some_and(&mut holds) {
                        return false;
                    }
                }
                true
            }
        }
    }
}
