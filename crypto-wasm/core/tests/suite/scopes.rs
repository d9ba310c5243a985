use talos_core::Code;
use talos_core::scope::{parse, print};

use crate::support::grant;

#[test]
fn a_grant_without_arguments_has_one_scope_string() {
    for (over, scope) in [
        ("{}", "fs/read:read:call:*"),
        (r#"{"tool":"talos/audit.events","actions":["read"]}"#, "talos/audit.events:read:read:*"),
        (
            r#"{"tool":"e/@prompt/p","classes":["read","write","destructive","pay"],"actions":"*"}"#,
            "e/@prompt/p:read+write+destructive+pay:*:*",
        ),
        (
            r#"{"actions":["read","subscribe"],"resource":{"prefix":"file/-/a"},"closed":true}"#,
            "fs/read:read:read+subscribe:^file/-/a:closed",
        ),
        (r#"{"resource":{"exact":"/a b/c:d/é"}}"#, "fs/read:read:call:=/a%20b/c%3Ad/%C3%A9"),
        (r#"{"resource":{"prefix":"/"}}"#, "fs/read:read:call:^/"),
        (r#"{"resource":{"exact":"a_.~@+-Z9"}}"#, "fs/read:read:call:=a_.~@+-Z9"),
        (r#"{"resource":{"exact":"*"}}"#, "fs/read:read:call:=%2A"),
    ] {
        let grant = grant(over);
        assert_eq!(print(&grant).unwrap(), scope);
        assert_eq!(parse(scope).unwrap(), grant);
    }
}

#[test]
fn a_scope_string_speaks_of_no_arguments() {
    let with_args = grant(r#"{"args":{"p":[{"op":"maxlen","type":"string","bytes":1}]}}"#);
    assert_eq!(print(&with_args).unwrap_err().field.as_deref(), Some("args"));
}

#[test]
fn what_is_not_printed_is_not_read() {
    for scope in [
        "",
        ":::",
        "fs/read",
        "fs/read:read",
        "fs/read:read:call",
        "fs/read:read:call:",
        "fs/read:read:call:any",
        "fs/read:read:call:**",
        "fs/read:read:call:/a",
        "fs/read:read:call:*:closed:",
        "fs/read:read:call:*:open",
        "fs/read:read:call:*:",
        "fs/read:read:call:*:closed:closed",
        "fs/read:write+read:call:*",
        "fs/read:read+read:call:*",
        "fs/read::call:*",
        "fs/read:read+:call:*",
        "fs/read:Read:call:*",
        "fs/read:*:call:*",
        "fs/read:read::*",
        "fs/read:read:b+a:*",
        "fs/read:read:a+a:*",
        "fs/read:read:*+a:*",
        "fs/read:read:Call:*",
        "fs/*:read:call:*",
        "*:read:call:*",
        "fs:read:call:*",
        "fs/read:read:call:=/a%2fb",
        "fs/read:read:call:=/a%2Fb",
        "fs/read:read:call:=%61",
        "fs/read:read:call:=%20%",
        "fs/read:read:call:=%2",
        "fs/read:read:call:=%zz",
        "fs/read:read:call:=a b",
        "fs/read:read:call:=é",
        "fs/read:read:call:=%C3",
        "fs/read:read:call:=/",
        "fs/read:read:call:=",
        "fs/read:read:call:^",
        "fs/read:read:call:^a/",
        "fs/read:read:call:=a/..",
        "fs/read:read:call:=%c3%a9",
        "fs/read:read:call:=%25",
        " fs/read:read:call:*",
        "fs/read:read:call:* ",
        "fs/read:read:call:=a:b",
        "fs/read:read:call:=%+20",
        "fs/read:read:call:=%00",
    ] {
        assert_eq!(parse(scope).expect_err(scope).code, Code::Malformed, "{scope}");
    }
    assert_eq!(parse(&"a".repeat(5_000)).unwrap_err().code, Code::LimitExceeded);
    let actions: Vec<String> = (10..27).map(|number| format!("a{number}")).collect();
    assert!(parse(&format!("fs/read:read:{}:*", actions.join("+"))).is_err());
    assert!(parse(&format!("fs/read:read:{}:*", actions[..16].join("+"))).is_ok());
}

#[test]
fn the_longest_path_fits_a_scope_string() {
    // Every byte of it escaped: the bound of scopes is not below that of paths.
    let path = "é".repeat(512);
    let longest = grant(&format!(r#"{{"resource":{{"exact":"{path}"}}}}"#));
    assert_eq!(parse(&print(&longest).unwrap()).unwrap(), longest);
}
