//! Deciding one request on the grants of a leaf or a role, with the reason of a refusal.
//!
//! Allowing allocates nothing. Grants are ordered by tool, so that only those of the tool are looked at.
//! Source: contracts/spec/capability.md#grant and #decision.

use crate::error::Refusal;
use crate::grant::{Arg, Class, FEW, Grant};
use crate::json::{Value, print};
use crate::path::{Pattern, is_path};
use crate::table;
use crate::{Code, Error};

/// The longest argument, in bytes of canonical JSON, that a refusal shows again (schemas/capability/decision.schema.json).
const SHOWN_BYTES: usize = 1_024;

/// The resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The tool has none; only `any` fits.
    None,
    /// A path.
    Path(&'a str),
    /// The tool has one, and the request names none or none that is a path: nothing fits.
    Bad,
}

impl<'a> Resource<'a> {
    /// The resource of a tool that has one, as the request names it.
    #[must_use]
    pub fn required(named: Option<&'a Value>) -> Self {
        Self::named(named.map(Arg::of))
    }

    /// As [`required`](Self::required).
    #[must_use]
    pub fn named(named: Option<Arg<'a>>) -> Self {
        named.and_then(Arg::as_str).filter(|text| is_path(text)).map_or(Self::Bad, Self::Path)
    }

    fn fits(self, pattern: &Pattern) -> bool {
        match self {
            Self::None => *pattern == Pattern::Any,
            Self::Path(path) => pattern.matches_path(path),
            Self::Bad => false,
        }
    }
}

/// The arguments of a request by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Args<'a> {
    /// As many as most calls have need no allocation.
    few: [(&'a str, Arg<'a>); FEW],
    count: usize,
    /// All of them when there are more than a few.
    many: Vec<(&'a str, Arg<'a>)>,
}

impl Default for Args<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> Args<'a> {
    /// No arguments.
    pub const EMPTY: Self = Self { few: [("", Arg::Bool(false)); FEW], count: 0, many: Vec::new() };

    /// The members of the request's arguments, whose names are distinct as those of every parsed object.
    #[must_use]
    pub fn new(members: &'a [(String, Value)]) -> Self {
        let mut args = Self::EMPTY;
        for (name, value) in members {
            args.push(name, Arg::of(value));
        }
        args.sort();
        args
    }

    /// As [`new`](Self::new), of members that are in the order of their names.
    pub(crate) fn sorted(members: &'a [(String, Value)]) -> Self {
        let mut args = Self::EMPTY;
        for (name, value) in members {
            args.push(name, Arg::of(value));
        }
        args
    }

    /// The arguments that `next` gives until it gives none, or nothing when it fails or two have one name: which of them
    /// counts would be left open.
    pub fn distinct(mut next: impl FnMut() -> Option<Option<(&'a str, Arg<'a>)>>) -> Option<Self> {
        let mut args = Self::EMPTY;
        while let Some((name, value)) = next()? {
            args.push(name, value);
        }
        args.sort();
        args.all().is_sorted_by(|left, right| left.0 < right.0).then_some(args)
    }

    fn push(&mut self, name: &'a str, value: Arg<'a>) {
        if let Some(place) = self.few.get_mut(self.count) {
            *place = (name, value);
        } else {
            if self.many.is_empty() {
                self.many.extend_from_slice(&self.few);
            }
            self.many.push((name, value));
        }
        self.count += 1;
    }

    /// By name, so that neither many arguments nor many grants cost their product.
    fn sort(&mut self) {
        if self.many.is_empty() {
            let few = self.few.get_mut(..self.count).unwrap_or_default();
            for end in 1..few.len() {
                for at in (1..=end).rev() {
                    match few.get_mut(at - 1..=at) {
                        Some([left, right]) if right.0 < left.0 => core::mem::swap(left, right),
                        _ => break,
                    }
                }
            }
        } else {
            table::sort(&mut self.many, |left, right| left.0.cmp(right.0));
        }
    }

    /// All of them by name.
    pub(crate) fn all(&self) -> &[(&'a str, Arg<'a>)] {
        if self.many.is_empty() { self.few.get(..self.count).unwrap_or_default() } else { &self.many }
    }

    /// Which argument is called `name`, in the order of their names.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        if self.many.is_empty() {
            self.all().iter().position(|(own, _)| *own == name)
        } else {
            self.many.binary_search_by_key(&name, |(own, _)| own).ok()
        }
    }

    /// The argument called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arg<'a>> {
        self.all().get(self.position(name)?).map(|(_, value)| *value)
    }
}

/// What a request needs of a grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Need<'a> {
    /// `server/name`.
    pub tool: &'a str,
    /// From the signed registry, never from the caller.
    pub class: Class,
    /// What it does with the tool.
    pub action: &'a str,
    /// Where.
    pub resource: Resource<'a>,
    /// With what.
    pub args: Args<'a>,
}

impl Need<'_> {
    /// The need as a refusal shows it: of the arguments only the one called `shown`, and not if it is long.
    #[must_use]
    pub fn value(&self, shown: Option<&str>) -> Value {
        let mut members = vec![
            ("tool", Value::str(self.tool)),
            ("class", Value::str(self.class.as_str())),
            ("action", Value::str(self.action)),
        ];
        if let Resource::Path(path) = self.resource {
            members.push(("resource", Value::str(path)));
        }
        let argument = shown.and_then(|name| self.args.get(name).map(|value| (name, value.value())));
        if let Some((name, value)) = argument.filter(|(_, value)| print(value).len() <= SHOWN_BYTES) {
            members.push(("args", Value::obj([(name, value)])));
        }
        Value::obj(members)
    }
}

/// The first place where a grant does not fit. The order of the variants is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit<'a> {
    /// Another tool.
    Tool,
    /// A class that it does not cover.
    Class,
    /// An action that it does not name.
    Action,
    /// Another resource.
    Resource,
    /// An atom is false of this argument.
    Arg(&'a str),
    /// A closed grant does not name this argument.
    Closed(&'a str),
}

impl Misfit<'_> {
    const fn rank(self) -> u8 {
        match self {
            Self::Tool => 0,
            Self::Class => 1,
            Self::Action => 2,
            Self::Resource => 3,
            Self::Arg(_) | Self::Closed(_) => 4,
        }
    }

    /// The code of a refusal for this reason.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Tool | Self::Action | Self::Resource => Code::ScopeMismatch,
            Self::Class => Code::ClassMismatch,
            Self::Arg(_) | Self::Closed(_) => Code::ArgumentMismatch,
        }
    }

    /// The field as a decision names it.
    #[must_use]
    pub fn field(self) -> String {
        match self {
            Self::Tool => "tool".into(),
            Self::Class => "class".into(),
            Self::Action => "action".into(),
            Self::Resource => "resource".into(),
            Self::Arg(name) => format!("args.{name}"),
            Self::Closed(name) => format!("closed.{name}"),
        }
    }
}

/// The first grant that allows `need`.
///
/// # Errors
/// The nearest grant and where it does not fit: the one whose first misfit comes latest in the order of the checks, the first
/// of several.
pub fn decide<'a>(grants: &'a [Grant], need: &'a Need<'_>) -> Result<usize, (usize, Misfit<'a>)> {
    let mut nearest = (0, Misfit::Tool);
    for (index, grant) in of_tool(grants, need.tool) {
        match misfit(grant, need) {
            None => return Ok(index),
            Some(misfit) if misfit.rank() > nearest.1.rank() => nearest = (index, misfit),
            Some(_) => {}
        }
    }
    Err(nearest)
}

/// The grants of `tool` with their indices. `grants` are ordered by tool.
fn of_tool<'a>(grants: &'a [Grant], tool: &str) -> impl Iterator<Item = (usize, &'a Grant)> {
    let start = grants.partition_point(|grant| grant.tool.as_str() < tool);
    grants.iter().enumerate().skip(start).take_while(move |(_, grant)| grant.tool == tool)
}

/// Where a grant of the need's tool does not fit.
fn misfit<'a>(grant: &'a Grant, need: &'a Need<'_>) -> Option<Misfit<'a>> {
    if !grant.classes.has(need.class) {
        return Some(Misfit::Class);
    }
    if !grant.actions.has(need.action) {
        return Some(Misfit::Action);
    }
    if !need.resource.fits(&grant.resource) {
        return Some(Misfit::Resource);
    }
    for (name, atoms) in &grant.args {
        // An absent argument makes its atoms false.
        if !need.args.get(name).is_some_and(|value| atoms.iter().all(|atom| atom.holds_of(value))) {
            return Some(Misfit::Arg(name));
        }
    }
    // Every named argument is there, so as many as are named means no other.
    if grant.closed && need.args.count != grant.args.len() {
        return need
            .args
            .all()
            .iter()
            .find(|(name, _)| grant.atoms(name).is_none())
            .map(|(name, _)| Misfit::Closed(name));
    }
    None
}

/// Whether a grant names the tool with this class and action, its resource and arguments left aside: what lists show.
#[must_use]
pub fn names(grants: &[Grant], tool: &str, class: Class, action: &str) -> bool {
    of_tool(grants, tool).any(|(_, grant)| grant.classes.has(class) && grant.actions.has(action))
}

/// As [`names`], and the grant's resource fits too.
#[must_use]
pub fn names_resource(grants: &[Grant], tool: &str, class: Class, action: &str, resource: Resource<'_>) -> bool {
    let fits = |grant: &Grant| grant.classes.has(class) && grant.actions.has(action) && resource.fits(&grant.resource);
    of_tool(grants, tool).any(|(_, grant)| fits(grant))
}

/// Whether there is any grant on `server`.
#[must_use]
pub fn on_server(grants: &[Grant], server: &str) -> bool {
    grants.iter().any(|grant| grant.tool.strip_prefix(server).is_some_and(|rest| rest.starts_with('/')))
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// `OK`, or the first check that failed.
    pub code: Code,
    /// The offending link, root first.
    pub link: Option<usize>,
    /// The nearest grant.
    pub grant: Option<usize>,
    /// Where it failed.
    pub field: Option<String>,
    /// What was asked. Shown to the holder only.
    pub need: Option<Value>,
}

impl Decision {
    /// The answer that allows.
    pub const ALLOW: Self = Self { code: Code::Ok, link: None, grant: None, field: None, need: None };

    /// Whether the request may go on.
    #[must_use]
    pub fn allow(&self) -> bool {
        self.code == Code::Ok
    }

    /// Step 10: the grants of the leaf, which is link `leaf`.
    #[must_use]
    pub fn of_leaf(grants: &[Grant], need: &Need<'_>, leaf: usize) -> Self {
        match decide(grants, need) {
            Ok(_) => Self::ALLOW,
            Err((grant, misfit)) => {
                let shown = if let Misfit::Arg(name) | Misfit::Closed(name) = misfit { Some(name) } else { None };
                Self {
                    code: misfit.code(),
                    link: Some(leaf),
                    grant: Some(grant),
                    field: Some(misfit.field()),
                    need: Some(need.value(shown)),
                }
            }
        }
    }

    /// The decision as JSON, with `need` only for the holder. Members that do not apply are absent.
    #[must_use]
    pub fn value(&self, to_holder: bool) -> Value {
        let index = |index: usize| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        let mut members = vec![("allow", Value::Bool(self.allow())), ("code", Value::str(self.code.as_str()))];
        members.extend(self.link.map(|link| ("link", index(link))));
        members.extend(self.grant.map(|grant| ("grant", index(grant))));
        members.extend(self.field.as_deref().map(|field| ("field", Value::str(field))));
        members.extend(self.need.clone().filter(|_| to_holder).map(|need| ("need", need)));
        Value::obj(members)
    }
}

impl From<Error> for Decision {
    /// The refusal for a check that failed. Never allows: an error with the code `OK` becomes `internal`.
    fn from(error: Error) -> Self {
        let Refusal { code, field, link, grant, .. } = error.into_refusal();
        let code = if code == Code::Ok { Code::Internal } else { code };
        Self { code, link, grant, field, need: None }
    }
}
