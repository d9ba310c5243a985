//! A need in a frame, decided without copies and answered with a number.
//!
//! Layout: class, whether a resource is named (two bytes), then after their `u32` lengths tool, action and, if named,
//! resource; then for each argument its name and the argument ([`Arg`]). Source: `crypto-wasm/leaf.ts`.

use crate::decide::{self, Args, Misfit, Need, Resource};
use crate::grant::{Arg, Class, Grant, take_bytes};
use crate::json::Value;

/// The answer to what is no frame of a need.
pub const NO_NEED: u32 = 7;

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    core::str::from_utf8(take_bytes(rest)?).ok()
}

/// The need of `frame`.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Need<'_>> {
    let (&[class, named], mut rest) = frame.split_first_chunk::<2>()?;
    let class = *Class::ALL.get(usize::from(class))?;
    let (tool, action) = (text(&mut rest)?, text(&mut rest)?);
    let resource = match named {
        0 => Resource::None,
        1 => Resource::named(Some(Arg::Str(text(&mut rest)?))),
        _ => return None,
    };
    let args = Args::distinct(|| {
        if rest.is_empty() {
            return Some(None);
        }
        Some(Some((text(&mut rest)?, Arg::take(&mut rest)?)))
    })?;
    Some(Need { tool, class, action, resource, args })
}

/// A need that is kept: read once, its arguments in the order of their names.
#[derive(Debug)]
pub struct Kept {
    tool: String,
    class: Class,
    action: String,
    resource: KeptResource,
    args: Vec<(String, Value)>,
}

#[derive(Debug)]
enum KeptResource {
    None,
    Path(String),
    Bad,
}

impl Kept {
    /// The need of `frame`, or nothing when it is none.
    #[must_use]
    pub fn new(frame: &[u8]) -> Option<Self> {
        let Need { tool, class, action, resource, args } = read(frame)?;
        Some(Self {
            tool: tool.to_owned(),
            class,
            action: action.to_owned(),
            resource: match resource {
                Resource::None => KeptResource::None,
                Resource::Path(path) => KeptResource::Path(path.to_owned()),
                Resource::Bad => KeptResource::Bad,
            },
            args: args.all().iter().map(|(name, value)| ((*name).to_owned(), value.value())).collect(),
        })
    }

    /// The [`answer`] to it.
    #[must_use]
    pub fn decide(&self, grants: &[Grant]) -> u32 {
        let resource = match &self.resource {
            KeptResource::None => Resource::None,
            KeptResource::Path(path) => Resource::Path(path),
            KeptResource::Bad => Resource::Bad,
        };
        let args = Args::sorted(&self.args);
        answer(grants, &Need { tool: &self.tool, class: self.class, action: &self.action, resource, args })
    }
}

/// The [`answer`] to the need of `frame`.
#[must_use]
pub fn decide(grants: &[Grant], frame: &[u8]) -> u32 {
    read(frame).map_or(NO_NEED, |need| answer(grants, &need))
}

/// What `grants` say: 0 when one allows; else 1 to 6 for tool, class, action, resource, argument, closed, with the nearest
/// grant from bit 3 on and, from bit 16 on, which argument: of the grant's, or of the need's by name for a closed grant.
#[must_use]
pub fn answer(grants: &[Grant], need: &Need<'_>) -> u32 {
    let Err((grant, misfit)) = decide::decide(grants, need) else {
        return 0;
    };
    let named = |name: &str| grants.get(grant)?.args.iter().position(|(own, _)| own == name);
    let (kind, argument) = match misfit {
        Misfit::Tool => (1, 0),
        Misfit::Class => (2, 0),
        Misfit::Action => (3, 0),
        Misfit::Resource => (4, 0),
        Misfit::Arg(name) => (5, named(name).unwrap_or_default()),
        Misfit::Closed(name) => (6, need.args.position(name).unwrap_or_default()),
    };
    // A leaf has at most 256 grants and a call 1,024 arguments: both fit their bits.
    let bits = |number: usize, at: u32| u32::try_from(number).unwrap_or_default() << at;
    kind | bits(grant, 3) | bits(argument, 16)
}
