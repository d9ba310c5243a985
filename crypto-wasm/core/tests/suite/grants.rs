use talos_core::Code;
use talos_core::grant::{Grant, grants_value, parse_grants};
use talos_core::json::{Value, print};
use talos_core::limits::GRANTS;

use crate::support::{GRANT, grant, json, with};

fn refused(over: &str, field: &str) {
    let error = Grant::parse(&with(GRANT, over)).expect_err(over);
    assert_eq!((error.code, error.field.as_deref()), (Code::Malformed, Some(field)), "{over}");
}

#[test]
fn a_grant_prints_as_it_was_read() {
    let text = r#"{"tool":"fs/@prompt/x","classes":["write","pay"],"actions":["a","b"],"resource":{"prefix":"/a"},
        "args":{"p":[{"op":"maxlen","type":"string","bytes":3},{"op":"pat","type":"string","pattern":"any"}]},"closed":true}"#;
    assert_eq!(grant(text).value(), json(text));
    assert_eq!(grant(r#"{"actions":"*"}"#).value().get("actions"), Some(&Value::str("*")));
}

#[test]
fn every_member_is_required_and_no_other_allowed() {
    for member in ["tool", "classes", "actions", "resource", "args", "closed"] {
        refused(&format!("{{\"{member}\":null}}"), member);
    }
    refused(r#"{"note":"x"}"#, "note");
    refused(r#"{"closed":"true"}"#, "closed");
}

#[test]
fn a_tool_without_wildcards() {
    for tool in ["*", "fs/*", "fs", "FS/read", "fs/@all", "fs/@prompt/"] {
        refused(&format!(r#"{{"tool":"{tool}"}}"#), "tool");
    }
}

#[test]
fn classes_are_a_set_in_the_order_of_the_contract() {
    for classes in
        [r"[]", r#"["write","read"]"#, r#"["read","read"]"#, r#"["admin"]"#, "[1]", r#"["pay","destructive"]"#]
    {
        refused(&format!(r#"{{"classes":{classes}}}"#), "classes");
    }
    let all = r#"["read","write","destructive","pay"]"#;
    assert_eq!(grant(&format!(r#"{{"classes":{all}}}"#)).classes.value(), json(all));
}

#[test]
fn actions_are_any_or_a_sorted_set() {
    let many: Vec<String> = (10..27).map(|number| format!("\"a{number}\"")).collect();
    let many = format!("[{}]", many.join(","));
    for actions in [r"[]", r#"["b","a"]"#, r#"["a","a"]"#, r#"["*"]"#, r#"["Call"]"#, r#""call""#, "[1]", "{}", &many] {
        refused(&format!(r#"{{"actions":{actions}}}"#), "actions");
    }
    grant(&format!(r#"{{"actions":{}}}"#, many.replace(",\"a26\"", "")));
}

#[test]
fn arguments_and_their_atoms_are_bounded_and_ordered() {
    let max = |bytes: u32| format!(r#"{{"op":"maxlen","type":"string","bytes":{bytes}}}"#);
    let eq = r#"{"op":"eq","type":"string","value":"a"}"#;
    refused(r#"{"args":{"a":[]}}"#, "args.a");
    refused(r#"{"args":{"a":{}}}"#, "args.a");
    refused(r#"{"args":[]}"#, "args");
    refused(&format!(r#"{{"args":{{"a b":[{eq}]}}}}"#), "args.a b");
    refused(&format!(r#"{{"args":{{"a":[{},{eq}]}}}}"#, max(1)), "args.a");
    refused(&format!(r#"{{"args":{{"a":[{},{}]}}}}"#, max(1), max(2)), "args.a");
    let five = [
        eq,
        r#"{"op":"in","type":"string","values":["a"]}"#,
        &max(1),
        r#"{"op":"not_in","type":"string","values":["b"]}"#,
        r#"{"op":"pat","type":"string","pattern":"any"}"#,
    ];
    refused(&format!(r#"{{"args":{{"a":[{}]}}}}"#, five.join(",")), "args.a");
    grant(&format!(r#"{{"args":{{"a":[{}]}}}}"#, five[..4].join(",")));
    let args = |count: usize| {
        let members: Vec<String> = (0..count).map(|index| format!("\"a{index}\":[{eq}]")).collect();
        format!(r#"{{"args":{{{}}}}}"#, members.join(","))
    };
    grant(&args(16));
    refused(&args(17), "args");
}

#[test]
fn grants_are_counted_ordered_by_tool_and_distinct() {
    let list =
        |tools: &[&str]| Value::Arr(tools.iter().map(|tool| with(GRANT, &format!(r#"{{"tool":"{tool}"}}"#))).collect());
    let read = |value: &Value| parse_grants(value.as_arr().unwrap(), GRANTS);
    let ordered = list(&["a/x", "a/y", "b/a"]);
    assert_eq!(print(&grants_value(&read(&ordered).unwrap())), print(&ordered));
    for bad in [list(&[]), list(&["b/a", "a/x"]), list(&["a/x", "a/x"])] {
        assert_eq!(read(&bad).unwrap_err().field.as_deref(), Some("grants"));
    }
    // The same twice, with another between that has the same tool and in another order of members.
    let own = with(GRANT, "{}");
    let Value::Obj(mut members) = own.clone() else { panic!() };
    members.reverse();
    let apart = Value::Arr(vec![own, with(GRANT, r#"{"closed":true}"#), Value::Obj(members)]);
    assert_eq!(read(&apart).unwrap_err().code, Code::Malformed);
    let tools: Vec<String> = (100..165).map(|number| format!("a/t{number}")).collect();
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    assert!(read(&list(&tools[..64])).is_ok());
    assert_eq!(read(&list(&tools)).unwrap_err().code, Code::LimitExceeded);
}
