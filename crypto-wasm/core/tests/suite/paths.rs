use talos_core::Code;
use talos_core::path::{Pattern, from_uri, is_path};

use crate::support::json;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(&json(text)).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_path_is_what_can_be_read_in_one_way_only() {
    for path in ["a", "/a", "a/b", "/a/b.txt", "...", ".a", "é/ü", "a b", "a:b", "~", "*", "a/-/b", "A", "a?b#c"] {
        assert!(is_path(path), "{path:?}");
    }
    for path in [
        "", "/", "//", "//a", "a/", "/a/", "a//b", ".", "..", "/.", "/..", "a/.", "a/..", "../a", "./a", "a/./b",
        "a/../b", "%", "a%2fb", "a\\b", "\\", "a\0b", "\n", "a\tb", "a\u{7f}", "a\u{85}b",
    ] {
        assert!(!is_path(path), "{path:?}");
    }
}

#[test]
fn a_path_is_bounded_in_bytes_and_segments() {
    assert!(is_path(&"a".repeat(1_024)) && !is_path(&"a".repeat(1_025)));
    assert!(is_path(&"é".repeat(512)) && !is_path(&"é".repeat(513)), "bytes, not characters");
    let segments = |count: usize| vec!["a"; count].join("/");
    assert!(is_path(&segments(64)) && !is_path(&segments(65)));
    assert!(is_path(&format!("/{}", segments(64))) && !is_path(&format!("/{}", segments(65))));
}

#[test]
fn a_pattern_is_one_of_three_forms() {
    for text in [
        r#""all""#,
        r#""*""#,
        "null",
        "{}",
        r#"{"prefix":"a","exact":"a"}"#,
        r#"{"prefix":"a","x":1}"#,
        r#"{"exact":"/"}"#,
        r#"{"exact":""}"#,
        r#"{"prefix":""}"#,
        r#"{"prefix":"a/"}"#,
        r#"{"prefix":"/.."}"#,
        r#"{"exact":"a/../b"}"#,
        r#"{"prefix":3}"#,
        r#"{"any":"a"}"#,
        r#"{"exact":null,"prefix":"a"}"#,
    ] {
        assert_eq!(Pattern::parse(&json(text)).unwrap_err().code, Code::Malformed, "{text}");
    }
    for text in [r#""any""#, r#"{"prefix":"/"}"#, r#"{"prefix":"/a/b"}"#, r#"{"exact":"a"}"#] {
        assert_eq!(pattern(text).value(), json(text));
    }
}

#[test]
fn a_prefix_matches_by_whole_segments_and_absolute_is_not_relative() {
    let prefix = pattern(r#"{"prefix":"/a/b"}"#);
    for (path, matched) in [
        ("/a/b", true),
        ("/a/b/c", true),
        ("/a/b/c/d", true),
        ("/a/bc", false),
        ("/a", false),
        ("a/b", false),
        ("a/b/c", false),
        ("/A/b", false),
        ("/a/b/../c", false),
        ("/a/b/", false),
        ("/a/b/%2e", false),
        ("", false),
    ] {
        assert_eq!(prefix.matches(path), matched, "{path}");
    }
    let absolute = pattern(r#"{"prefix":"/"}"#);
    assert!(absolute.matches("/a") && absolute.matches("/a/b") && !absolute.matches("a") && !absolute.matches("/"));
    let relative = pattern(r#"{"prefix":"a"}"#);
    assert!(relative.matches("a") && relative.matches("a/b") && !relative.matches("/a") && !relative.matches("ab"));
    let exact = pattern(r#"{"exact":"/a/b"}"#);
    assert!(exact.matches("/a/b") && !exact.matches("/a/b/c") && !exact.matches("/a") && !exact.matches("a/b"));
    assert!(
        Pattern::Any.matches("a")
            && Pattern::Any.matches("/a")
            && !Pattern::Any.matches("/a/..")
            && !Pattern::Any.matches("")
    );
}

#[test]
fn patterns_contain_by_the_four_rules_and_no_other() {
    let all = [
        r#""any""#,
        r#"{"prefix":"/"}"#,
        r#"{"prefix":"/a"}"#,
        r#"{"prefix":"/a/b"}"#,
        r#"{"prefix":"a"}"#,
        r#"{"prefix":"/ab"}"#,
        r#"{"exact":"/a"}"#,
        r#"{"exact":"/a/b"}"#,
        r#"{"exact":"a"}"#,
        r#"{"exact":"/ab"}"#,
    ];
    // Row by row: which of `all`, by index, the pattern contains.
    let contained: [&[usize]; 10] = [
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        &[1, 2, 3, 5, 6, 7, 9],
        &[2, 3, 6, 7],
        &[3, 7],
        &[4, 8],
        &[5, 9],
        &[6],
        &[7],
        &[8],
        &[9],
    ];
    for (parent, expected) in all.iter().zip(contained) {
        for (index, child) in all.iter().enumerate() {
            assert_eq!(pattern(parent).contains(&pattern(child)), expected.contains(&index), "{child} in {parent}");
        }
    }
}

#[test]
fn a_resource_uri_becomes_a_path() {
    for (uri, path) in [
        ("demo://resource/static/1", "demo/resource/static/1"),
        ("file:///etc/hosts", "file/-/etc/hosts"),
        ("urn:isbn:1", "urn/-/isbn:1"),
        ("https://a.example:8080/x", "https/a.example:8080/x"),
        ("demo://host", "demo/host"),
        ("a+b.c-d://h/P", "a+b.c-d/h/P"),
    ] {
        assert_eq!(from_uri(uri).unwrap(), path);
    }
    for uri in [
        "",
        "nocolon",
        "://a",
        "1a://b",
        "Demo://a/b",
        "demo://Host/a",
        "demo://a/b?c",
        "demo://a/b#c",
        "demo://a/../b",
        "demo://a/%2e%2e",
        "demo://a//b",
        "demo://a/b/",
        "demo://-/a",
        "demo://a\\b/c",
        "demo://../a",
        "a_b://c/d",
    ] {
        assert_eq!(from_uri(uri).unwrap_err().code, Code::Malformed, "{uri}");
    }
}
