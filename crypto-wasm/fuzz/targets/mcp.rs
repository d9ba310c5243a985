//! MCP messages, against what another JSON reader says of the same body.

use serde_json::Value as Json;
use talos_core::frame::Request;
use talos_core::json::Value;
use talos_core::mcp::{self, Ask, Kind};

use super::json::agree;

/// `mcp-method`, a line end, `mcp-name`, a line end, the body. An empty header is absent; an empty body is a GET.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut header = || core::str::from_utf8(parts.next().unwrap_or_default());
    let (Ok(mcp_method), Ok(mcp_name)) = (header(), header()) else { return };
    let body = parts.next().unwrap_or_default();
    let request = Request {
        method: if body.is_empty() { "GET" } else { "POST" },
        mcp_method: Some(mcp_method).filter(|text| !text.is_empty()),
        mcp_name: Some(mcp_name).filter(|text| !text.is_empty()),
        body,
        ..Request::default()
    };
    let Ok(message) = mcp::read(&request, "files") else { return };
    let trimmed = |text: Option<&str>| text.map(|text| text.trim_matches([' ', '\t']).to_owned());
    for (sent, said) in [(request.mcp_method, &message.method), (request.mcp_name, &message.name)] {
        assert!(sent.is_none() || trimmed(sent) == *said);
    }
    if body.is_empty() {
        assert_eq!((message.kind, &message.ask), (Kind::None, &Ask::Server));
        return;
    }
    let said: Json = serde_json::from_slice(body).expect("JSON");
    let object = said.as_object().expect("an object");
    assert_eq!(object["jsonrpc"], "2.0");
    let id = object.get("id");
    assert_eq!(message.id.is_some(), id.is_some());
    assert!(message.id.iter().zip(id).all(|(ours, theirs)| agree(ours, theirs)));
    assert_eq!(message.method.as_deref(), object.get("method").map(|method| method.as_str().expect("a text")));
    assert_eq!(message.kind == Kind::Request, id.is_some() && message.method.is_some());
    let params = said.get("params");
    let param = |name: &str| params.and_then(|params| params.get(name));
    if let Ask::Call { tool, action, args, read, .. } = &message.ask {
        let (server, name) = tool.split_once('/').expect("server/name");
        assert_eq!((server, message.kind), ("files", Kind::Request));
        assert!(param("task").is_none());
        let wanted = param("arguments").and_then(Json::as_object).map_or(0, serde_json::Map::len);
        match message.method.as_deref() {
            Some("tools/call") => {
                assert_eq!((param("name").and_then(Json::as_str), *action, *read), (Some(name), "call", false));
                assert!(!name.starts_with('@') && args.len() == wanted);
                let theirs = param("arguments").cloned().unwrap_or_else(|| serde_json::json!({}));
                assert!(agree(&Value::Obj(args.clone()), &theirs));
            }
            Some("prompts/get") => {
                let name = name.strip_prefix("@prompt/").expect("a prompt");
                assert_eq!((param("name").and_then(Json::as_str), *action), (Some(name), "get"));
                assert_eq!(args.len(), wanted);
            }
            Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => {
                assert_eq!((name, *read), ("@resource", false));
            }
            Some("completion/complete") => assert!(*read && args.is_empty()),
            other => panic!("{other:?} is no call"),
        }
    }
}
