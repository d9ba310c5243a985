use talos_core::Code;
use talos_core::json::Value;
use talos_core::link::{Link, is_audience, is_uuid_v7};

use crate::support::{AUD, did_of, grant, json, root_claims};

fn claims(over: &str) -> Value {
    let Value::Obj(mut members) = root_claims(2, vec![grant("{}")]).value() else { panic!() };
    let Value::Obj(over) = json(over) else { panic!() };
    members.retain(|(name, _)| !over.iter().any(|(own, _)| own == name));
    members.extend(over.into_iter().filter(|(_, value)| *value != Value::Null));
    Value::Obj(members)
}

#[track_caller]
fn refused(over: &str, code: Code, field: &str) {
    let error = Link::parse(&claims(over)).expect_err(over);
    assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{over}");
}

#[test]
fn claims_print_as_they_were_read() {
    let mut link = root_claims(2, vec![grant("{}")]);
    assert_eq!(Link::parse(&link.value()).unwrap(), link);
    link.par = Some("A".repeat(43));
    assert_eq!(Link::parse(&link.value()).unwrap(), link);
}

#[test]
fn every_claim_but_par_is_required_and_no_other_allowed() {
    for name in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "cnf", "ep", "depth", "grants"] {
        refused(&format!("{{\"{name}\":null}}"), Code::Malformed, name);
    }
    refused(r#"{"note":"x"}"#, Code::Malformed, "note");
}

#[test]
fn each_claim_has_its_shape() {
    let did = did_of(2);
    for (over, field) in [
        (r#"{"iss":"alice"}"#.to_owned(), "iss"),
        (format!(r#"{{"sub":"{did}#key"}}"#), "sub"),
        (r#"{"jti":"01890a5d-ac96-474b-bcce-b302099a8057"}"#.into(), "jti"),
        (r#"{"ep":-1}"#.into(), "ep"),
        (r#"{"ep":2147483648}"#.into(), "ep"),
        (r#"{"ep":0.0}"#.into(), "ep"),
        (r#"{"depth":-1}"#.into(), "depth"),
        (r#"{"par":"abc"}"#.into(), "par"),
        (r#"{"par":7}"#.into(), "par"),
        (r#"{"iat":-1}"#.into(), "iat"),
        (r#"{"iat":"1"}"#.into(), "iat"),
        (r#"{"exp":4102444801}"#.into(), "exp"),
        (r#"{"cnf":{}}"#.into(), "cnf"),
        (r#"{"cnf":{"jwk":{}}}"#.into(), "cnf"),
        (r#"{"grants":[]}"#.into(), "grants"),
        (r#"{"grants":{}}"#.into(), "grants"),
    ] {
        refused(&over, Code::Malformed, field);
    }
    let Value::Obj(cnf) = claims("{}").get("cnf").unwrap().clone() else { panic!() };
    let mut more = cnf.clone();
    more.push(("kid".into(), Value::str("k")));
    let mut link = claims(r#"{"cnf":null}"#);
    let Value::Obj(members) = &mut link else { panic!() };
    members.push(("cnf".into(), Value::Obj(more)));
    assert_eq!(Link::parse(&link).unwrap_err().field.as_deref(), Some("cnf"));
}

#[test]
fn an_epoch_and_a_depth_end_where_the_contract_says() {
    assert_eq!(Link::parse(&claims(r#"{"ep":2147483647,"depth":7}"#)).unwrap().ep, 2_147_483_647);
    refused(r#"{"depth":8}"#, Code::LimitExceeded, "depth");
}

#[test]
fn a_life_is_not_empty_and_not_longer_than_the_contract_says() {
    refused(r#"{"nbf":2000,"exp":2000}"#, Code::Malformed, "exp");
    refused(r#"{"nbf":2001,"exp":2000}"#, Code::Malformed, "exp");
    refused(r#"{"nbf":0,"exp":34560001}"#, Code::Malformed, "exp");
    assert!(Link::parse(&claims(r#"{"nbf":0,"exp":34560000}"#)).is_ok());
    assert!(Link::parse(&claims(r#"{"nbf":1999,"exp":2000}"#)).is_ok());
}

#[test]
fn audiences_are_a_sorted_set_of_tenants() {
    let other = "https://talos.example/t/x";
    refused(r#"{"aud":[]}"#, Code::Malformed, "aud");
    refused(&format!(r#"{{"aud":["{other}","{AUD}"]}}"#), Code::Malformed, "aud");
    refused(&format!(r#"{{"aud":["{AUD}","{AUD}"]}}"#), Code::Malformed, "aud");
    refused(r#"{"aud":["talos"]}"#, Code::Malformed, "aud");
    refused(r#"{"aud":[1]}"#, Code::Malformed, "aud");
    refused(&format!(r#"{{"aud":"{AUD}"}}"#), Code::Malformed, "aud");
    let many = |count: usize| {
        let all: Vec<String> = (0..count).map(|index| format!("\"https://talos.example/t/a{index}\"")).collect();
        format!(r#"{{"aud":[{}]}}"#, all.join(","))
    };
    assert!(Link::parse(&claims(&many(8))).is_ok());
    refused(&many(9), Code::LimitExceeded, "aud");
    assert!(is_audience("http://127.0.0.1:8787/t/default") && is_audience(&format!("https://h/t/{}", "a".repeat(63))));
    for text in [
        "",
        "https://h",
        "https://h/t/",
        "https://h/t/A",
        "https://h/x/t/a",
        "https://h/t/a/",
        "ftp://h/t/a",
        "https:///t/a",
        "https://h h/t/a",
        "https://h?/t/a",
        "https://h#/t/a",
        "https://h/t/-a",
    ] {
        assert!(!is_audience(text), "{text}");
    }
    assert!(
        !is_audience(&format!("https://h/t/{}", "a".repeat(64)))
            && !is_audience(&format!("https://{}/t/a", "h".repeat(440)))
    );
}

#[test]
fn a_uuid_of_version_7_is_lower_case() {
    assert!(is_uuid_v7("01890a5d-ac96-774b-bcce-b302099a8057"));
    for text in [
        "01890A5D-ac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-674b-bcce-b302099a8057",
        "01890a5d-ac96-774b-ccce-b302099a8057",
        "01890a5dac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a80577",
        "01890a5d-ac96-774b-bcce_b302099a8057",
        "",
    ] {
        assert!(!is_uuid_v7(text), "{text}");
    }
}

#[test]
fn a_link_that_was_made_and_not_read_keeps_the_same_rules() {
    let good = || root_claims(2, vec![grant("{}"), grant(r#"{"tool":"fs/write"}"#)]);
    assert!(good().check().is_ok());
    let mut crowded = good();
    crowded.aud = (0..9).map(|tenant| format!("https://talos.example/t/{tenant}")).collect();
    assert_eq!(crowded.check().unwrap_err().code, Code::LimitExceeded);
    let mut unordered = good();
    unordered.grants.reverse();
    assert_eq!(unordered.check().unwrap_err().field.as_deref(), Some("grants"));
}
