//! The canonical printer, RFC 8785.

use crate::{bytes, table};
use core::fmt::Write;

use super::Value;

/// The canonical form: members sorted by UTF-16 code units, ECMAScript numbers and strings, no white space.
///
/// A float that is not finite, which no parsed value holds, prints as `null`, as ECMAScript's `JSON.stringify` does.
#[must_use]
pub fn print(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

/// The canonical form of an object of these members, whose names are distinct.
#[must_use]
pub fn print_members(members: &[(String, Value)]) -> String {
    let mut out = String::new();
    write_members(members, &mut out);
    out
}

/// The canonical form of a string.
#[must_use]
pub fn print_str(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_str(text, &mut out);
    out
}

/// An object whose members are written one after another, for who knows their canonical order.
#[derive(Debug)]
pub struct Writer(String);

impl Writer {
    /// An open object.
    #[must_use]
    pub fn new() -> Self {
        let mut out = String::with_capacity(2_048);
        out.push('{');
        Self(out)
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        write_str(name, &mut self.0);
        self.0.push(':');
        &mut self.0
    }

    /// A member that is a string.
    pub fn text(&mut self, name: &str, text: &str) {
        write_str(text, self.name(name));
    }

    /// A member that is any value.
    pub fn value(&mut self, name: &str, value: &Value) {
        write_value(value, self.name(name));
    }

    /// Opens a member that is an object, until [`close`](Self::close).
    pub fn open(&mut self, name: &str) {
        self.name(name).push('{');
    }

    /// Closes the object that was opened last.
    pub fn close(&mut self) {
        self.0.push('}');
    }

    /// What was written since the last call; its last object stays open.
    pub fn take(&mut self) -> String {
        core::mem::take(&mut self.0)
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => {
            let _ = write!(out, "{number}"); // writing to a String cannot fail
        }
        Value::Float(number) if number.is_finite() => out.push_str(ryu_js::Buffer::new().format_finite(*number)),
        Value::Null | Value::Float(_) => out.push_str("null"),
        Value::Str(text) => write_str(text, out),
        Value::Arr(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Obj(members) => write_members(members, out),
    }
}

fn write_members(members: &[(String, Value)], out: &mut String) {
    let mut sorted: Vec<&(String, Value)> = members.iter().collect();
    table::sort(&mut sorted, |(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    out.push('{');
    for (index, (name, member)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_str(name, out);
        out.push(':');
        write_value(member, out);
    }
    out.push('}');
}

fn write_str(text: &str, out: &mut String) {
    out.push('"');
    // What needs no escape is copied in runs; escaped are ASCII characters only, so this cuts no character in two.
    let mut rest = text;
    loop {
        let (plain, more) = rest.split_at_checked(bytes::plain(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut more = more.chars();
        let Some(character) = more.next() else {
            break;
        };
        write_escaped(character, out);
        rest = more.as_str();
    }
    out.push('"');
}

fn write_escaped(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        control => {
            let _ = write!(out, "\\u{:04x}", u32::from(control)); // writing to a String cannot fail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn canonical(text: &str) -> String {
        print(&parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn members_sort_by_utf16_code_units() {
        // U+1F600 is D83D DE00 in UTF-16 and sorts before U+FB33, though its UTF-8 sorts after.
        assert_eq!(
            canonical("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"b\":3,\"a\":4}"),
            "{\"a\":4,\"b\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn numbers_print_as_ecmascript_does() {
        for (text, expected) in [
            ("-0", "0"),
            ("-0.0", "0"),
            ("1.0", "1"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("333333333.33333329", "333333333.3333333"),
            ("5e-324", "5e-324"),
            ("4.50", "4.5"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("-12", "-12"),
        ] {
            assert_eq!(canonical(text), expected);
        }
        assert_eq!(print(&Value::Float(f64::NAN)), "null");
    }

    #[test]
    fn strings_escape_only_what_must_be() {
        assert_eq!(
            canonical(r#""\u0000\b\t\n\u000b\f\r\u001f\"\\\/\u007f\u20ac""#),
            "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}€\""
        );
        assert_eq!(print_str("a\"b"), "\"a\\\"b\"");
    }
}
