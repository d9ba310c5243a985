//! One JSON-RPC message of MCP: what it is and what it asks for.
//!
//! Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.

use crate::frame::Request;
use crate::json::{self, Value};
use crate::path;
use crate::{Code, Error, contract};

/// The kinds of JSON-RPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result or an error.
    Response,
    /// GET and DELETE carry no message.
    None,
}

impl Kind {
    /// The name in facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Notification => "notification",
            Self::Response => "response",
            Self::None => "none",
        }
    }
}

/// The resource that a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// It has this one, a path.
    Some(String),
    /// One is required and what was sent cannot be one: it matches nothing, `any` included.
    Unfit,
    /// The registry entry names the argument that holds it.
    Registry,
}

/// What a message needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// This tool, action, resource and these arguments.
    Call {
        /// `server/name`, `server/@resource` or `server/@prompt/name`.
        tool: String,
        /// `call`, `read`, `subscribe` or `get`.
        action: &'static str,
        /// Where the resource is found.
        resource: Resource,
        /// The top-level arguments.
        args: Vec<(String, Value)>,
        /// `completion/complete` only reads what it names, whatever class a call of it has.
        read: bool,
    },
    /// Any grant on the server.
    Server,
    /// Nothing that the gateway lets through.
    Unknown,
}

/// A message as far as a decision depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Which kind it is.
    pub kind: Kind,
    /// Its method.
    pub method: Option<String>,
    /// Its id, a string or an integer.
    pub id: Option<Value>,
    /// `params.name` or `params.uri`.
    pub name: Option<String>,
    /// `params._meta.progressToken`.
    pub progress_token: Option<Value>,
    /// What it needs.
    pub ask: Ask,
}

impl Message {
    /// Whether it is recorded as intent and outcome, rather than as a decision.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        matches!(self.ask, Ask::Call { .. })
    }
}

fn malformed(field: &str) -> Error {
    Error::new(Code::RequestMalformed, "not a JSON-RPC message of MCP").at(field)
}

/// Reads the message of an MCP request to `server`, and holds `mcp-method` and `mcp-name` against it.
///
/// # Errors
/// `MALFORMED` for a body that is not strict JSON; `request.malformed` for one that is no single JSON-RPC message;
/// `mcp.header_mismatch` when header and body disagree.
pub fn read(request: &Request<'_>, server: &str) -> Result<Message, Error> {
    let message = if request.method == "POST" {
        message(&json::parse(request.body)?, server)?
    } else if request.body.is_empty() {
        Message { kind: Kind::None, method: None, id: None, name: None, progress_token: None, ask: Ask::Server }
    } else {
        return Err(malformed("body"));
    };
    for (header, sent, said) in
        [("mcp-method", request.mcp_method, &message.method), ("mcp-name", request.mcp_name, &message.name)]
    {
        // What is covered is the value without outer spaces and tabs (contracts/spec/proof.md#covered-components).
        if sent.is_some_and(|sent| Some(sent.trim_matches([' ', '\t'])) != said.as_deref()) {
            return Err(Error::new(Code::McpHeaderMismatch, "header and body disagree").at(header));
        }
    }
    Ok(message)
}

fn message(body: &Value, server: &str) -> Result<Message, Error> {
    let members = body.as_obj().ok_or_else(|| malformed("body"))?; // an array is a batch, which this version has not
    if let Some((name, _)) = members
        .iter()
        .find(|(name, _)| !matches!(name.as_str(), "jsonrpc" | "id" | "method" | "params" | "result" | "error"))
    {
        return Err(malformed(name));
    }
    if body.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(malformed("jsonrpc"));
    }
    let id = match body.get("id") {
        None => None,
        Some(id @ Value::Int(_)) => Some(id.clone()),
        Some(Value::Str(text)) if text.len() <= contract::limits::MCP_REQUEST_ID_BYTES => {
            Some(Value::Str(text.clone()))
        }
        Some(_) => return Err(malformed("id")),
    };
    let answers = [body.get("result"), body.get("error")].iter().flatten().count();
    let Some(method) = body.get("method") else {
        // A server may ask the client (sampling, elicitation); this is what comes back.
        if answers != 1 || id.is_none() || body.get("params").is_some() {
            return Err(malformed("method"));
        }
        return Ok(Message {
            kind: Kind::Response,
            method: None,
            id,
            name: None,
            progress_token: None,
            ask: Ask::Server,
        });
    };
    let method = method.as_str().ok_or_else(|| malformed("method"))?;
    if answers != 0 {
        return Err(malformed("result"));
    }
    let params = match body.get("params") {
        None => &[][..],
        Some(params) => params.as_obj().ok_or_else(|| malformed("params"))?,
    };
    let param = |name: &str| params.iter().find(|(member, _)| member == name).map(|(_, value)| value);
    let text = |name: &str| param(name).and_then(Value::as_str).ok_or_else(|| malformed(&format!("params.{name}")));
    let progress_token = param("_meta").and_then(|meta| meta.get("progressToken")).cloned();
    if !matches!(progress_token, None | Some(Value::Int(_) | Value::Str(_))) {
        return Err(malformed("params._meta.progressToken"));
    }
    let kind = if id.is_some() { Kind::Request } else { Kind::Notification };
    // A notification of a request's method would be a call whose answer nobody records; the reverse has no meaning.
    let notifies = method.starts_with("notifications/");
    if notifies != (kind == Kind::Notification) {
        return Err(malformed("id"));
    }
    let (name, ask) = match method {
        "tools/call" => {
            let name = text("name")?;
            (Some(name), call(server, "", name, "call", arguments(param("arguments"))?))
        }
        "prompts/get" => {
            let name = text("name")?;
            (Some(name), call(server, "@prompt/", name, "get", arguments(param("arguments"))?))
        }
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            let uri = text("uri")?;
            let action = if method == "resources/read" { "read" } else { "subscribe" };
            (Some(uri), resource(server, uri, action, false))
        }
        "completion/complete" => {
            let reference = param("ref").ok_or_else(|| malformed("params.ref"))?;
            let of = |name: &str| reference.get(name).and_then(Value::as_str).ok_or_else(|| malformed("params.ref"));
            let ask = match of("type")? {
                "ref/prompt" => match call(server, "@prompt/", of("name")?, "get", Vec::new()) {
                    Ask::Call { tool, action, resource, args, .. } => {
                        Ask::Call { tool, action, resource, args, read: true }
                    }
                    other => other,
                },
                "ref/resource" => resource(server, of("uri")?, "read", true),
                _ => Ask::Unknown,
            };
            (None, ask)
        }
        "initialize" | "ping" | "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
            (None, Ask::Server)
        }
        _ if notifies => (None, Ask::Server),
        _ => (None, Ask::Unknown),
    };
    // A task goes on after its answer; it has no outcome that could be recorded in time.
    let ask = if param("task").is_some() { Ask::Unknown } else { ask };
    Ok(Message { kind, method: Some(method.to_owned()), id, name: name.map(str::to_owned), progress_token, ask })
}

/// MCP's own alphabet for names: `@` and `/` are ours (contracts/spec/capability.md#grant).
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=contract::limits::TOOL_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn call(server: &str, kind: &str, name: &str, action: &'static str, args: Vec<(String, Value)>) -> Ask {
    if is_name(name) {
        Ask::Call { tool: format!("{server}/{kind}{name}"), action, resource: Resource::Registry, args, read: false }
    } else {
        Ask::Unknown
    }
}

fn resource(server: &str, uri: &str, action: &'static str, read: bool) -> Ask {
    let resource = path::from_uri(uri).map_or(Resource::Unfit, Resource::Some);
    Ask::Call { tool: format!("{server}/@resource"), action, resource, args: Vec::new(), read }
}

fn arguments(arguments: Option<&Value>) -> Result<Vec<(String, Value)>, Error> {
    match arguments {
        None => Ok(Vec::new()),
        Some(Value::Obj(members)) => Ok(members.clone()),
        Some(_) => Err(malformed("params.arguments")),
    }
}

#[cfg(test)]
mod tests;
