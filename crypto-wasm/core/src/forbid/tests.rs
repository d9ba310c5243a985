use super::*;
use crate::json;
use crate::lineage::fixture::{jkt, key, lineage, name as did_of};

fn rule(principal: &str, tool: &str, classes: &str) -> Forbid {
    let text = format!(r#"{{"id":"f","principal":"{principal}","tool":"{tool}","classes":[{classes}],"reason":"no"}}"#);
    Forbid::parse(&json::parse(text.as_bytes()).unwrap()).unwrap()
}

fn hits(rule: Forbid, links: u8) -> bool {
    Forbids::new(vec![rule]).hit(&lineage(links), "files/read", Class::Read).is_some()
}

#[test]
fn a_rule_follows_its_principal_through_delegation() {
    // Chain: 0 → 1 → 2 → 3. Whoever of them is forbidden, the leaf is, in every place and under every name.
    for n in 0..=3 {
        assert!(hits(rule(&did_of(n), "*", r#""read""#), 3), "{n}");
        assert!(hits(rule(&jkt(n), "*", r#""read""#), 3), "{n}");
        assert!(hits(rule(&did::did_jwk(&key(n)), "*", r#""read""#), 3), "the same key's other name");
    }
    assert!(!hits(rule(&did_of(4), "*", r#""read""#), 3));
    assert!(!hits(rule(&jkt(4), "*", r#""read""#), 3));
    // Delegating to a fresh key is no escape.
    assert!(hits(rule(&did_of(2), "*", r#""read""#), 2) && hits(rule(&did_of(2), "*", r#""read""#), 7));
}

#[test]
fn a_did_web_is_forbidden_by_its_name() {
    let mut chain = lineage(2);
    chain.links[1].iss = "did:web:a.example".into();
    let forbids = Forbids::new(vec![rule("did:web:a.example", "*", r#""read""#)]);
    assert!(forbids.hit(&chain, "files/read", Class::Read).is_some());
    assert!(forbids.hit(&lineage(2), "files/read", Class::Read).is_none());
}

#[test]
fn tool_and_class_must_fit() {
    for (tool, fits) in [
        ("*", true),
        ("files/*", true),
        ("files/read", true),
        ("file/*", false),
        ("mail/*", false),
        ("files/rea", false),
        ("files/Read", false),
    ] {
        assert_eq!(hits(rule("*", tool, r#""read""#), 1), fits, "{tool}");
    }
    assert!(!hits(rule("*", "*", r#""write","destructive","pay""#), 1));
    assert!(hits(rule("*", "*", r#""read","pay""#), 1));
}

#[test]
fn the_first_rule_that_fits_is_named() {
    let mut second = rule("*", "*", r#""read""#);
    second.id = "g".into();
    let forbids = Forbids::new(vec![rule(&did_of(9), "*", r#""read""#), second]);
    assert_eq!(forbids.hit(&lineage(1), "files/read", Class::Read).unwrap().id, "g");
}

#[test]
fn each_malformed_part_is_named() {
    let good = r#"{"id":"f","principal":"*","tool":"files/read","classes":["read"],"reason":"no"}"#;
    for (from, to, field) in [
        (r#""f""#, r#""F""#, "id"),
        (r#""*""#, r#""somebody""#, "principal"),
        (r#""*""#, r#""did:key:z""#, "principal"),
        (r#""files/read""#, r#""*/read""#, "tool"),
        (r#""files/read""#, r#""files""#, "tool"),
        (r#""files/read""#, r#""files/re*""#, "tool"),
        (r#""files/read""#, r#""Files/*""#, "tool"),
        (r#"["read"]"#, "[]", "classes"),
        (r#"["read"]"#, r#"["write","read"]"#, "classes"),
        (r#""no""#, r#""""#, "reason"),
        (r#"{"id""#, r#"{"x":1,"id""#, "x"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let error = Forbid::parse(&json::parse(bad.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field), "{bad}");
    }
}
