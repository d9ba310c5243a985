//! Scope strings: the one-line form of a grant without argument atoms.
//!
//! Source: contracts/spec/capability.md#scope-strings, RFC 6749 §3.3.

use crate::Error;
use crate::grant::{Actions, Class, Classes, Grant, is_action, is_tool};
use crate::limits::{ACTIONS, SCOPE_BYTES};
use crate::path::{Pattern, is_path};

/// The scope string of `grant`.
///
/// # Errors
/// `MALFORMED`, field `args`, when the grant speaks of arguments: a scope string cannot.
pub fn print(grant: &Grant) -> Result<String, Error> {
    if !grant.args.is_empty() {
        return Err(Error::malformed("a grant with argument atoms has no scope string").at("args"));
    }
    let classes: Vec<&str> = grant.classes.iter().map(Class::as_str).collect();
    let actions = match &grant.actions {
        Actions::Any => "*".to_owned(),
        Actions::Set(set) => set.join("+"),
    };
    let resource = match &grant.resource {
        Pattern::Any => "*".to_owned(),
        Pattern::Exact(path) => format!("={}", escape(path)),
        Pattern::Prefix(path) => format!("^{}", escape(path)),
    };
    let closed = if grant.closed { ":closed" } else { "" };
    Ok(format!("{}:{}:{actions}:{resource}{closed}", grant.tool, classes.join("+")))
}

/// The grant of a scope string.
///
/// # Errors
/// `LIMIT_EXCEEDED` above `scope_bytes`; `MALFORMED` for everything that [`print`] does not print.
pub fn parse(scope: &str) -> Result<Grant, Error> {
    if scope.len() > SCOPE_BYTES {
        return Err(Error::limit("a scope string that is too long"));
    }
    let bad = || Error::malformed("not a scope string");
    let parts: Vec<&str> = scope.splitn(6, ':').collect();
    let (tool, classes, actions, resource, closed) = match parts.as_slice() {
        [tool, classes, actions, resource] => (*tool, *classes, *actions, *resource, false),
        [tool, classes, actions, resource, "closed"] => (*tool, *classes, *actions, *resource, true),
        _ => return Err(bad()),
    };
    let classes: Option<Vec<Class>> = classes.split('+').map(Class::of).collect();
    let actions = match actions {
        "*" => Actions::Any,
        set => Actions::Set(set.split('+').map(str::to_owned).collect()),
    };
    if let Actions::Set(set) = &actions
        && !(set.len() <= ACTIONS && set.iter().all(|action| is_action(action)) && set.is_sorted_by(|a, b| a < b))
    {
        return Err(bad());
    }
    let path = |text: &str| unescape(text).ok_or_else(bad);
    let resource = match (resource, resource.strip_prefix('='), resource.strip_prefix('^')) {
        ("*", _, _) => Pattern::Any,
        (_, Some(exact), _) => Pattern::Exact(path(exact)?),
        (_, _, Some(prefix)) => Pattern::Prefix(path(prefix)?),
        _ => return Err(bad()),
    };
    let fits = match &resource {
        Pattern::Any => true,
        Pattern::Exact(path) => is_path(path),
        Pattern::Prefix(path) => path == "/" || is_path(path),
    };
    let grant = Grant {
        tool: tool.to_owned(),
        classes: Classes::of(&classes.ok_or_else(bad)?),
        actions,
        resource,
        args: vec![],
        closed,
    };
    // What would be printed otherwise is refused: classes out of order or twice, escapes that are not needed.
    if fits && is_tool(tool) && print(&grant)? == scope { Ok(grant) } else { Err(bad()) }
}

/// Percent-encodes what may not stand in a scope, by UTF-8 byte. A path holds no `%`, so this can be undone.
fn escape(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.~/@+-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&crate::hash::hex(&[byte]).to_ascii_uppercase());
        }
    }
    text
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                rest.next().and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
            };
            bytes.push(digit()? << 4 | digit()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
