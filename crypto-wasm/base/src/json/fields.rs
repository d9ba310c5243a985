//! Reading an object whose members are all known.

use super::Value;
use crate::{Error, b64};

/// Takes the members of an object one after another and refuses, at the end, those that nobody asked for.
#[derive(Debug)]
pub struct Fields<'a> {
    members: &'a [(String, Value)],
    taken: Vec<bool>,
}

impl<'a> Fields<'a> {
    /// # Errors
    /// `MALFORMED` when `value` is not an object.
    pub fn new(value: &'a Value) -> Result<Self, Error> {
        let members = value.as_obj().ok_or_else(|| Error::malformed("not an object"))?;
        Ok(Self { members, taken: vec![false; members.len()] })
    }

    /// The member called `name`, if it is there.
    pub fn opt(&mut self, name: &str) -> Option<&'a Value> {
        let index = self.members.iter().position(|(member, _)| member == name)?;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
        self.members.get(index).map(|(_, value)| value)
    }

    /// The member called `name`.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing.
    pub fn value(&mut self, name: &str) -> Result<&'a Value, Error> {
        self.opt(name).ok_or_else(|| Error::malformed("member missing").at(name))
    }

    /// A string.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing or something else.
    pub fn str(&mut self, name: &str) -> Result<&'a str, Error> {
        self.value(name)?.as_str().ok_or_else(|| Error::malformed("not a string").at(name))
    }

    /// A string, or nothing. `null` is not nothing.
    ///
    /// # Errors
    /// `MALFORMED` when it is something else.
    pub fn opt_str(&mut self, name: &str) -> Result<Option<&'a str>, Error> {
        match self.opt(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| Error::malformed("not a string").at(name)),
        }
    }

    /// An integer within `low..=high`.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing, something else, or outside.
    pub fn int(&mut self, name: &str, low: i64, high: i64) -> Result<i64, Error> {
        let number = self.value(name)?.as_i64().ok_or_else(|| Error::malformed("not an integer").at(name))?;
        if (low..=high).contains(&number) { Ok(number) } else { Err(Error::malformed("out of range").at(name)) }
    }

    /// An integer within `low..=high`, or nothing.
    ///
    /// # Errors
    /// `MALFORMED` when it is something else, or outside.
    pub fn opt_int(&mut self, name: &str, low: i64, high: i64) -> Result<Option<i64>, Error> {
        if self.opt(name).is_none() { Ok(None) } else { self.int(name, low, high).map(Some) }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing or something else.
    pub fn bool(&mut self, name: &str) -> Result<bool, Error> {
        self.value(name)?.as_bool().ok_or_else(|| Error::malformed("not a boolean").at(name))
    }

    /// An array.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing or something else.
    pub fn arr(&mut self, name: &str) -> Result<&'a [Value], Error> {
        self.value(name)?.as_arr().ok_or_else(|| Error::malformed("not an array").at(name))
    }

    /// An object's members.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing or something else.
    pub fn obj(&mut self, name: &str) -> Result<&'a [(String, Value)], Error> {
        self.value(name)?.as_obj().ok_or_else(|| Error::malformed("not an object").at(name))
    }

    /// 32 bytes in base64url: a hash or a key.
    ///
    /// # Errors
    /// `MALFORMED` when it is missing or something else.
    pub fn b64_32(&mut self, name: &str) -> Result<[u8; 32], Error> {
        b64::decode32(self.str(name)?).map_err(|error| error.at(name))
    }

    /// # Errors
    /// `MALFORMED` naming the first member that nobody asked for.
    pub fn finish(self) -> Result<(), Error> {
        match self.members.iter().zip(&self.taken).find(|(_, taken)| !**taken) {
            Some(((name, _), _)) => Err(Error::malformed("unknown member").at(name.as_str())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn every_member_is_asked_for_and_of_its_kind() {
        let value = parse(br#"{"s":"a","i":3,"b":true,"l":[],"o":{},"n":null}"#).unwrap();
        let mut fields = Fields::new(&value).unwrap();
        assert_eq!(fields.str("s").unwrap(), "a");
        assert_eq!(fields.int("i", 3, 3).unwrap(), 3);
        assert!(
            fields.bool("b").unwrap() && fields.arr("l").unwrap().is_empty() && fields.obj("o").unwrap().is_empty()
        );
        assert_eq!(fields.opt_str("absent").unwrap(), None);
        assert_eq!(fields.opt_int("absent", 0, 1).unwrap(), None);
        assert!(fields.opt_str("n").is_err(), "null is not absent");
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn a_member_that_nobody_asked_for_is_refused_by_name() {
        let value = parse(br#"{"a":1,"b":2}"#).unwrap();
        let mut fields = Fields::new(&value).unwrap();
        fields.value("a").unwrap();
        assert_eq!(fields.finish().unwrap_err().field.as_deref(), Some("b"));
    }

    #[test]
    fn wrong_kinds_and_ranges_are_refused() {
        let value = parse(br#"{"i":3,"f":3.0,"s":"x"}"#).unwrap();
        let mut fields = Fields::new(&value).unwrap();
        assert!(fields.int("i", 4, 9).is_err() && fields.int("i", 0, 2).is_err());
        assert!(fields.int("f", 0, 9).is_err(), "a float is no integer");
        assert!(
            fields.str("i").is_err()
                && fields.bool("i").is_err()
                && fields.arr("i").is_err()
                && fields.obj("i").is_err()
        );
        assert!(fields.b64_32("s").is_err() && fields.value("absent").is_err() && fields.opt_int("s", 0, 1).is_err());
        assert!(Fields::new(&Value::Null).is_err());
    }
}
