//! JSON that is read once and strictly, and printed canonically.
//!
//! Source: contracts/spec/encoding.md#json and #canonical-json.

mod fields;
mod parse;
mod print;

pub use fields::Fields;
pub use parse::parse;
pub use print::{Writer, print, print_members, print_str};

use crate::Error;

/// A JSON value. Members of an object keep the order of their source, and their names are distinct when it came from [`parse`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number literal without `.`, `e`, `E`, and not `-0`; within ±(2^53−1) when it came from [`parse`].
    Int(i64),
    /// Any other number literal; finite when it came from [`parse`].
    Float(f64),
    /// A string.
    Str(String),
    /// An array.
    Arr(Vec<Value>),
    /// An object.
    Obj(Vec<(String, Value)>),
}

impl Value {
    /// An object of these members.
    pub fn obj<N: Into<String>>(members: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Obj(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A string.
    pub fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    /// The member called `name`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_obj()?.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The number, if this is an integer. A float is never one, whatever its value.
    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The number, if this is an integer that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i64().and_then(|number| u64::try_from(number).ok())
    }

    /// The truth value, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The elements, if this is an array.
    #[must_use]
    pub fn as_arr(&self) -> Option<&[Value]> {
        if let Self::Arr(items) = self { Some(items) } else { None }
    }

    /// The members, if this is an object.
    #[must_use]
    pub fn as_obj(&self) -> Option<&[(String, Value)]> {
        if let Self::Obj(members) = self { Some(members) } else { None }
    }

    /// Whether a float occurs anywhere in it. Nesting is bounded by `limits::JSON_DEPTH` for parsed values.
    #[must_use]
    pub fn has_float(&self) -> bool {
        match self {
            Self::Float(_) => true,
            Self::Arr(items) => items.iter().any(Self::has_float),
            Self::Obj(members) => members.iter().any(|(_, value)| value.has_float()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Str(_) => false,
        }
    }
}

/// Reads every item of an array.
///
/// # Errors
/// The first that `read` refuses.
pub fn each<T>(items: &[Value], read: fn(&Value) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        parts.push(read(item)?);
    }
    Ok(parts)
}

/// Reads every item of an array of strings.
///
/// # Errors
/// `MALFORMED` when one is something else.
pub fn texts(items: &[Value]) -> Result<Vec<String>, Error> {
    each(items, |item| item.as_str().map(str::to_owned).ok_or_else(|| Error::malformed("not a string")))
}

/// Reads something that is signed: as [`parse`], and integers only (contracts/spec/encoding.md#json).
///
/// # Errors
/// `MALFORMED` as [`parse`], or when a float occurs.
pub fn parse_signed(bytes: &[u8]) -> Result<Value, Error> {
    let value = parse(bytes)?;
    if value.has_float() { Err(Error::malformed("a float in something signed")) } else { Ok(value) }
}
