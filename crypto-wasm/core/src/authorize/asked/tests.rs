use super::*;
use crate::surface::find;

fn ask(surface: &str, body: &str) -> Result<Asked, Error> {
    let (document, permission) = find(surface).unwrap();
    let request = Request { method: "POST", server: Some("files"), body: body.as_bytes(), ..Request::default() };
    read(&request, document, permission)
}

fn code(surface: &str, body: &str) -> Code {
    ask(surface, body).unwrap_err().code
}

fn call_of(surface: &str, body: &str) -> Call {
    match ask(surface, body).unwrap().about {
        About::Calls(mut calls) => calls.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_has_the_contract_s_shape() {
    let call = call_of("authorize", r#"{"tool":"files/read","action":"call","resource":"a/b","args":{"n":1}}"#);
    assert_eq!((call.tool.as_str(), call.action.as_str(), call.read), ("files/read", "call", false));
    assert_eq!((call.place, call.args.len()), (Place::Beside(Some("a/b".into())), 1));
    assert_eq!(call_of("authorize", r#"{"tool":"files/read"}"#).action, "call");
    assert!(ask("authorize", r#"{"tool":"files/read","receipt":true}"#).unwrap().receipt);
    assert!(!ask("authorize", r#"{"tool":"files/read"}"#).unwrap().receipt);
    for body in [
        "{}",
        "[]",
        r#"{"tool":"files"}"#,
        r#"{"tool":"files/a b"}"#,
        r#"{"tool":"Files/read"}"#,
        r#"{"tool":"files/read","action":"Call"}"#,
        r#"{"tool":"files/read","action":""}"#,
        r#"{"tool":"files/read","args":[]}"#,
        r#"{"tool":"files/read","args":"x"}"#,
        r#"{"tool":"files/read","receipt":1}"#,
        r#"{"tool":"files/read","receipt":"true"}"#,
        r#"{"tool":"files/read","class":"read"}"#,
        r#"{"tool":"files/read","resource":1}"#,
    ] {
        assert_eq!(code("authorize", body), Code::ContractInvalid, "{body}");
    }
    assert_eq!(code("authorize", r#"{"tool":"files/read","tool":"files/write"}"#), Code::Malformed);
}

#[test]
fn a_batch_has_one_to_so_many_calls_and_nothing_else() {
    let batch =
        |item: &str, count: usize, more: &str| format!(r#"{{"items":[{}]{more}}}"#, vec![item; count].join(","));
    let item = r#"{"tool":"files/read"}"#;
    for count in [1, limits::BATCH_ITEMS] {
        let asked = ask("authorize.batch", &batch(item, count, "")).unwrap();
        assert!(asked.batch && matches!(asked.about, About::Calls(calls) if calls.len() == count));
    }
    assert_eq!(code("authorize.batch", &batch(item, limits::BATCH_ITEMS + 1, "")), Code::LimitExceeded);
    assert_eq!(code("authorize.batch", &batch(item, 0, "")), Code::ContractInvalid);
    assert_eq!(code("authorize.batch", &batch(item, 1, r#","more":1"#)), Code::ContractInvalid);
    for item in ["1", r#"{"tool":"files/read","more":1}"#, r#"{"tool":"files/read","receipt":true}"#, r#"{"tool":"x"}"#]
    {
        assert_eq!(code("authorize.batch", &batch(item, 2, "")), Code::ContractInvalid, "{item}");
    }
}

#[test]
fn a_session_is_asked_for_with_a_share_and_nothing_else() {
    let share = "A".repeat(43);
    let asked = ask("sessions.open", &format!(r#"{{"share":"{share}","writes":true}}"#)).unwrap();
    assert_eq!((asked.session, asked.about), (Some(([0; 32], true)), About::Holder));
    for body in [
        r#"{"writes":true}"#.to_owned(),
        format!(r#"{{"share":"{share}"}}"#),
        format!(r#"{{"share":"{share}A","writes":true}}"#),
        format!(r#"{{"share":"{share}","writes":1}}"#),
        format!(r#"{{"share":"{share}","writes":true,"more":1}}"#),
    ] {
        assert_eq!(code("sessions.open", &body), Code::ContractInvalid, "{body}");
    }
}

#[test]
fn a_message_asks_for_what_it_names_on_its_server() {
    let message =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let about = |method: &str, params: &str| ask("mcp.post", &message(method, params)).unwrap().about;
    assert_eq!(about("ping", "{}"), About::Server("files".into()));
    assert_eq!(about("tasks/get", "{}"), About::Nothing);
    let call = |method: &str, params: &str| call_of("mcp.post", &message(method, params));
    let read = call("tools/call", r#"{"name":"read"}"#);
    assert_eq!((read.tool.as_str(), read.place, read.read), ("files/read", Place::Registry, false));
    let place = |uri: &str| call("resources/read", &format!(r#"{{"uri":"{uri}"}}"#)).place;
    assert_eq!(place("demo://a/b"), Place::Message(Some("demo/a/b".into())));
    assert_eq!(place("nothing"), Place::Message(None), "no path is not the same as no resource");
    assert!(call("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"p"}}"#).read);
    let (document, permission) = find("mcp.post").unwrap();
    let body = message("ping", "{}");
    for (server, code) in
        [(None, Code::Internal), (Some("Files"), Code::ServerUnknown), (Some(""), Code::ServerUnknown)]
    {
        let request = Request { method: "POST", server, body: body.as_bytes(), ..Request::default() };
        assert_eq!(super::read(&request, document, permission).unwrap_err().code, code);
    }
}
