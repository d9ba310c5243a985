//! Forbid rules: they win over every grant and every role, and delegating is no escape from them.
//!
//! Source: contracts/spec/in-force.md#forbid-rules.

use crate::contract::limits::REASON_BYTES;
use crate::grant::{Class, Classes, is_server, is_tool, server_of};
use crate::json::{Fields, Value};
use crate::lineage::Lineage;
use crate::policy::name;
use crate::{Error, b64, did, jwk};

/// Whom a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    Everyone,
    /// A DID, and the thumbprint of the key that it encodes: the same key under its other name is no escape.
    Did(String, Option<String>),
    Key(String),
}

/// Which tools a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tools {
    All,
    OfServer(String),
    One(String),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbid {
    /// Its id.
    pub id: String,
    /// For people; never shown to a caller.
    pub reason: String,
    principal: Principal,
    tools: Tools,
    classes: Classes,
}

impl Forbid {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let id = name(&mut fields, "id")?;
        let principal = match fields.str("principal")? {
            "*" => Principal::Everyone,
            text if text.starts_with("did:") => {
                let key = did::key_of(text).map_err(|error| error.at("principal"))?;
                Principal::Did(text.to_owned(), key.map(|key| jwk::thumbprint(&key)))
            }
            text => {
                b64::decode32(text).map_err(|error| error.at("principal"))?;
                Principal::Key(text.to_owned())
            }
        };
        let tools = match fields.str("tool")? {
            "*" => Tools::All,
            text => match text.strip_suffix("/*") {
                Some(server) if is_server(server) => Tools::OfServer(server.to_owned()),
                None if is_tool(text) => Tools::One(text.to_owned()),
                _ => return Err(Error::malformed("not a tool, server/* or *").at("tool")),
            },
        };
        let classes = Classes::parse(fields.arr("classes")?)?;
        let reason = fields.str("reason")?.to_owned();
        if !(1..=REASON_BYTES).contains(&reason.len()) {
            return Err(Error::malformed("no reason, or one that is too long").at("reason"));
        }
        fields.finish()?;
        Ok(Self { id, reason, principal, tools, classes })
    }

    /// Whether the rule names anyone in `chain`: an issuer, a holder, or a key that signs or holds.
    fn concerns(&self, chain: &Lineage) -> bool {
        let has_key = |jkt: &str| chain.keys().any(|own| own == jkt);
        match &self.principal {
            Principal::Everyone => true,
            Principal::Key(jkt) => has_key(jkt),
            Principal::Did(did, jkt) => chain.names().any(|name| name == did) || jkt.as_deref().is_some_and(has_key),
        }
    }

    fn fits(&self, tool: &str, class: Class) -> bool {
        self.classes.has(class)
            && match &self.tools {
                Tools::All => true,
                Tools::OfServer(server) => server_of(tool) == server,
                Tools::One(own) => own == tool,
            }
    }
}

/// The rules of a tenant.
#[derive(Clone, Debug, Default)]
pub struct Forbids(Vec<Forbid>);

impl Forbids {
    pub(crate) const fn new(rules: Vec<Forbid>) -> Self {
        Self(rules)
    }

    /// The first rule that forbids `chain` to call `tool` of `class`.
    #[must_use]
    pub fn hit(&self, chain: &Lineage, tool: &str, class: Class) -> Option<&Forbid> {
        self.0.iter().find(|rule| rule.fits(tool, class) && rule.concerns(chain))
    }
}

#[cfg(test)]
mod tests;
