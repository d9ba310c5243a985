//! Which names of a list its caller may be shown.
//!
//! Source: contracts/spec/gateway.md#mcp-streamable-http-2025-11-25.

use super::asked::{Call, Place};
use super::{Memory, Mode, Site, Verdicts, judge, prepare};
use crate::grant::Class;
use crate::mcp;
use crate::path;
use crate::{Code, Error};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Tools, by name.
    Tools,
    /// Resources, by URI.
    Resources,
    /// Resource templates, by URI template.
    ResourceTemplates,
    /// Prompts, by name.
    Prompts,
}

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "tools" => Some(Self::Tools),
            "resources" => Some(Self::Resources),
            "resource_templates" => Some(Self::ResourceTemplates),
            "prompts" => Some(Self::Prompts),
            _ => None,
        }
    }
}

/// For each name whether the caller of `frame` may be shown it, and its class. The caller's decision was made before, on the
/// same frame; here its signatures are held against the same verdicts once more.
///
/// # Errors
/// As [`super::finish`]; the request's own code when it is not authentic.
pub fn filter_list(
    frame: &[u8],
    site: &Site<'_>,
    memory: &mut Memory,
    verdicts: Verdicts<'_>,
    kind: Kind,
    names: &[&str],
) -> Result<Vec<(bool, Option<Class>)>, Error> {
    let prepared = prepare(frame, site, memory, Mode::Again)?;
    let verified = prepared.verify(verdicts)?;
    let Memory { windows, .. } = memory;
    prepared.party.authenticate(&verified, &site.policy.trust, windows, prepared.request.now_ms, Mode::Again)?;
    let server = prepared.request.server.ok_or_else(|| Error::new(Code::Internal, "a list of no server"))?;
    let shown = |name: &&str| {
        let call = call(kind, server, name)?;
        // A template stands for many resources; whether one of them may be read is decided when it is.
        Some(judge::shows(site.policy, &prepared.party, &call, kind == Kind::Resources))
    };
    Ok(names.iter().map(|name| shown(name).unwrap_or((false, None))).collect())
}

fn call(kind: Kind, server: &str, name: &str) -> Option<Call> {
    let (tool, action, place) = match kind {
        Kind::Tools if mcp::is_name(name) => (format!("{server}/{name}"), "call", Place::Registry),
        Kind::Prompts if mcp::is_name(name) => (format!("{server}/@prompt/{name}"), "get", Place::Registry),
        Kind::Resources => (format!("{server}/@resource"), "read", Place::Message(Some(path::from_uri(name).ok()?))),
        Kind::ResourceTemplates => (format!("{server}/@resource"), "read", Place::Message(None)),
        Kind::Tools | Kind::Prompts => return None,
    };
    Some(Call { tool, action: action.to_owned(), place, args: Vec::new(), read: false })
}
