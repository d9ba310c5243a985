//! Canonical JSON, read and held to be canonical in one pass: integers only, no null, no second spelling of anything.
//!
//! A reader that refuses every other spelling needs no printer, and bytes that it takes are the only ones of their value.
//!
//! Source: RFC 8785; contracts/spec/encoding.md#canonical-json.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::limits::{DEPTH, SAFE_INTEGER};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// An integer within ±(2^53−1).
    Int(i64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object, its members in canonical order.
    Object(Vec<Member>),
}

/// A member of an object, and where it stands in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The first byte of its name's quote.
    pub start: usize,
    /// The byte after its value.
    pub end: usize,
}

impl Value {
    /// The members, if this is an object.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// The member called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members().iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// The value whose canonical form `text` is, or none.
#[must_use]
pub fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0, open: 0 };
    let value = reader.value()?;
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    open: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::list),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            _ => self.integer(),
        }
    }

    /// Bounds the nesting, and with it the stack.
    fn nested(&mut self, read: fn(&mut Self) -> Option<Value>) -> Option<Value> {
        self.at += 1;
        self.open += 1;
        let value = if self.open > DEPTH { None } else { read(self) };
        self.open -= 1;
        value
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            match self.next()? {
                b',' => {}
                b']' => return Some(Value::List(items)),
                _ => return None,
            }
        }
    }

    fn object(&mut self) -> Option<Value> {
        let mut members: Vec<Member> = Vec::new();
        if self.take(b'}') {
            return Some(Value::Object(members));
        }
        loop {
            let start = self.at;
            let name = self.string()?;
            // Strictly rising, so no name stands twice.
            let rises = |last: &Member| last.name.encode_utf16().cmp(name.encode_utf16()) == Ordering::Less;
            if !members.last().is_none_or(rises) || !self.take(b':') {
                return None;
            }
            let value = self.value()?;
            members.push(Member { name, value, start, end: self.at });
            match self.next()? {
                b',' => {}
                b'}' => return Some(Value::Object(members)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return None;
        }
        let mut string = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            // Both ends stand at ASCII characters, so this cuts no character in two.
            string.push_str(self.text.get(start..self.at)?);
            match self.next()? {
                b'"' => return Some(string),
                b'\\' => string.push(self.escape()?),
                _ => return None, // a control character
            }
        }
    }

    /// What must be escaped, in its one spelling.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?.strip_prefix("00")?;
                self.at += 4;
                let [high, low] = digits.as_bytes() else { return None };
                let digit = |byte: u8| match byte {
                    b'0'..=b'9' => Some(byte - b'0'),
                    b'a'..=b'f' => Some(byte - b'a' + 10),
                    _ => None,
                };
                let byte = digit(*high)? << 4 | digit(*low)?;
                let shorter = matches!(byte, 0x8 | 0x9 | 0xa | 0xc | 0xd);
                return (byte < 0x20 && !shorter).then_some(char::from(byte));
            }
            _ => return None,
        })
    }

    fn integer(&mut self) -> Option<Value> {
        let negative = self.take(b'-');
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let value = talos_log::text::decimal(self.text.get(start..self.at)?).filter(|value| *value <= SAFE_INTEGER)?;
        let value = i64::try_from(value).ok()?;
        if negative && value == 0 {
            return None;
        }
        Some(Value::Int(if negative { -value } else { value }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn the_one_spelling_is_read() {
        for text in [
            "true",
            "false",
            "0",
            "-1",
            "9007199254740991",
            "-9007199254740991",
            "\"\"",
            "[]",
            "{}",
            "[[],{},\"x\"]",
            r#"{"":1,"a":{"b":[1,2]},"b":false}"#,
            "\"\u{7f}\u{2028}\u{20ac}\u{1f600}/\"",
            r#""\"\\\b\t\n\f\r\u0000\u000b\u001f""#,
            // U+1F600 is D83D DE00 in UTF-16 and sorts before U+FB33, though its UTF-8 sorts after.
            "{\"\u{1f600}\":2,\"\u{fb33}\":1}",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
        let value = parse(r#"{"a":"x\ny","b":[7]}"#).unwrap();
        assert_eq!(value.get("a").and_then(Value::text), Some("x\ny"));
        assert_eq!(value.get("b"), Some(&Value::List(alloc::vec![Value::Int(7)])));
        assert_eq!((value.members()[0].start, value.members()[0].end), (1, 11));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "",
            " ",
            " 1",
            "1 ",
            "1\n",
            "01",
            "-0",
            "+1",
            "1.0",
            "1.5",
            "1e2",
            "9007199254740992",
            "-9007199254740992",
            "-",
            "null",
            "nul",
            "tru",
            "[1,]",
            "[,1]",
            "[1 ,2]",
            "[1, 2]",
            "[1",
            "[",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "{ \"a\":1}",
            "{\"a\": 1}",
            "{\"a\" :1}",
            "{a:1}",
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"\u{fb33}\":1,\"\u{1f600}\":2}",
            r#""\/""#,
            r#""\u0061""#,
            r#""\u0100""#,
            r#""\u1000""#,
            r#""\u000A""#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\u007f""#,
            r#""\ud83d\ude00""#,
            r#""\u00""#,
            r#""\x""#,
            "\"a",
            "\"\t\"",
            "\"\u{1}\"",
            "'a'",
            "\u{feff}{}",
            "{}{}",
            "{}x",
            "NaN",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH)).is_some());
        assert!(parse(&nested(DEPTH + 1)).is_none());
        assert!(parse(&"[".repeat(1_000_000)).is_none());
        assert!(parse(&format!("[{}]", alloc::vec!["[]"; 100].join(","))).is_some());
        assert!(parse(&i64::MAX.to_string()).is_none());
    }
}
