use super::*;

fn post(body: &str) -> Result<Message, Error> {
    let request = Request { method: "POST", body: body.as_bytes(), ..Request::default() };
    read(&request, "files")
}

fn with_headers(body: &str, method: Option<&str>, name: Option<&str>) -> Result<Message, Error> {
    let request =
        Request { method: "POST", body: body.as_bytes(), mcp_method: method, mcp_name: name, ..Request::default() };
    read(&request, "files")
}

fn code(body: &str) -> Code {
    post(body).unwrap_err().code
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"path":"a/b"},"_meta":{"progressToken":"t"}}}"#;

#[test]
fn a_tool_call_names_server_tool_and_arguments() {
    let message = post(CALL).unwrap();
    assert_eq!(
        (message.kind, message.method.as_deref(), message.name.as_deref()),
        (Kind::Request, Some("tools/call"), Some("read"))
    );
    assert_eq!((message.id, message.progress_token), (Some(Value::Int(1)), Some(Value::str("t"))));
    let Ask::Call { tool, action, resource, args, read } = message.ask else { panic!("no call") };
    assert_eq!((tool.as_str(), action, resource, read), ("files/read", "call", Resource::Registry, false));
    assert_eq!(args, vec![("path".to_owned(), Value::str("a/b"))]);
}

#[test]
fn a_name_outside_mcps_alphabet_reaches_no_registry() {
    for name in ["@resource", "@prompt/x", "a/b", "", "a b", "é"] {
        let message =
            post(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#)).unwrap();
        assert_eq!(message.ask, Ask::Unknown, "{name}");
    }
}

#[test]
fn tasks_batches_and_unknown_methods_are_not_let_through() {
    let task = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","task":{}}}"#;
    assert_eq!(post(task).unwrap().ask, Ask::Unknown);
    for method in ["tasks/get", "tasks/list", "logging/setLevel", "tools/Call", "tools/call ", "x"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        assert_eq!(post(&body).unwrap().ask, Ask::Unknown, "{method}");
    }
    assert_eq!(code(&format!("[{CALL}]")), Code::RequestMalformed);
}

#[test]
fn a_call_without_an_id_is_no_notification() {
    assert_eq!(code(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"read"}}"#), Code::RequestMalformed);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#), Code::RequestMalformed);
    let message = post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
    assert_eq!((message.kind, message.ask), (Kind::Notification, Ask::Server));
}

#[test]
fn what_is_no_single_message_is_refused() {
    for body in [
        "1",
        "null",
        "[]",
        "{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":true}}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":null}}"#,
    ] {
        assert_eq!(code(body), Code::RequestMalformed, "{body}");
    }
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#), Code::Malformed);
}

#[test]
fn ids_and_names_are_bounded() {
    let ping = |id: usize| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(id));
    assert!(post(&ping(contract::limits::MCP_REQUEST_ID_BYTES)).is_ok());
    assert_eq!(code(&ping(contract::limits::MCP_REQUEST_ID_BYTES + 1)), Code::RequestMalformed);
    assert!(is_name(&"n".repeat(contract::limits::TOOL_NAME_BYTES)));
    assert!(!is_name(&"n".repeat(contract::limits::TOOL_NAME_BYTES + 1)));
}

#[test]
fn a_prompt_and_a_subscription_are_not_what_a_call_and_a_read_are() {
    let ask = |method: &str, params: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        match post(&body).unwrap().ask {
            Ask::Call { tool, action, read: false, .. } => (tool, action),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask("prompts/get", r#""name":"read""#), ("files/@prompt/read".to_owned(), "get"));
    assert_eq!(ask("resources/read", r#""uri":"demo://a""#), ("files/@resource".to_owned(), "read"));
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        assert_eq!(ask(method, r#""uri":"demo://a""#), ("files/@resource".to_owned(), "subscribe"));
    }
}

#[test]
fn headers_and_body_must_agree() {
    assert!(with_headers(CALL, Some("tools/call"), Some(" read\t")).is_ok());
    for (method, name) in
        [(Some("tools/list"), None), (None, Some("write")), (Some("tools/call"), Some("")), (Some(""), None)]
    {
        assert_eq!(with_headers(CALL, method, name).unwrap_err().code, Code::McpHeaderMismatch, "{method:?} {name:?}");
    }
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(with_headers(response, Some("tools/call"), None).unwrap_err().code, Code::McpHeaderMismatch);
    let uri = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a"}}"#;
    assert!(with_headers(uri, None, Some("file:///a")).is_ok());
    assert!(with_headers(uri, None, Some("file:///b")).is_err());
}

#[test]
fn get_and_delete_carry_nothing() {
    let request = Request { method: "GET", ..Request::default() };
    let message = read(&request, "files").unwrap();
    assert_eq!((message.kind, message.ask), (Kind::None, Ask::Server));
    assert!(read(&Request { body: b"{}", ..request }, "files").is_err());
    assert!(read(&Request { mcp_method: Some("ping"), ..request }, "files").is_err());
}

#[test]
fn a_completion_reads_what_it_names() {
    let body = |reference: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{{"ref":{reference},"argument":{{"name":"a","value":"b"}}}}}}"#
        )
    };
    let prompt = post(&body(r#"{"type":"ref/prompt","name":"p"}"#)).unwrap();
    assert!(matches!(prompt.ask, Ask::Call { tool, action: "get", read: true, .. } if tool == "files/@prompt/p"));
    let template = post(&body(r#"{"type":"ref/resource","uri":"demo://a/{id}"}"#)).unwrap();
    assert!(
        matches!(template.ask, Ask::Call { resource: Resource::Some(path), read: true, .. } if path == "demo/a/{id}")
    );
    assert_eq!(post(&body(r#"{"type":"ref/other"}"#)).unwrap().ask, Ask::Unknown);
}

#[test]
fn a_uri_that_is_no_path_fits_nothing() {
    let body =
        |uri: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"{uri}"}}}}"#);
    let resource = |uri: &str| match post(&body(uri)).unwrap().ask {
        Ask::Call { resource, .. } => resource,
        other => panic!("{other:?}"),
    };
    assert_eq!(resource("file:///etc/passwd"), Resource::Some("file/-/etc/passwd".into()));
    for uri in ["file:///a/../b", "https://a/b?c", "https://A/b", "nothing"] {
        assert_eq!(resource(uri), Resource::Unfit, "{uri}");
    }
}
