use super::*;
use crate::json;
use crate::lineage::fixture::name as did_of;

const EXACT: &str = r#"{"type":"tool","attributes":{"server":"files","tool":"files/read"}}"#;

fn scope(text: &str) -> Result<Scope, Error> {
    Scope::parse(&json::parse(text.as_bytes()).unwrap())
}

fn binding(id: &str, role: &str, principal: &str, scope: &str) -> Binding {
    Binding {
        id: id.into(),
        role: role.into(),
        principal: principal.into(),
        scope: super::tests::scope(scope).unwrap(),
    }
}

fn roles(bindings: Vec<Binding>) -> Roles {
    let role = |id: &str| Role { id: id.into(), grants: vec![] };
    Roles::new(vec![role("a"), role("b")], bindings).unwrap()
}

/// The id of the binding that is effective for a call of `files/read` by actor 1.
fn effective(bindings: Vec<Binding>) -> Option<String> {
    let attributes = [("server", "files"), ("tool", "files/read")];
    roles(bindings).effective(&did_of(1), "tool", &attributes).map(|binding| binding.id.clone())
}

#[test]
fn specificity_is_two_for_equal_one_for_any_and_nothing_for_global() {
    let of = |text: &str, kind: &str, attributes: &[(&str, &str)]| scope(text).unwrap().specificity(kind, attributes);
    let request = [("server", "files"), ("tool", "files/read")];
    assert_eq!(of(r#"{"type":"global"}"#, "tool", &request), Some(0));
    assert_eq!(of(EXACT, "tool", &request), Some(4));
    assert_eq!(of(r#"{"type":"tool","attributes":{"server":"files","tool":"*"}}"#, "tool", &request), Some(3));
    assert_eq!(of(r#"{"type":"tool","attributes":{"server":"*"}}"#, "tool", &request), Some(1));
    assert_eq!(of(r#"{"type":"tool","attributes":{"server":"mail"}}"#, "tool", &request), None);
    assert_eq!(of(r#"{"type":"tool","attributes":{"region":"*"}}"#, "tool", &request), None, "absent is not any");
    assert_eq!(of(EXACT, "team", &request), None);
    // A request cannot become every value by asking for `*`.
    assert_eq!(of(EXACT, "tool", &[("server", "*"), ("tool", "*")]), None);
}

#[test]
fn the_most_specific_binding_is_effective() {
    let me = did_of(1);
    let global = || binding("1", "a", &me, r#"{"type":"global"}"#);
    let server = || binding("2", "a", "*", r#"{"type":"tool","attributes":{"server":"files"}}"#);
    let exact = || binding("3", "b", "*", EXACT);
    assert_eq!(effective(vec![]), None);
    assert_eq!(effective(vec![global()]).as_deref(), Some("1"));
    assert_eq!(effective(vec![global(), server()]).as_deref(), Some("2"));
    assert_eq!(effective(vec![exact(), global(), server()]).as_deref(), Some("3"));
    assert_eq!(effective(vec![binding("1", "a", &did_of(2), r#"{"type":"global"}"#)]), None);
}

#[test]
fn ties_go_to_the_lowest_id_bytewise_whomever_it_names() {
    let me = did_of(1);
    for (first, second) in [("a", "b"), ("a-1", "a1"), ("10", "9")] {
        let named = vec![binding(second, "a", &me, EXACT), binding(first, "b", "*", EXACT)];
        assert_eq!(effective(named).as_deref(), Some(first));
        let everyone = vec![binding(first, "a", &me, EXACT), binding(second, "b", "*", EXACT)];
        assert_eq!(effective(everyone).as_deref(), Some(first));
    }
}

#[test]
fn a_message_to_the_server_fits_only_bindings_without_a_tool() {
    let tool = roles(vec![binding("1", "a", "*", EXACT)]);
    assert!(tool.for_tool(&did_of(1), "files/read").is_some());
    assert!(tool.for_tool(&did_of(1), "files/write").is_none());
    assert!(tool.for_server(&did_of(1), "files").is_none());
    let server = roles(vec![binding("1", "a", "*", r#"{"type":"tool","attributes":{"server":"files"}}"#)]);
    assert!(server.for_server(&did_of(1), "files").is_some());
    assert!(server.for_server(&did_of(1), "mail").is_none());
}

#[test]
fn each_malformed_part_is_named() {
    let binding =
        |text: &str| Binding::parse(&json::parse(text.as_bytes()).unwrap()).unwrap_err().field.clone().unwrap();
    let good = r#"{"id":"b","role":"a","principal":"*","scope":{"type":"global"}}"#;
    for (from, to, field) in [
        (r#""id":"b""#, r#""id":"B""#, "id"),
        (r#""id":"b""#, r#""id":"""#, "id"),
        (r#""role":"a""#, r#""role":1"#, "role"),
        (r#""*""#, r#""somebody""#, "principal"),
        (r#""*""#, r#""did:key:z1""#, "principal"),
        (r#"{"type":"global"}"#, r#"{"type":"global","attributes":{}}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"tool"}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"tool","attributes":{}}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"tool","attributes":{"a":""}}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"tool","attributes":{"A":"x"}}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"tool","attributes":{"a":1}}"#, "scope.attributes"),
        (r#"{"type":"global"}"#, r#"{"type":"T"}"#, "scope.type"),
        (r#"{"type":"global"}"#, r#""global""#, "scope"),
        (r#"{"id""#, r#"{"x":1,"id""#, "x"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert_eq!(binding(&bad), field, "{bad}");
    }
}
