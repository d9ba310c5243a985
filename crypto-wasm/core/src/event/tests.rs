use proptest::prelude::*;

use super::*;

const ID: &str = "0190a5e0-7c3a-7000-8000-000000000001";

fn event(meta: &str) -> Value {
    let text = format!(
        r#"{{"schema_id":"talos.audit_event","schema_version":"v2","event_id":"{ID}","kind":"decision",
        "ts":"2026-01-01T00:00:00.000Z","tenant":"default","request_id":"{ID}","surface_id":"mcp.post",
        "audit_action":"mcp.call","principal":{{}},"meta":{meta}}}"#
    );
    json::parse(text.as_bytes()).unwrap()
}

fn with(name: &str, value: Option<Value>) -> Value {
    let Value::Obj(mut members) = event("{}") else { panic!("not an object") };
    members.retain(|(member, _)| member != name);
    members.extend(value.map(|value| (name.to_owned(), value)));
    Value::Obj(members)
}

fn refused(event: &Value) -> String {
    let error = seal(event).unwrap_err();
    assert_eq!(error.code, Code::ContractInvalid);
    error.field.clone().unwrap()
}

fn meta_of(sealed: &Sealed) -> Value {
    json::parse(sealed.body.as_bytes()).unwrap().get("meta").unwrap().clone()
}

#[test]
fn a_sealed_event_is_its_own_leaf() {
    let sealed = seal(&event(r#"{"mcp_method":"tools/call"}"#)).unwrap();
    assert_eq!(sealed.event_id, ID);
    let body = json::parse(sealed.body.as_bytes()).unwrap();
    assert_eq!(json::print(&body), sealed.body);
    assert_eq!(body.get("event_hash").and_then(Value::as_str), Some(sealed.event_hash.as_str()));
    assert_eq!(event_hash(&body).unwrap(), sealed.event_hash, "the hash leaves itself out");
    let mut leaf = vec![0];
    leaf.extend(sealed.body.as_bytes());
    assert_eq!(sealed.leaf_hash, sha256(&leaf));
    assert_eq!(meta_of(&sealed), json::parse(br#"{"mcp_method":"tools/call"}"#).unwrap());
}

#[test]
fn what_the_surface_does_not_allow_is_removed_visibly() {
    let sealed = seal(&event(r#"{"zeta":1,"mcp_name":"read","authorization":"secret"}"#)).unwrap();
    assert!(!sealed.body.contains("secret"));
    let expected = br#"{"mcp_name":"read","meta_redacted_keys":"authorization, zeta","meta_redaction_applied":true}"#;
    assert_eq!(json::print(&meta_of(&sealed)).as_bytes(), expected);
}

#[test]
fn nobody_claims_that_something_else_was_removed() {
    let claimed = seal(&event(r#"{"meta_redaction_applied":false,"meta_redacted_keys":"none"}"#)).unwrap();
    let meta = meta_of(&claimed);
    assert_eq!(meta.get(REDACTED), Some(&Value::Bool(true)));
    assert_eq!(meta.get(REDACTED_KEYS), Some(&Value::str("meta_redacted_keys, meta_redaction_applied")));
}

#[test]
fn a_flood_of_names_stays_bounded() {
    let names: Vec<String> = (0..400).map(|n| format!("\"name-{n}-é\":1")).collect();
    let meta = meta_of(&seal(&event(&format!("{{{}}}", names.join(",")))).unwrap());
    assert_eq!(meta.get(REDACTED), Some(&Value::Bool(true)));
    assert!(meta.get(REDACTED_KEYS).and_then(Value::as_str).unwrap().len() <= META_STRING_BYTES);
}

#[test]
fn what_is_no_scalar_is_refused() {
    for value in ["[]", "{}"] {
        assert_eq!(refused(&event(&format!(r#"{{"mcp_name":{value}}}"#))), "meta.mcp_name");
    }
    assert_eq!(refused(&event(r#"{"mcp_name":null}"#)), "meta.mcp_name");
    assert_eq!(refused(&event(r#"{"mcp_name":1.5}"#)), "meta.mcp_name");
    let long = format!(r#"{{"mcp_name":"{}"}}"#, "a".repeat(META_STRING_BYTES + 1));
    assert_eq!(refused(&event(&long)), "meta.mcp_name");
}

#[test]
fn each_part_that_is_not_right_is_named() {
    assert_eq!(refused(&Value::Null), "event");
    assert_eq!(refused(&with("schema_id", None)), "schema_id");
    assert_eq!(refused(&with("schema_id", Some(Value::str("other")))), "schema_id");
    assert_eq!(refused(&with("schema_version", Some(Value::str("v1")))), "schema_version");
    assert_eq!(refused(&with("event_id", Some(Value::str("x")))), "event_id");
    assert_eq!(refused(&with("surface_id", Some(Value::str("mcp.none")))), "surface_id");
    assert_eq!(refused(&with("meta", None)), "meta");
    assert_eq!(refused(&with("event_hash", Some(Value::str("0")))), "event_hash");
    assert_eq!(refused(&with("outcome", Some(Value::Null))), "event");
    assert_eq!(refused(&with("http", Some(Value::obj([("status_code", Value::Float(200.5))])))), "event");
}

#[test]
fn a_leaf_has_a_bound() {
    let of = |bytes: usize| seal(&with("audit_action", Some(Value::Str("a".repeat(bytes)))));
    let frame = of(0).unwrap().body.len();
    assert_eq!(of(EVENT_BYTES - frame).unwrap().body.len(), EVENT_BYTES);
    assert_eq!(of(EVENT_BYTES - frame + 1).unwrap_err().code, Code::LimitExceeded);
}

proptest! {
    #[test]
    fn no_event_panics(text in any::<String>(), name in "[a-z_]{0,20}", value in any::<i64>()) {
        if let Ok(value) = json::parse(text.as_bytes()) {
            let _ = seal(&value);
            let _ = event_hash(&value);
        }
        let _ = seal(&with(&name, Some(Value::Int(value))));
    }
}
