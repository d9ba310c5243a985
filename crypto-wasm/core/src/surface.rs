//! The endpoints, as their surface documents state them.
//!
//! Source: contracts/spec/gateway.md#the-gateway-on-the-wire, contracts/surfaces.

use crate::contract::{self, SURFACES, Surface};
use crate::{Code, Error};

/// What a surface asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing; with a credential, a grant for the surface's tool.
    Public,
    /// Any valid chain with proof; roles are not asked.
    Holder,
    /// A grant for the surface's tool.
    Grant,
    /// What the body describes.
    Body,
    /// What the MCP message needs.
    Mcp,
}

/// The surface of this name, with what it asks.
///
/// # Errors
/// `internal` for a name that no document has, or one whose body proves itself: such a request is never decided here.
pub fn find(name: &str) -> Result<(&'static Surface, Permission), Error> {
    let unknown = || Error::new(Code::Internal, "no surface that is decided on a credential").at("surface");
    let surface = contract::surface(name).ok_or_else(unknown)?;
    let permission = match surface.permission {
        "public" if surface.tool.is_some() => Permission::Public,
        "holder" => Permission::Holder,
        "grant" => Permission::Grant,
        "body" => Permission::Body,
        "mcp" => Permission::Mcp,
        _ => return Err(unknown()),
    };
    Ok((surface, permission))
}

/// The surface document that speaks of one of our own tools, `talos/…`, and of this action of it where one does.
///
/// Documents of one tool and one action agree on class and rate class (scripts/contracts/lint.ts).
#[must_use]
#[inline(never)]
pub fn of_tool(tool: &str, action: &str) -> Option<&'static Surface> {
    if !tool.starts_with("talos/") {
        return None;
    }
    let mut other = None;
    for surface in SURFACES {
        if surface.tool == Some(tool) {
            if surface.action == Some(action) {
                return Some(surface);
            }
            other = other.or(Some(surface));
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_that_is_decided_here_is_found() {
        for surface in SURFACES {
            let decided = !matches!(surface.permission, "statement" | "publisher")
                && (surface.permission != "public" || surface.tool.is_some());
            assert_eq!(find(surface.name).is_ok(), decided, "{}", surface.name);
        }
        assert!(find("nothing").is_err());
    }

    #[test]
    fn our_own_tools_are_found() {
        assert!(of_tool("talos/authorize", "evaluate").is_some_and(|surface| surface.action == Some("evaluate")));
        assert!(of_tool("talos/authorize", "other").is_some_and(|surface| surface.action == Some("evaluate")));
        assert!(of_tool("files/read", "call").is_none());
    }

    #[test]
    fn the_class_of_our_own_tool_is_that_of_the_action() {
        let class = |action| of_tool("talos/sinks", action).and_then(|surface| surface.class);
        assert_eq!(class("read"), Some("read"));
        assert_eq!(class("write"), Some("write"));
        assert_eq!(class("delete"), Some("destructive"));
    }
}
