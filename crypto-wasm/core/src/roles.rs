//! Roles and bindings: which grants a principal has beside its capability.
//!
//! Source: contracts/spec/in-force.md#roles.

use crate::table::{self, Table};
use std::cmp::Reverse;

use crate::contract::limits::{ROLE_GRANTS, SCOPE_ATTRIBUTE_BYTES, SCOPE_ATTRIBUTES};
use crate::grant::{Grant, parse_grants, server_of};
use crate::json::{Fields, Value};
use crate::policy::{distinct, is_name, name};
use crate::{Code, Error, did};

/// What stands for every principal, and for every value of an attribute.
const ANY: &str = "*";

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: String,
    /// Evaluated like a capability's.
    pub grants: Vec<Grant>,
}

/// Where a binding holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// Where type and attributes fit.
    Of {
        /// Kind of scope.
        kind: String,
        /// Name and value, or `*`.
        attributes: Vec<(String, String)>,
    },
}

/// Gives a principal a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its id; ties go to the lowest.
    pub id: String,
    /// The role's id.
    pub role: String,
    /// A DID, or `*`.
    pub principal: String,
    /// Where it holds.
    pub scope: Scope,
}

impl Role {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let id = name(&mut fields, "id")?;
        let grants = parse_grants(fields.arr("grants")?, ROLE_GRANTS).map_err(|error| {
            let field = match (error.grant, &error.field) {
                (Some(at), Some(field)) => format!("grants[{at}].{field}"),
                (Some(at), None) => format!("grants[{at}]"),
                (None, _) => "grants".to_owned(),
            };
            error.at(field)
        })?;
        fields.finish()?;
        Ok(Self { id, grants })
    }
}

impl Scope {
    fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let kind = name(&mut fields, "type")?;
        if kind == "global" {
            fields.finish()?;
            return Ok(Self::Global);
        }
        let members = fields.obj("attributes")?;
        if !(1..=SCOPE_ATTRIBUTES).contains(&members.len()) {
            return Err(Error::malformed("not 1 to 8 attributes").at("attributes"));
        }
        let mut attributes = Vec::with_capacity(members.len());
        for (attribute, value) in members {
            let fits = |text: &&str| is_name(attribute) && (1..=SCOPE_ATTRIBUTE_BYTES).contains(&text.len());
            let value = value.as_str().filter(fits);
            let value = value.ok_or_else(|| Error::malformed("not an attribute").at("attributes"))?;
            attributes.push((attribute.clone(), value.to_owned()));
        }
        fields.finish()?;
        Ok(Self::Of { kind, attributes })
    }

    /// How closely the scope fits a request's `kind` and `attributes`; `None` when it does not. Global is 0, each equal
    /// attribute 2, each `*` 1.
    #[must_use]
    pub fn specificity(&self, kind: &str, attributes: &[(&str, &str)]) -> Option<usize> {
        let Self::Of { kind: own, attributes: wanted } = self else {
            return Some(0);
        };
        if own != kind {
            return None;
        }
        let mut sum = 0;
        for (name, value) in wanted {
            let (_, found) = attributes.iter().find(|(present, _)| present == name)?;
            sum += match value.as_str() {
                value if value == *found => 2,
                ANY => 1,
                _ => return None,
            };
        }
        Some(sum)
    }
}

impl Binding {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let id = name(&mut fields, "id")?;
        let role = name(&mut fields, "role")?;
        let principal = fields.str("principal")?.to_owned();
        if principal != ANY {
            did::key_of(&principal).map_err(|error| error.at("principal"))?;
        }
        let scope = Scope::parse(fields.value("scope")?).map_err(|error| {
            let field = error.field.as_deref().map_or("scope".to_owned(), |inner| format!("scope.{inner}"));
            error.at(field)
        })?;
        fields.finish()?;
        Ok(Self { id, role, principal, scope })
    }
}

/// Roles and bindings, for looking up.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    roles: Table<Vec<Grant>>,
    /// By principal, `*` among them.
    bindings: Table<Vec<Binding>>,
}

impl Roles {
    /// # Errors
    /// `policy.invalid` for one id twice, or a binding to an unlisted role.
    pub(crate) fn new(roles: Vec<Role>, bindings: Vec<Binding>) -> Result<Self, Error> {
        distinct("roles", roles.iter().map(|role| role.id.as_str()))?;
        distinct("bindings", bindings.iter().map(|binding| binding.id.as_str()))?;
        let roles = Table::new(roles.into_iter().map(|role| (role.id, role.grants)).collect());
        for (at, binding) in bindings.iter().enumerate() {
            if roles.get(&binding.role).is_none() {
                let field = format!("bindings[{at}].role");
                return Err(Error::new(Code::PolicyInvalid, "an unlisted role").at(field));
            }
        }
        let mut bindings = bindings;
        table::sort(&mut bindings, |left, right| left.principal.cmp(&right.principal));
        let mut grouped: Vec<(String, Vec<Binding>)> = Vec::new();
        for binding in bindings {
            match grouped.last_mut() {
                Some((principal, group)) if *principal == binding.principal => group.push(binding),
                _ => grouped.push((binding.principal.clone(), vec![binding])),
            }
        }
        Ok(Self { roles, bindings: Table::new(grouped) })
    }

    /// The effective binding: of those that match principal and scope the most specific, ties by the lowest id.
    #[must_use]
    pub fn effective(&self, principal: &str, kind: &str, attributes: &[(&str, &str)]) -> Option<&Binding> {
        // A principal cannot be called `*`: it is a DID.
        let named = self.bindings.get(principal).into_iter().flatten();
        let everyone = self.bindings.get(ANY).into_iter().flatten();
        named
            .chain(everyone)
            .filter_map(|binding| Some((binding.scope.specificity(kind, attributes)?, binding)))
            .min_by_key(|(specificity, binding)| (Reverse(*specificity), binding.id.as_str()))
            .map(|(_, binding)| binding)
    }

    /// The grants that the effective binding gives `principal` (the root link's `sub`) for a call of `tool`
    /// (`server/name`).
    #[must_use]
    pub fn for_tool(&self, principal: &str, tool: &str) -> Option<&[Grant]> {
        self.grants(principal, &[("server", server_of(tool)), ("tool", tool)])
    }

    /// The same for a message to the server itself: only bindings that ask for no tool fit.
    #[must_use]
    pub fn for_server(&self, principal: &str, server: &str) -> Option<&[Grant]> {
        self.grants(principal, &[("server", server)])
    }

    fn grants(&self, principal: &str, attributes: &[(&str, &str)]) -> Option<&[Grant]> {
        let binding = self.effective(principal, "tool", attributes)?;
        self.roles.get(&binding.role).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
