//! Grants: what a capability allows.
//!
//! Source: contracts/spec/capability.md#grant.

mod arg;
mod atom;
mod name;

pub(crate) use arg::take_bytes;
pub use arg::{Arg, List};
pub use atom::{Atom, Items, Scalar};
pub(crate) use atom::{FEW, has_str};
pub use name::{is_action, is_argument, is_server, is_tool, server_of};

use crate::Error;
use crate::json::{self, Fields, Value};
use crate::limits::{ACTIONS, ARGS, ATOMS};
use crate::path::Pattern;
use crate::table;

/// What a tool does to the world. A request has exactly one class, from the signed registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It only looks.
    Read,
    /// It changes what can be changed back.
    Write,
    /// It changes what cannot.
    Destructive,
    /// It spends money.
    Pay,
}

impl Class {
    /// Every class, in the order of the contract.
    pub const ALL: [Class; 4] = [Class::Read, Class::Write, Class::Destructive, Class::Pay];

    /// The class as it stands in a grant.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
            Self::Pay => "pay",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    /// The set of these classes.
    #[must_use]
    pub fn of(classes: &[Class]) -> Self {
        Self(classes.iter().fold(0, |bits, class| bits | class.bit()))
    }

    /// Whether `class` is one of them.
    #[must_use]
    pub const fn has(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether all of `child` are among them.
    #[must_use]
    pub const fn contains(self, child: Self) -> bool {
        child.0 & !self.0 == 0
    }

    /// The classes, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.has(*class))
    }

    /// Reads a non-empty array of class names in the order of the contract, without repeats.
    ///
    /// # Errors
    /// `MALFORMED` for anything else.
    pub fn parse(items: &[Value]) -> Result<Self, Error> {
        let bad = || Error::malformed("not a set of classes").at("classes");
        let mut classes = Vec::with_capacity(Class::ALL.len());
        for item in items {
            classes.push(item.as_str().and_then(Class::of).ok_or_else(bad)?);
        }
        if classes.is_empty() || !classes.is_sorted_by(|left, right| left < right) {
            return Err(bad());
        }
        Ok(Self::of(&classes))
    }

    /// The set as JSON.
    #[must_use]
    pub fn value(self) -> Value {
        Value::Arr(self.iter().map(|class| Value::str(class.as_str())).collect())
    }
}

/// What may be done with the tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actions {
    /// `"*"`
    Any,
    /// These, sorted and distinct.
    Set(Vec<String>),
}

impl Actions {
    /// Whether `action` is one of them.
    #[must_use]
    pub fn has(&self, action: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Set(set) => set.iter().any(|member| member == action),
        }
    }

    /// Whether all of `child` are among them; any action only where any action is.
    #[must_use]
    pub fn contains(&self, child: &Self) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Set(_), Self::Any) => false,
            (Self::Set(_), Self::Set(child)) => child.iter().all(|action| self.has(action)),
        }
    }

    /// Reads `"*"` or a sorted set of 1..16 actions.
    ///
    /// # Errors
    /// `MALFORMED` for anything else.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        if value.as_str() == Some("*") {
            return Ok(Self::Any);
        }
        let bad = || Error::malformed("not a set of actions").at("actions");
        let items = value.as_arr().ok_or_else(bad)?;
        let mut set = Vec::with_capacity(items.len().min(ACTIONS));
        for item in items {
            set.push(item.as_str().filter(|action| is_action(action)).ok_or_else(bad)?.to_owned());
        }
        let fits = (1..=ACTIONS).contains(&set.len()) && set.is_sorted_by(|left, right| left < right);
        if fits { Ok(Self::Set(set)) } else { Err(bad()) }
    }

    /// The actions as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Any => Value::str("*"),
            Self::Set(set) => Value::Arr(set.iter().map(|action| Value::str(action.as_str())).collect()),
        }
    }
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `server/name`.
    pub tool: String,
    /// Classes that the tool may have.
    pub classes: Classes,
    /// What may be done with it.
    pub actions: Actions,
    /// Where.
    pub resource: Pattern,
    /// Argument names, sorted bytewise, each with its atoms, which are ordered by `op`. All atoms must hold.
    pub args: Vec<(String, Vec<Atom>)>,
    /// Whether arguments that `args` does not name are refused.
    pub closed: bool,
}

impl Grant {
    /// Reads one grant.
    ///
    /// # Errors
    /// `MALFORMED` naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let tool = fields.str("tool")?;
        if !is_tool(tool) {
            return Err(Error::malformed("not a tool").at("tool"));
        }
        let grant = Self {
            tool: tool.to_owned(),
            classes: Classes::parse(fields.arr("classes")?)?,
            actions: Actions::parse(fields.value("actions")?)?,
            resource: Pattern::parse(fields.value("resource")?).map_err(|error| error.at("resource"))?,
            args: parse_args(fields.obj("args")?)?,
            closed: fields.bool("closed")?,
        };
        fields.finish()?;
        Ok(grant)
    }

    /// The grant as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        let args =
            self.args.iter().map(|(name, atoms)| (name.as_str(), Value::Arr(atoms.iter().map(Atom::value).collect())));
        Value::obj([
            ("tool", Value::str(self.tool.as_str())),
            ("classes", self.classes.value()),
            ("actions", self.actions.value()),
            ("resource", self.resource.value()),
            ("args", Value::obj(args)),
            ("closed", Value::Bool(self.closed)),
        ])
    }

    /// The atoms on the argument `name`; none when the grant does not name it.
    #[must_use]
    pub fn atoms(&self, name: &str) -> Option<&[Atom]> {
        let index = self.args.binary_search_by(|(member, _)| member.as_str().cmp(name)).ok()?;
        self.args.get(index).map(|(_, atoms)| atoms.as_slice())
    }
}

fn parse_args(members: &[(String, Value)]) -> Result<Vec<(String, Vec<Atom>)>, Error> {
    if members.len() > ARGS {
        return Err(Error::malformed("too many named arguments").at("args"));
    }
    let mut args = Vec::with_capacity(members.len());
    for (name, value) in members {
        let at = |error: Error| error.at(format!("args.{name}"));
        let items = value.as_arr().ok_or_else(|| at(Error::malformed("not a list of atoms")))?;
        if !is_argument(name) || !(1..=ATOMS).contains(&items.len()) {
            return Err(at(Error::malformed("an argument name or a number of atoms that is not allowed")));
        }
        let atoms = json::each(items, Atom::parse).map_err(at)?;
        if !atoms.is_sorted_by(|left, right| left.op() < right.op()) {
            return Err(at(Error::malformed("atoms out of order")));
        }
        args.push((name.clone(), atoms));
    }
    table::sort(&mut args, |(left, _), (right, _)| left.cmp(right));
    Ok(args)
}

/// Reads the grants of a link or a role: 1..=`most`, ordered by tool, no two equal.
///
/// # Errors
/// `LIMIT_EXCEEDED` above `most`; otherwise `MALFORMED`, both with field `grants` or the member of the grant at fault.
pub fn parse_grants(items: &[Value], most: usize) -> Result<Vec<Grant>, Error> {
    if items.len() > most {
        return Err(Error::limit("too many grants").at("grants"));
    }
    let mut grants = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        grants.push(Grant::parse(item).map_err(|error| error.in_grant(index))?);
    }
    check_order(&grants)?;
    Ok(grants)
}

/// Whether there is a grant, they are ordered by tool and no two are equal.
///
/// # Errors
/// `MALFORMED`, field `grants`.
pub fn check_order(grants: &[Grant]) -> Result<(), Error> {
    if grants.is_empty() || !grants.is_sorted_by(|left, right| left.tool <= right.tool) {
        return Err(Error::malformed("no grants, or not ordered by tool").at("grants"));
    }
    let same_tool = |left: &Grant, right: &Grant| left.tool == right.tool;
    let repeats = |group: &[Grant]| {
        group.iter().enumerate().any(|(index, grant)| group.iter().take(index).any(|other| other == grant))
    };
    if grants.chunk_by(same_tool).any(repeats) {
        return Err(Error::malformed("one grant twice").at("grants"));
    }
    Ok(())
}

/// Grants as JSON.
#[must_use]
pub fn grants_value(grants: &[Grant]) -> Value {
    Value::Arr(grants.iter().map(Grant::value).collect())
}
