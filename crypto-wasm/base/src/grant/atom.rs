//! Atoms: what a grant says of one argument. Each carries the type it speaks of.

use super::Arg;
use crate::Error;
use crate::json::{Fields, Value};
use crate::limits::{ATOM_STRING_BYTES, ATOM_VALUES, BODY_BYTES, MAX_SAFE_INTEGER};
use crate::path::Pattern;

/// A value of one of the types that atoms speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `string`
    Str(String),
    /// `boolean`
    Bool(bool),
    /// `integer`
    Int(i64),
}

impl Scalar {
    /// Whether `value` has this type and is equal.
    #[must_use]
    pub fn is(&self, value: Arg<'_>) -> bool {
        match (self, value) {
            (Self::Str(own), Arg::Str(other)) => own == other,
            (Self::Bool(own), Arg::Bool(other)) => *own == other,
            (Self::Int(own), Arg::Int(other)) => *own == other,
            _ => false,
        }
    }
}

/// A sorted set of values of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items {
    /// Sorted bytewise by UTF-8.
    Strings(Vec<String>),
    /// Sorted by value.
    Integers(Vec<i64>),
}

impl Items {
    /// Whether `value` has the type of the items and is one of them; `None` when it has another type.
    #[must_use]
    pub fn has(&self, value: Arg<'_>) -> Option<bool> {
        match (self, value) {
            (Self::Strings(items), Arg::Str(text)) => Some(has_str(items, text)),
            (Self::Integers(items), Arg::Int(number)) => Some(items.binary_search(&number).is_ok()),
            _ => None,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Strings(_) => "string",
            Self::Integers(_) => "integer",
        }
    }

    fn value(&self) -> Value {
        Value::Arr(match self {
            Self::Strings(items) => items.iter().map(|item| Value::str(item.as_str())).collect(),
            Self::Integers(items) => items.iter().map(|item| Value::Int(*item)).collect(),
        })
    }

    fn parse(kind: &str, values: &[Value]) -> Result<Self, Error> {
        let bad = || Error::malformed("not a sorted set of values of one type");
        if !(1..=ATOM_VALUES).contains(&values.len()) {
            return Err(bad());
        }
        let (items, sorted) = match kind {
            "string" => {
                let texts: Option<Vec<String>> = values.iter().map(|value| short(value).map(str::to_owned)).collect();
                let texts = texts.ok_or_else(bad)?;
                let sorted = texts.is_sorted_by(|left, right| left < right);
                (Self::Strings(texts), sorted)
            }
            "integer" => {
                let numbers: Option<Vec<i64>> = values.iter().map(Value::as_i64).collect();
                let numbers = numbers.ok_or_else(bad)?;
                let sorted = numbers.is_sorted_by(|left, right| left < right);
                (Self::Integers(numbers), sorted)
            }
            _ => return Err(Error::malformed("a type that this atom does not speak of")),
        };
        if sorted { Ok(items) } else { Err(bad()) }
    }
}

/// Up to so many strings are looked through one by one, which is faster than halving: most differ in length already.
pub(crate) const FEW: usize = 8;

/// Whether the sorted `items` have `text`.
pub(crate) fn has_str(items: &[String], text: &str) -> bool {
    if items.len() <= FEW {
        return items.iter().any(|item| item == text);
    }
    items.binary_search_by(|item| item.as_str().cmp(text)).is_ok()
}

/// A string that is not too long for an atom.
fn short(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| text.len() <= ATOM_STRING_BYTES)
}

/// What must be true of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// It is this value.
    Eq(Scalar),
    /// It is one of these.
    In(Items),
    /// It has the type of these and is none of them.
    NotIn(Items),
    /// It is an integer within these bounds, both included.
    Range {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// It is a path that this matches.
    Pat(Pattern),
    /// It is a list, all of whose elements are among these.
    Subset(Items),
    /// It is a string of at most so many UTF-8 bytes.
    Maxlen(u64),
}

impl Atom {
    /// The member `op`, by which the atoms of an argument are ordered.
    #[must_use]
    pub const fn op(&self) -> &'static str {
        match self {
            Self::Eq(_) => "eq",
            Self::In(_) => "in",
            Self::NotIn(_) => "not_in",
            Self::Range { .. } => "range",
            Self::Pat(_) => "pat",
            Self::Subset(_) => "subset",
            Self::Maxlen(_) => "maxlen",
        }
    }

    /// Whether the atom is true of `value`. A value of another type makes every atom false.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        self.holds_of(Arg::of(value))
    }

    /// As [`holds`](Self::holds).
    #[must_use]
    pub fn holds_of(&self, value: Arg<'_>) -> bool {
        match self {
            Self::Eq(own) => own.is(value),
            Self::In(items) => items.has(value) == Some(true),
            Self::NotIn(items) => items.has(value) == Some(false),
            Self::Range { min, max } => matches!(value, Arg::Int(number) if (*min..=*max).contains(&number)),
            Self::Pat(pattern) => value.as_str().is_some_and(|text| pattern.matches(text)),
            Self::Subset(items) => {
                matches!(value, Arg::List(list) if list.all(|element| items.has(element) == Some(true)))
            }
            Self::Maxlen(bytes) => value.as_str().is_some_and(|text| text.len() as u64 <= *bytes),
        }
    }

    /// Reads one atom.
    ///
    /// # Errors
    /// `MALFORMED` for an unknown `op`, a type it does not speak of, bounds in the wrong order, values that are not sorted and
    /// distinct, or any member that does not belong to it.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let (op, kind) = (fields.str("op")?, fields.str("type")?);
        let any = -MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER;
        let atom = match (op, kind) {
            ("eq", kind) => Self::Eq(match (kind, fields.value("value")?) {
                ("string", value) => {
                    Scalar::Str(short(value).ok_or_else(|| Error::malformed("not a short string"))?.to_owned())
                }
                ("boolean", Value::Bool(truth)) => Scalar::Bool(*truth),
                ("integer", Value::Int(number)) => Scalar::Int(*number),
                _ => return Err(Error::malformed("a value of another type")),
            }),
            ("in", kind) => Self::In(Items::parse(kind, fields.arr("values")?)?),
            ("not_in", kind) => Self::NotIn(Items::parse(kind, fields.arr("values")?)?),
            ("range", "integer") => {
                let min = fields.int("min", *any.start(), *any.end())?;
                Self::Range { min, max: fields.int("max", min, *any.end())? }
            }
            ("pat", "string") => Self::Pat(Pattern::parse(fields.value("pattern")?)?),
            ("subset", "list") => {
                let of = fields.str("of")?;
                Self::Subset(Items::parse(of, fields.arr("values")?)?)
            }
            ("maxlen", "string") => {
                Self::Maxlen(fields.int("bytes", 0, i64::try_from(BODY_BYTES).unwrap_or(0))?.unsigned_abs())
            }
            _ => return Err(Error::malformed("an unknown atom")),
        };
        fields.finish()?;
        Ok(atom)
    }

    /// The atom as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        let (kind, rest): (&str, Vec<(&str, Value)>) = match self {
            Self::Eq(Scalar::Str(text)) => ("string", vec![("value", Value::str(text.as_str()))]),
            Self::Eq(Scalar::Bool(truth)) => ("boolean", vec![("value", Value::Bool(*truth))]),
            Self::Eq(Scalar::Int(number)) => ("integer", vec![("value", Value::Int(*number))]),
            Self::In(items) | Self::NotIn(items) => (items.kind(), vec![("values", items.value())]),
            Self::Range { min, max } => ("integer", vec![("min", Value::Int(*min)), ("max", Value::Int(*max))]),
            Self::Pat(pattern) => ("string", vec![("pattern", pattern.value())]),
            Self::Subset(items) => ("list", vec![("of", Value::str(items.kind())), ("values", items.value())]),
            Self::Maxlen(bytes) => {
                ("string", vec![("bytes", Value::Int(i64::try_from(*bytes).unwrap_or(MAX_SAFE_INTEGER)))])
            }
        };
        Value::obj([("op", Value::str(self.op())), ("type", Value::str(kind))].into_iter().chain(rest))
    }
}
