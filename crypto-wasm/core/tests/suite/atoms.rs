use talos_core::Code;
use talos_core::grant::Atom;

use crate::support::{atom, json};

fn holds(text: &str, values: &[(&str, bool)]) {
    for (value, expected) in values {
        assert_eq!(atom(text).holds(&json(value)), *expected, "{text} of {value}");
    }
}

#[test]
fn each_atom_is_true_of_its_values_and_false_of_every_other_type() {
    holds(
        r#"{"op":"eq","type":"string","value":"a"}"#,
        &[
            (r#""a""#, true),
            (r#""b""#, false),
            (r#""""#, false),
            (r#"["a"]"#, false),
            ("1", false),
            ("null", false),
            ("{}", false),
        ],
    );
    holds(
        r#"{"op":"eq","type":"integer","value":1}"#,
        &[("1", true), ("2", false), ("1.0", false), ("1e0", false), (r#""1""#, false), ("true", false)],
    );
    holds(
        r#"{"op":"eq","type":"boolean","value":true}"#,
        &[("true", true), ("false", false), ("1", false), (r#""true""#, false)],
    );
    holds(r#"{"op":"eq","type":"integer","value":0}"#, &[("0", true), ("-0", false), ("0.0", false), ("false", false)]);
    holds(
        r#"{"op":"in","type":"string","values":["a","c"]}"#,
        &[(r#""a""#, true), (r#""c""#, true), (r#""b""#, false), ("1", false)],
    );
    holds(
        r#"{"op":"in","type":"integer","values":[-3,5]}"#,
        &[("-3", true), ("5", true), ("0", false), ("5.0", false)],
    );
    holds(
        r#"{"op":"not_in","type":"string","values":["a"]}"#,
        &[(r#""b""#, true), (r#""a""#, false), ("1", false), ("null", false), (r#"["b"]"#, false), ("1.5", false)],
    );
    holds(
        r#"{"op":"not_in","type":"integer","values":[1]}"#,
        &[("2", true), ("1", false), ("1.0", false), ("2.5", false), (r#""b""#, false)],
    );
    holds(
        r#"{"op":"range","type":"integer","min":1,"max":3}"#,
        &[("1", true), ("3", true), ("0", false), ("4", false), ("2.0", false), (r#""2""#, false)],
    );
    holds(
        r#"{"op":"pat","type":"string","pattern":{"prefix":"/a"}}"#,
        &[(r#""/a""#, true), (r#""/a/b""#, true), (r#""/ab""#, false), (r#""/a/../b""#, false), (r#"["/a"]"#, false)],
    );
    holds(
        r#"{"op":"pat","type":"string","pattern":"any"}"#,
        &[(r#""a/b""#, true), (r#""""#, false), (r#""a//b""#, false), ("1", false)],
    );
    holds(
        r#"{"op":"subset","type":"list","of":"string","values":["a","b"]}"#,
        &[
            ("[]", true),
            (r#"["a"]"#, true),
            (r#"["b","a","b"]"#, true),
            (r#"["c"]"#, false),
            (r#"["a",1]"#, false),
            (r#""a""#, false),
            ("{}", false),
        ],
    );
    holds(
        r#"{"op":"subset","type":"list","of":"integer","values":[1]}"#,
        &[("[1,1]", true), ("[]", true), ("[1.0]", false), ("1", false)],
    );
    holds(
        r#"{"op":"maxlen","type":"string","bytes":2}"#,
        &[
            (r#""""#, true),
            (r#""ab""#, true),
            (r#""é""#, true),
            (r#""abc""#, false),
            (r#""éa""#, false),
            ("1", false),
            ("[]", false),
        ],
    );
}

#[test]
fn an_atom_prints_as_it_was_read() {
    for text in [
        r#"{"op":"eq","type":"string","value":"a"}"#,
        r#"{"op":"eq","type":"boolean","value":false}"#,
        r#"{"op":"eq","type":"integer","value":-1}"#,
        r#"{"op":"in","type":"string","values":["a","b"]}"#,
        r#"{"op":"in","type":"integer","values":[1,2]}"#,
        r#"{"op":"not_in","type":"string","values":["a"]}"#,
        r#"{"op":"not_in","type":"integer","values":[1]}"#,
        r#"{"op":"range","type":"integer","min":1,"max":1}"#,
        r#"{"op":"pat","type":"string","pattern":{"exact":"a"}}"#,
        r#"{"op":"subset","type":"list","of":"string","values":["a"]}"#,
        r#"{"op":"subset","type":"list","of":"integer","values":[1]}"#,
        r#"{"op":"maxlen","type":"string","bytes":0}"#,
    ] {
        assert_eq!(atom(text).value(), json(text));
    }
}

#[test]
fn what_is_no_atom_is_refused() {
    let many: Vec<String> = (0..257).map(|number| number.to_string()).collect();
    let many = format!(r#"{{"op":"in","type":"integer","values":[{}]}}"#, many.join(","));
    let long = format!(r#"{{"op":"eq","type":"string","value":"{}"}}"#, "a".repeat(1_025));
    let long_in = format!(r#"{{"op":"in","type":"string","values":["{}"]}}"#, "a".repeat(1_025));
    for text in [
        r#"{"op":"eq","type":"string","value":1}"#,
        r#"{"op":"eq","type":"integer","value":"1"}"#,
        r#"{"op":"eq","type":"boolean","value":1}"#,
        r#"{"op":"eq","type":"list","value":[]}"#,
        r#"{"op":"eq","type":"integer","value":1.5}"#,
        r#"{"op":"eq","type":"null","value":null}"#,
        r#"{"op":"eq","type":"string"}"#,
        r#"{"op":"eq","value":"a"}"#,
        r#"{"type":"string","value":"a"}"#,
        r#"{"op":"eq","type":"string","value":"a","x":1}"#,
        r#"{"op":"eq","type":"string","of":"string","value":"a"}"#,
        r#"{"op":"in","type":"string","values":[]}"#,
        r#"{"op":"in","type":"string","values":["b","a"]}"#,
        r#"{"op":"in","type":"string","values":["a","a"]}"#,
        r#"{"op":"in","type":"integer","values":[2,1]}"#,
        r#"{"op":"in","type":"integer","values":[1,1]}"#,
        r#"{"op":"in","type":"integer","values":[1,"a"]}"#,
        r#"{"op":"in","type":"boolean","values":[true]}"#,
        r#"{"op":"not_in","type":"string","values":[]}"#,
        r#"{"op":"not_in","type":"boolean","values":[true]}"#,
        r#"{"op":"range","type":"integer","min":2,"max":1}"#,
        r#"{"op":"range","type":"integer","min":1}"#,
        r#"{"op":"range","type":"string","min":1,"max":2}"#,
        r#"{"op":"range","type":"integer","min":1,"max":2.5}"#,
        r#"{"op":"pat","type":"integer","pattern":"any"}"#,
        r#"{"op":"pat","type":"string","pattern":"a"}"#,
        r#"{"op":"pat","type":"string","pattern":{"exact":"a/.."}}"#,
        r#"{"op":"subset","type":"string","of":"string","values":["a"]}"#,
        r#"{"op":"subset","type":"list","values":["a"]}"#,
        r#"{"op":"subset","type":"list","of":"boolean","values":[true]}"#,
        r#"{"op":"subset","type":"list","of":"string","values":[]}"#,
        r#"{"op":"maxlen","type":"string","bytes":-1}"#,
        r#"{"op":"maxlen","type":"string","bytes":1048577}"#,
        r#"{"op":"maxlen","type":"list","bytes":1}"#,
        r#"{"op":"like","type":"string","value":"a*"}"#,
        r#"{"op":"or","type":"string","values":["a"]}"#,
        "[]",
        "null",
        &many,
        &long,
        &long_in,
    ] {
        assert_eq!(Atom::parse(&json(text)).unwrap_err().code, Code::Malformed, "{text}");
    }
}

#[test]
fn strings_sort_bytewise_by_utf8() {
    // U+FB33 before U+1F600 in UTF-8, after it in UTF-16.
    atom("{\"op\":\"in\",\"type\":\"string\",\"values\":[\"B\",\"a\",\"\u{fb33}\",\"\u{1f600}\"]}");
    assert!(Atom::parse(&json("{\"op\":\"in\",\"type\":\"string\",\"values\":[\"\u{1f600}\",\"\u{fb33}\"]}")).is_err());
}

#[test]
fn a_large_set_has_all_its_members_and_no_other() {
    let text: Vec<String> = (10..50).map(|number| format!("\"m{number}\"")).collect();
    let set = atom(&format!(r#"{{"op":"in","type":"string","values":[{}]}}"#, text.join(",")));
    assert!(text.iter().all(|member| set.holds(&json(member))));
    for other in [r#""m09""#, r#""m50""#, r#""m1""#, r#""""#, r#""m101""#, "11"] {
        assert!(!set.holds(&json(other)), "{other}");
    }
}
