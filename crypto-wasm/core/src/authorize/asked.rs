//! What a request asks for: read once from its body, before anything about it is decided.
//!
//! Source: contracts/spec/gateway.md#authorize and #mcp-streamable-http-2025-11-25.

use super::third_party::{self, Report};
use crate::contract::Surface;
use crate::frame::Request;
use crate::json::{self, Fields, Value};
use crate::mcp::{self, Ask, Message};
use crate::surface::Permission;
use crate::{Code, Error, contract::limits, grant};

/// Where a call's resource is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the argument that the registry entry names, if it names one.
    Registry,
    /// Beside the arguments, for entries that say so; otherwise as [`Registry`](Self::Registry).
    Beside(Option<String>),
    /// In the message itself: a path, or what cannot be one.
    Message(Option<String>),
}

/// One call that is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `server/name`.
    pub tool: String,
    /// What it does with the tool.
    pub action: String,
    /// Where.
    pub place: Place,
    /// With what.
    pub args: Vec<(String, Value)>,
    /// It only reads what it names, whatever class the registry gives the tool.
    pub read: bool,
}

/// What the decision is about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// Being a holder is enough.
    Holder,
    /// Any grant on this server.
    Server(String),
    /// One call, or each of a batch.
    Calls(Vec<Call>),
    /// A message that the gateway lets nobody send.
    Nothing,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is decided.
    pub about: About,
    /// Whether decisions are wanted one by one.
    pub batch: bool,
    /// Whether a receipt is wanted.
    pub receipt: bool,
    /// The MCP message.
    pub message: Option<Message>,
    /// What a third party reports of its callers.
    pub reports: Vec<Report>,
    /// `sessions.open`: the client's share, and whether it wants to write.
    pub session: Option<([u8; 32], bool)>,
}

impl Asked {
    pub(super) const fn of(about: About) -> Self {
        Self { about, batch: false, receipt: false, message: None, reports: Vec::new(), session: None }
    }
}

/// A shape that the contract refuses, whatever the reader called it.
pub(super) fn shape(error: Error) -> Error {
    error.with_code(Code::ContractInvalid)
}

/// Reads what `request` asks for on its surface.
///
/// # Errors
/// `MALFORMED` for a body that is not strict JSON, `contract.invalid` for another shape than the contract's,
/// `LIMIT_EXCEEDED` for too many items; as [`mcp::read`] for MCP.
pub fn read(request: &Request<'_>, surface: &Surface, permission: Permission) -> Result<Asked, Error> {
    match permission {
        Permission::Public | Permission::Grant if surface.name.starts_with("authzen.") => {
            third_party::authzen(request, surface)
        }
        Permission::Public | Permission::Grant => Ok(Asked::of(About::Calls(vec![own(surface)?]))),
        Permission::Holder if surface.name == "sessions.open" => session(request),
        Permission::Holder => Ok(Asked::of(About::Holder)),
        Permission::Body if surface.name == "authorize.batch" => batch(request),
        Permission::Body => authorize(request, surface),
        Permission::Mcp => message(request),
    }
}

/// The call that a surface itself is.
pub(super) fn own(surface: &Surface) -> Result<Call, Error> {
    let missing = || Error::new(Code::Internal, "a surface without tool or action");
    Ok(Call {
        tool: surface.tool.ok_or_else(missing)?.to_owned(),
        action: surface.action.ok_or_else(missing)?.to_owned(),
        place: Place::Registry,
        args: Vec::new(),
        read: false,
    })
}

/// A request with the call of its surface and what a third party reports.
pub(super) fn reported(surface: &Surface, reports: Vec<Report>, batch: bool) -> Result<Asked, Error> {
    Ok(Asked { batch, reports, ..Asked::of(About::Calls(vec![own(surface)?])) })
}

fn session(request: &Request<'_>) -> Result<Asked, Error> {
    let body = json::parse(request.body)?;
    let read = |body: &Value| {
        let mut fields = Fields::new(body)?;
        let session = (fields.b64_32("share")?, fields.bool("writes")?);
        fields.finish()?;
        Ok(session)
    };
    Ok(Asked { session: Some(read(&body).map_err(shape)?), ..Asked::of(About::Holder) })
}

/// Takes the members of one call from an object.
pub(super) fn call(fields: &mut Fields<'_>) -> Result<Call, Error> {
    let tool = fields.str("tool")?;
    if !grant::is_tool(tool) {
        return Err(Error::malformed("not a tool").at("tool"));
    }
    let action = fields.opt_str("action")?.unwrap_or("call");
    if !grant::is_action(action) {
        return Err(Error::malformed("not an action").at("action"));
    }
    let args = match fields.opt("args") {
        None => Vec::new(),
        Some(Value::Obj(members)) => members.clone(),
        Some(_) => return Err(Error::malformed("not an object").at("args")),
    };
    Ok(Call {
        tool: tool.to_owned(),
        action: action.to_owned(),
        place: Place::Beside(fields.opt_str("resource")?.map(str::to_owned)),
        args,
        read: false,
    })
}

fn authorize(request: &Request<'_>, surface: &Surface) -> Result<Asked, Error> {
    let body = json::parse(request.body)?;
    let read = |body: &Value| {
        let mut fields = Fields::new(body)?;
        let call = call(&mut fields)?;
        let receipt = fields.opt("receipt").map_or(Some(false), Value::as_bool);
        let receipt = receipt.ok_or_else(|| Error::malformed("not a boolean").at("receipt"))?;
        let context = fields.opt("context").cloned();
        fields.finish()?;
        Ok((call, receipt, context))
    };
    let (call, receipt, context) = read(&body).map_err(shape)?;
    match context {
        None => Ok(Asked { receipt, ..Asked::of(About::Calls(vec![call])) }),
        Some(context) => {
            let report = third_party::report(&context, call).map_err(shape)?;
            Ok(Asked { receipt, ..reported(surface, vec![report], false)? })
        }
    }
}

fn batch(request: &Request<'_>) -> Result<Asked, Error> {
    let body = json::parse(request.body)?;
    let mut fields = Fields::new(&body).map_err(shape)?;
    let items = fields.arr("items").map_err(shape)?;
    fields.finish().map_err(shape)?;
    let calls = each(items, |item| {
        let mut fields = Fields::new(item)?;
        let call = call(&mut fields)?;
        fields.finish()?;
        Ok(call)
    })?;
    Ok(Asked { batch: true, ..Asked::of(About::Calls(calls)) })
}

/// Reads 1 to `batch_items` items.
pub(super) fn each<T>(items: &[Value], read: impl Fn(&Value) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    if items.is_empty() {
        return Err(shape(Error::malformed("no items").at("items")));
    }
    if items.len() > limits::BATCH_ITEMS {
        return Err(Error::limit("too many items").at("items"));
    }
    items.iter().map(|item| read(item).map_err(shape)).collect()
}

fn message(request: &Request<'_>) -> Result<Asked, Error> {
    let server = request.server.ok_or_else(|| Error::new(Code::Internal, "an MCP surface without server"))?;
    if !grant::is_server(server) {
        return Err(Error::new(Code::ServerUnknown, "not the name of a server").at("server"));
    }
    let message = mcp::read(request, server)?;
    let about = match &message.ask {
        Ask::Server => About::Server(server.to_owned()),
        Ask::Unknown => About::Nothing,
        Ask::Call { tool, action, resource, args, read } => About::Calls(vec![Call {
            tool: tool.clone(),
            action: (*action).to_owned(),
            place: match resource {
                mcp::Resource::Registry => Place::Registry,
                mcp::Resource::Some(path) => Place::Message(Some(path.clone())),
                mcp::Resource::Unfit => Place::Message(None),
            },
            args: args.clone(),
            read: *read,
        }]),
    };
    Ok(Asked { message: Some(message), ..Asked::of(about) })
}

#[cfg(test)]
mod tests;
