//! The strict reader.

use super::Value;
use crate::Error;
use crate::limits::{JSON_DEPTH, MAX_SAFE_INTEGER};
use crate::table;

/// The value that `bytes` spell.
///
/// # Errors
/// `MALFORMED` for anything but exactly one JSON value in UTF-8 without BOM: duplicate member names (after unescaping), lone
/// surrogates, integers outside ±(2^53−1), numbers that overflow a double, more than `limits::JSON_DEPTH` open containers,
/// anything after the value. Two readers that could disagree about a text both refuse it.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let text = core::str::from_utf8(bytes).map_err(|_| Error::malformed("JSON that is not UTF-8"))?;
    let mut reader = Reader { text, at: 0, open: 0 };
    let value = reader.value()?;
    reader.space();
    if reader.peek().is_some() {
        return Err(Error::malformed("bytes after the JSON value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    open: usize,
}

#[cold]
fn syntax() -> Error {
    Error::malformed("JSON syntax")
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Error> {
        if self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(syntax())
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.space();
        match self.peek().ok_or_else(syntax)? {
            b'{' => self.container(Self::object),
            b'[' => self.container(Self::array),
            b'"' => self.string().map(Value::Str),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(syntax()),
        }
    }

    /// Bounds the nesting, and with it the stack.
    fn container(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        if self.open == JSON_DEPTH {
            return Err(Error::malformed("JSON nested too deep"));
        }
        self.open += 1;
        self.at += 1; // the bracket that was seen
        let value = read(self)?;
        self.open -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::Arr(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Arr(items));
            }
            if !self.take(b',') {
                return Err(syntax());
            }
        }
    }

    fn object(&mut self) -> Result<Value, Error> {
        let mut members = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Obj(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(syntax());
            }
            members.push((name, self.value()?));
            self.space();
            if self.take(b'}') {
                return distinct(&members).map(|()| Value::Obj(members));
            }
            if !self.take(b',') {
                return Err(syntax());
            }
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        if !self.take(b'"') {
            return Err(syntax());
        }
        let mut string = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            // Both ends stand at ASCII characters, so this cuts no character in two.
            string.push_str(self.text.get(start..self.at).ok_or_else(syntax)?);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    string.push(self.escape()?);
                }
                _ => return Err(syntax()), // a control character, or the end
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let byte = self.peek().ok_or_else(syntax)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(syntax()),
        })
    }

    fn unicode(&mut self) -> Result<char, Error> {
        let lone = || Error::malformed("a lone surrogate");
        let first = self.hex4()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(lone);
        }
        if first >= 0xdc00 || !(self.take(b'\\') && self.take(b'u')) {
            return Err(lone());
        }
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone());
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(syntax)?;
            number = number << 4 | digit;
            self.at += 1;
        }
        Ok(number)
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(syntax()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value, Error> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let literal = self.text.get(start..self.at).ok_or_else(syntax)?;
        if integer && literal != "-0" {
            return match literal.parse::<i64>() {
                Ok(number) if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&number) => Ok(Value::Int(number)),
                _ => Err(Error::malformed("an integer beyond 2^53-1")),
            };
        }
        match literal.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(Error::malformed("a number that overflows a double")),
        }
    }
}

/// Refuses equal names. By sorting above a few members, so that a body of many members costs no square of them.
fn distinct(members: &[(String, Value)]) -> Result<(), Error> {
    let duplicate = if members.len() <= 8 {
        members.iter().enumerate().any(|(index, (name, _))| members.iter().take(index).any(|(other, _)| other == name))
    } else {
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        table::repeated(&names).is_some()
    };
    if duplicate { Err(Error::malformed("a duplicate member name")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    fn refused(text: &[u8]) -> &'static str {
        let error = parse(text).expect_err(&String::from_utf8_lossy(text));
        assert_eq!(error.code, Code::Malformed);
        error.detail
    }

    #[test]
    fn values_of_every_kind_are_read() {
        let value = parse(b" {\"a\" : [ null,true ,false,-12,0,1.5,-0,1e2,\"x\"] , \"b\":{}}\n").unwrap();
        let items = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(-12),
            Value::Int(0),
            Value::Float(1.5),
            Value::Float(-0.0),
            Value::Float(100.0),
            Value::str("x"),
        ];
        assert_eq!(value, Value::obj([("a", Value::Arr(items.into())), ("b", Value::Obj(vec![]))]));
    }

    #[test]
    fn duplicate_names_are_refused_also_when_spelled_differently_or_among_many() {
        assert_eq!(refused(br#"{"a":1,"a":1}"#), "a duplicate member name");
        assert_eq!(refused(br#"{"a":1,"\u0061":2}"#), "a duplicate member name");
        assert_eq!(refused(br#"[{"x":{"b":1,"a":2,"b":3}}]"#), "a duplicate member name");
        let many: Vec<String> = (0..20).map(|index| format!("\"m{}\":0", index % 19)).collect();
        assert_eq!(refused(format!("{{{}}}", many.join(",")).as_bytes()), "a duplicate member name");
        let distinct: Vec<String> = (0..20).map(|index| format!("\"m{index}\":0")).collect();
        assert!(parse(format!("{{{}}}", distinct.join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn surrogates_stand_only_in_pairs() {
        assert_eq!(parse(br#""\ud83d\ude00""#).unwrap(), Value::str("😀"));
        for text in
            [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx""#, r#""\ud83d\n""#, r#""\ude00\ud83d""#]
        {
            assert_eq!(refused(text.as_bytes()), "a lone surrogate", "{text}");
        }
    }

    #[test]
    fn integers_end_at_two_to_the_fifty_third() {
        assert_eq!(parse(b"9007199254740991").unwrap(), Value::Int(9_007_199_254_740_991));
        assert_eq!(parse(b"-9007199254740991").unwrap(), Value::Int(-9_007_199_254_740_991));
        for text in ["9007199254740992", "-9007199254740992", "99999999999999999999999999"] {
            assert_eq!(refused(text.as_bytes()), "an integer beyond 2^53-1");
        }
        assert_eq!(refused(b"1e400"), "a number that overflows a double");
        assert_eq!(refused(b"-1e400"), "a number that overflows a double");
        assert_eq!(parse(b"1e-400").unwrap(), Value::Float(0.0));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(refused(nested(JSON_DEPTH + 1).as_bytes()), "JSON nested too deep");
        assert_eq!(refused("[".repeat(1_000_000).as_bytes()), "JSON nested too deep");
        // Depth is what is open at once, not what was opened.
        assert!(parse(format!("[{}]", vec!["[]"; 100].join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn what_json_does_not_allow_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "+1",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\"}",
            "[1 2]",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "\"\t\"",
            "1 2",
            "{}x",
            "\u{feff}{}",
            "NaN",
            "Infinity",
            "-Infinity",
            "[",
            "{",
            "{\"a\":",
            "//x\n1",
            "1\u{a0}",
        ] {
            refused(text.as_bytes());
        }
        assert_eq!(refused(b"\"\xff\""), "JSON that is not UTF-8");
        assert_eq!(refused(b"\"\xed\xa0\x80\""), "JSON that is not UTF-8");
    }
}
