//! Paths and the patterns over them. Nothing is folded or decoded: what could be read in two ways is refused.
//!
//! Source: contracts/spec/capability.md#grant.

use crate::Error;
use crate::json::{Fields, Value};
use crate::limits::{PATH_BYTES, PATH_SEGMENTS};

/// What a grant says of a resource or of a path-typed argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every path; of a grant's resource also: no resource at all.
    Any,
    /// This path and what continues it by whole segments. `/` is every absolute path.
    Prefix(String),
    /// This path.
    Exact(String),
}

/// Whether `text` is a path: UTF-8 of 1..1,024 bytes, at most 64 segments after one optional leading `/`, none of them empty,
/// `.` or `..`, and no `%`, `\`, or control character anywhere.
#[must_use]
pub fn is_path(text: &str) -> bool {
    if text.len() > PATH_BYTES {
        return false;
    }
    let mut segments = 1;
    // Of the segment that is being read: bytes so far, and whether all of them are dots.
    let (mut length, mut dots) = (0, true);
    let mut before = 0;
    for byte in text.strip_prefix('/').unwrap_or(text).bytes() {
        match byte {
            b'/' => {
                if dots && length <= 2 {
                    return false;
                }
                segments += 1;
                (length, dots) = (0, true);
            }
            b'%' | b'\\' | 0..0x20 | 0x7f => return false,
            // U+0080 to U+009F, the controls beyond ASCII, are C2 80 to C2 9F in UTF-8.
            0x80..=0x9f if before == 0xc2 => return false,
            _ => {
                length += 1;
                dots = dots && byte == b'.';
            }
        }
        before = byte;
    }
    !(dots && length <= 2) && segments <= PATH_SEGMENTS
}

/// The path under which grants speak of an MCP resource: `scheme/authority/path…`, `-` for an empty or absent authority.
///
/// # Errors
/// `MALFORMED` for a query, a fragment, an upper-case scheme or authority, an authority `-`, or what is no path then.
pub fn from_uri(uri: &str) -> Result<String, Error> {
    let (scheme, rest) = uri.split_once(':').ok_or_else(|| Error::malformed("a resource URI without scheme"))?;
    let mut letters = scheme.bytes();
    let scheme_fits = letters.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !scheme_fits || rest.contains(['?', '#']) {
        return Err(Error::malformed("a resource URI in a form that no grant can name"));
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        None => ("", rest),
    };
    if authority == "-" || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Error::malformed("a resource URI with an ambiguous authority"));
    }
    let mut text = format!("{scheme}/{}", if authority.is_empty() { "-" } else { authority });
    if !path.is_empty() {
        text.push('/');
        text.push_str(path.strip_prefix('/').unwrap_or(path));
    }
    if is_path(&text) { Ok(text) } else { Err(Error::malformed("a resource URI that is no path")) }
}

/// Whether `prefix` is a segment-wise prefix of `path`, or equal to it. Both are paths, `prefix` may be `/`.
fn begins(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix == "/",
        None => false,
    }
}

impl Pattern {
    /// Reads `"any"`, `{"prefix": P}` or `{"exact": P}`.
    ///
    /// # Errors
    /// `MALFORMED` for anything else.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        if value.as_str() == Some("any") {
            return Ok(Self::Any);
        }
        let bad = || Error::malformed("not a pattern");
        let mut fields = Fields::new(value).map_err(|_| bad())?;
        let pattern = match (fields.opt_str("prefix")?, fields.opt_str("exact")?) {
            (Some(path), None) if path == "/" || is_path(path) => Self::Prefix(path.to_owned()),
            (None, Some(path)) if is_path(path) => Self::Exact(path.to_owned()),
            _ => return Err(bad()),
        };
        fields.finish()?;
        Ok(pattern)
    }

    /// The pattern as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Any => Value::str("any"),
            Self::Prefix(path) => Value::obj([("prefix", Value::str(path.as_str()))]),
            Self::Exact(path) => Value::obj([("exact", Value::str(path.as_str()))]),
        }
    }

    /// Whether `text` is a path that this matches. A value that is no path matches nothing, not even `any`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        is_path(text) && self.matches_path(text)
    }

    /// As [`matches`](Self::matches) for what is known to be a path.
    #[must_use]
    pub fn matches_path(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => begins(path, prefix),
            Self::Exact(exact) => exact == path,
        }
    }

    /// Whether this contains `child`: every path that `child` matches is matched here.
    #[must_use]
    pub fn contains(&self, child: &Pattern) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Prefix(parent), Self::Prefix(child) | Self::Exact(child)) => begins(child, parent),
            (Self::Exact(parent), Self::Exact(child)) => parent == child,
            _ => false,
        }
    }
}
