use talos_core::decide::{Args, Decision, Need, Resource, decide, names, names_resource, on_server};
use talos_core::grant::{Class, Grant, parse_grants};
use talos_core::json::Value;
use talos_core::{Code, Error};

use crate::support::{GRANT, grant, json, with};

fn grants(overs: &[&str]) -> Vec<Grant> {
    let items: Vec<Value> = overs.iter().map(|over| with(GRANT, over)).collect();
    parse_grants(&items, 64).unwrap()
}

const BASE: Need<'static> =
    Need { tool: "fs/read", class: Class::Read, action: "call", resource: Resource::None, args: Args::EMPTY };

#[track_caller]
fn refused(overs: &[&str], need: &Need<'_>, code: Code, at: usize, field: &str) {
    let decision = Decision::of_leaf(&grants(overs), need, 3);
    let seen = (decision.code, decision.link, decision.grant, decision.field.as_deref());
    assert_eq!(seen, (code, Some(3), Some(at), Some(field)));
    assert!(!decision.allow());
}

#[test]
fn a_request_that_fits_one_grant_is_allowed() {
    let all = grants(&[r#"{"tool":"a/x"}"#, r#"{"classes":["pay"]}"#, "{}", r#"{"tool":"z/x"}"#]);
    assert_eq!(decide(&all, &BASE), Ok(2));
    assert_eq!(Decision::of_leaf(&all, &BASE, 0), Decision::ALLOW);
    assert!(Decision::ALLOW.allow());
    assert_eq!(Decision::ALLOW.value(true), json(r#"{"allow":true,"code":"OK"}"#));
}

#[test]
fn each_field_that_does_not_fit_has_its_code_and_name() {
    refused(&[r#"{"tool":"fs/readx"}"#, r#"{"tool":"other/read"}"#], &BASE, Code::ScopeMismatch, 0, "tool");
    refused(&[r#"{"classes":["write","destructive","pay"]}"#], &BASE, Code::ClassMismatch, 0, "class");
    refused(&[r#"{"actions":["list"]}"#], &BASE, Code::ScopeMismatch, 0, "action");
    refused(&[r#"{"resource":{"prefix":"a"}}"#], &BASE, Code::ScopeMismatch, 0, "resource");
    refused(
        &[r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#],
        &BASE,
        Code::ArgumentMismatch,
        0,
        "args.p",
    );
    let args = json(r#"{"q":1,"b":2}"#);
    let need = Need { args: Args::new(args.as_obj().unwrap()), ..BASE };
    refused(&[r#"{"closed":true}"#], &need, Code::ArgumentMismatch, 0, "closed.b");
    assert!(decide(&[grant("{}")], &need).is_ok(), "an open grant allows what it does not name");
}

#[test]
fn a_tool_of_the_same_name_on_another_server_is_another_tool() {
    refused(&[r#"{"tool":"fs/read"}"#], &Need { tool: "fs2/read", ..BASE }, Code::ScopeMismatch, 0, "tool");
    refused(&[r#"{"tool":"fs/read"}"#], &Need { tool: "fs/Read", ..BASE }, Code::ScopeMismatch, 0, "tool");
}

#[test]
fn the_class_is_one_of_the_grants() {
    for class in Class::ALL {
        for granted in Class::ALL {
            let all = [grant(&format!(r#"{{"classes":["{}"]}}"#, granted.as_str()))];
            assert_eq!(decide(&all, &Need { class, ..BASE }).is_ok(), class == granted);
        }
    }
}

#[test]
fn a_resource_is_asked_for_when_the_tool_has_one() {
    let any = [grant("{}")];
    let prefix = [grant(r#"{"resource":{"prefix":"/a"}}"#)];
    let at = |grants: &[Grant], resource| decide(grants, &Need { resource, ..BASE }).is_ok();
    assert!(at(&any, Resource::None) && at(&any, Resource::Path("/b")));
    assert!(!at(&any, Resource::Bad), "`any` does not hold of a value that is no path");
    assert!(!at(&prefix, Resource::None) && !at(&prefix, Resource::Bad) && !at(&prefix, Resource::Path("/b")));
    assert!(at(&prefix, Resource::Path("/a/c")));
    for named in [None, Some("1"), Some(r#""/a/../b""#), Some("null"), Some(r#""""#)] {
        let value = named.map(json);
        assert_eq!(Resource::required(value.as_ref()), Resource::Bad, "{named:?}");
    }
    let value = json(r#""/a/b""#);
    assert_eq!(Resource::required(Some(&value)), Resource::Path("/a/b"));
}

#[test]
fn every_atom_of_every_named_argument_must_hold() {
    let all = [grant(
        r#"{"args":{"n":[{"op":"range","type":"integer","min":1,"max":9}],
            "p":[{"op":"maxlen","type":"string","bytes":4},{"op":"pat","type":"string","pattern":{"prefix":"a"}}]}}"#,
    )];
    for (args, expected) in [
        (r#"{"n":1,"p":"a/b"}"#, None),
        (r#"{"p":"a/b","n":9,"x":[]}"#, None),
        (r#"{"n":1,"p":"a/bcd"}"#, Some("args.p")),
        (r#"{"n":1,"p":"b"}"#, Some("args.p")),
        (r#"{"n":1}"#, Some("args.p")),
        (r#"{"p":"a"}"#, Some("args.n")),
        (r#"{"n":1.0,"p":"a"}"#, Some("args.n")),
        (r#"{"n":0,"p":"b"}"#, Some("args.n")),
    ] {
        let args = json(args);
        let need = Need { args: Args::new(args.as_obj().unwrap()), ..BASE };
        let decision = Decision::of_leaf(&all, &need, 0);
        assert_eq!(decision.field.as_deref(), expected, "{args:?}");
    }
}

#[test]
fn a_closed_grant_refuses_what_it_does_not_name() {
    let all = [grant(r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":4}]},"closed":true}"#)];
    for (args, expected) in [
        (r#"{"p":"a"}"#, None),
        (r#"{"p":"a","q":1}"#, Some("closed.q")),
        (r#"{"q":1}"#, Some("args.p")),
        ("{}", Some("args.p")),
    ] {
        let args = json(args);
        let need = Need { args: Args::new(args.as_obj().unwrap()), ..BASE };
        assert_eq!(Decision::of_leaf(&all, &need, 0).field.as_deref(), expected);
    }
}

#[test]
fn the_nearest_grant_is_the_one_that_fails_last_and_then_first() {
    let class = r#"{"classes":["pay"]}"#;
    let action = r#"{"actions":["list"]}"#;
    let resource = r#"{"resource":{"exact":"a"}}"#;
    let arg = r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#;
    let other = r#"{"tool":"a/x"}"#;
    refused(&[other, class], &BASE, Code::ClassMismatch, 1, "class");
    refused(&[other, action, class], &BASE, Code::ScopeMismatch, 1, "action");
    refused(&[class, action, resource], &BASE, Code::ScopeMismatch, 2, "resource");
    refused(&[arg, class, action, resource], &BASE, Code::ArgumentMismatch, 0, "args.p");
    let second = r#"{"args":{"a":[{"op":"maxlen","type":"string","bytes":1}]}}"#;
    refused(&[class, arg, second], &BASE, Code::ArgumentMismatch, 1, "args.p");
    refused(&[class, second, arg], &BASE, Code::ArgumentMismatch, 1, "args.a");
    // A closed grant's unnamed argument is as near as a named one that fails: the first of them.
    let args = json(r#"{"q":1}"#);
    let need = Need { args: Args::new(args.as_obj().unwrap()), ..BASE };
    refused(&[arg, r#"{"closed":true}"#], &need, Code::ArgumentMismatch, 0, "args.p");
    refused(&[r#"{"closed":true}"#, arg], &need, Code::ArgumentMismatch, 0, "closed.q");
}

#[test]
fn need_is_shown_to_the_holder_with_the_one_argument_at_fault() {
    let all = [grant(r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#)];
    let decide = |args: &str| {
        let args = json(args);
        let need = Need { args: Args::new(args.as_obj().unwrap()), resource: Resource::Path("a"), ..BASE };
        Decision::of_leaf(&all, &need, 1)
    };
    let decision = decide(r#"{"p":"long","secret":"x"}"#);
    let expected = r#"{"allow":false,"code":"ARGUMENT_MISMATCH","link":1,"grant":0,"field":"args.p",
        "need":{"tool":"fs/read","class":"read","action":"call","resource":"a","args":{"p":"long"}}}"#;
    assert_eq!(decision.value(true), json(expected));
    assert_eq!(decision.value(false).get("need"), None);
    assert_eq!(decide("{}").need.unwrap().get("args"), None);
    let long = format!(r#"{{"p":"{}"}}"#, "x".repeat(1_023));
    assert_eq!(decide(&long).need.unwrap().get("args"), None, "longer than 1,024 bytes as JSON");
    let fits = format!(r#"{{"p":"{}"}}"#, "x".repeat(1_022));
    assert!(decide(&fits).need.unwrap().get("args").is_some());
}

#[test]
fn an_error_becomes_a_refusal_and_never_an_answer_that_allows() {
    let decision = Decision::from(Error::new(Code::Expired, "x").in_link(2).at("exp"));
    assert_eq!(decision.value(true), json(r#"{"allow":false,"code":"EXPIRED","link":2,"field":"exp"}"#));
    assert!(!Decision::from(Error::new(Code::Ok, "x")).allow());
}

#[test]
fn lists_show_what_a_grant_names() {
    let all = grants(&[
        r#"{"tool":"fs/@resource","actions":["read"],"resource":{"prefix":"file/-/a"}}"#,
        r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#,
    ]);
    assert!(names(&all, "fs/read", Class::Read, "call"), "arguments are left aside");
    assert!(!names(&all, "fs/read", Class::Write, "call") && !names(&all, "fs/read", Class::Read, "get"));
    assert!(!names(&all, "fs/rea", Class::Read, "call") && !names(&all, "fs/reads", Class::Read, "call"));
    let shown = |path| names_resource(&all, "fs/@resource", Class::Read, "read", Resource::Path(path));
    assert!(shown("file/-/a/b") && !shown("file/-/b"));
    assert!(!names_resource(&all, "fs/@resource", Class::Write, "read", Resource::Path("file/-/a")));
    assert!(
        on_server(&all, "fs")
            && !on_server(&all, "f")
            && !on_server(&all, "fs/")
            && !on_server(&all, "other")
            && !on_server(&all, "")
    );
}

#[test]
fn many_arguments_and_many_grants_do_not_cost_their_product() {
    let over: Vec<String> = (0..64)
        .map(|index| format!(r#"{{"closed":true,"args":{{"a{index}":[{{"op":"eq","type":"integer","value":1}}]}}}}"#))
        .collect();
    let all = grants(&over.iter().map(String::as_str).collect::<Vec<_>>());
    let members: Vec<(String, Value)> = (0..100_000).map(|index| (format!("b{index}"), Value::Int(1))).collect();
    let need = Need { args: Args::new(&members), ..BASE };
    assert!(decide(&all, &need).is_err());
}

#[test]
fn an_argument_is_found_among_few_and_among_many() {
    let all = [grant(r#"{"args":{"m5":[{"op":"eq","type":"integer","value":5}]}}"#)];
    for count in [6, 8, 9, 40] {
        let members: Vec<(String, Value)> =
            (0..count).rev().map(|index| (format!("m{index}"), Value::Int(index))).collect();
        let need = Need { args: Args::new(&members), ..BASE };
        assert!(decide(&all, &need).is_ok(), "{count}");
        assert_eq!(need.args.get("m"), None);
        let without: Vec<(String, Value)> = members.iter().filter(|(name, _)| name != "m5").cloned().collect();
        assert!(decide(&all, &Need { args: Args::new(&without), ..BASE }).is_err(), "{count}");
    }
}
