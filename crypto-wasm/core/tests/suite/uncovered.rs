//! Where a child that is not contained fails.

use talos_core::contain::{Uncovered, contains};

use crate::support::grant;

#[track_caller]
fn fails(parents: &[&str], child: &str, field: &str) {
    let parents: Vec<_> = parents.iter().map(|over| grant(over)).collect();
    assert_eq!(contains(&parents, &[grant(child)]), Err(Uncovered { grant: 0, field: field.into() }), "{child}");
}

#[test]
fn each_member_has_its_name() {
    fails(&[], "{}", "tool");
    fails(&["{}"], r#"{"tool":"fs/write"}"#, "tool");
    fails(&["{}"], r#"{"classes":["pay"]}"#, "classes");
    fails(&["{}"], r#"{"actions":"*"}"#, "actions");
    fails(&[r#"{"resource":{"exact":"a"}}"#], "{}", "resource");
    fails(&[r#"{"closed":true}"#], "{}", "closed");
    let p = r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#;
    fails(&[p], "{}", "args.p");
    fails(&[r#"{"closed":true}"#], &p.replacen('{', r#"{"closed":true,"#, 1), "args.p");
}

#[test]
fn the_nearest_grant_of_the_parent_is_named_the_first_of_several() {
    let arg = |name: &str| format!(r#"{{"args":{{"{name}":[{{"op":"maxlen","type":"string","bytes":1}}]}}}}"#);
    let (a, b, class, action) = (arg("a"), arg("b"), r#"{"classes":["pay"]}"#, r#"{"actions":["list"]}"#);
    fails(&[class, action], "{}", "actions");
    fails(&[action, class], "{}", "actions");
    fails(&[&a, &b], "{}", "args.a");
    fails(&[&b, &a], "{}", "args.b");
    fails(&[r#"{"closed":true}"#, &b, action], "{}", "args.b");
}

#[test]
fn the_first_uncovered_grant_is_named() {
    let children = [grant("{}"), grant(r#"{"classes":["write"]}"#), grant(r#"{"classes":["pay"]}"#)];
    assert_eq!(contains(&[grant("{}")], &children), Err(Uncovered { grant: 1, field: "classes".into() }));
    // A later grant that is covered does not make up for one that is not, nor the other way round.
    assert!(
        contains(&[grant("{}"), grant(r#"{"classes":["write"]}"#), grant(r#"{"classes":["pay"]}"#)], &children).is_ok()
    );
}
