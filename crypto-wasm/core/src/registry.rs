//! The signed registry: servers, tools and rate classes of a tenant.
//!
//! Source: contracts/spec/in-force.md#policy-snapshot, contracts/schemas/policy/parts.schema.json.

use crate::contract::limits::{
    RATE_CAPACITY, RATE_CONCURRENCY, RATE_COST, RATE_REFILL_PER_SECOND, UPSTREAM_TIMEOUT_MS_MAX, URL_BYTES,
};
use crate::grant::{Actions, Class, is_argument, is_server, is_tool, server_of};
use crate::json::{Fields, Value};
use crate::policy::{distinct, name};
use crate::table::Table;
use crate::{Code, Error};

/// The server whose tools are our own surfaces.
pub const OWN_SERVER: &str = "talos";

/// An MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its Streamable HTTP endpoint.
    pub url: String,
    /// To the headers of an answer and between its bytes, milliseconds.
    pub timeout_ms: Option<i64>,
}

/// Where the resource of a tool's call is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceFrom {
    /// It has none.
    Nowhere,
    /// Beside the arguments.
    Explicit,
    /// In the argument of this name.
    Argument(String),
}

/// What of a tool's calls is kept, sealed. Source: contracts/spec/erasure.md#what-is-kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Arguments.
    Args,
    /// Results.
    Result,
    /// Both.
    Both,
}

impl Keep {
    fn of(word: &str) -> Option<Self> {
        [Self::Args, Self::Result, Self::Both].into_iter().find(|keep| keep.as_str() == word)
    }

    /// Its name in policies and facts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Args => "args",
            Self::Result => "result",
            Self::Both => "both",
        }
    }
}

/// A registry entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// `server/name`.
    pub tool: String,
    /// What it does to the world.
    pub class: Class,
    /// Actions that it takes, sorted, distinct.
    pub actions: Vec<String>,
    /// Where the resource is found.
    pub resource: ResourceFrom,
    /// Rate class of its calls.
    pub rate_class: String,
    /// Tokens that one call takes.
    pub cost: i64,
    /// What of its calls is kept; nothing where the policy does not say.
    pub keep: Option<Keep>,
}

/// The buckets of one kind of call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateClass {
    /// Its name.
    pub name: String,
    /// Tokens of the root's bucket.
    pub capacity: i64,
    /// Tokens that come back each second.
    pub refill_per_second: i64,
    /// Share of a link in its parent's bucket.
    pub link_share_percent: i64,
    /// Calls in flight at the root.
    pub concurrency: i64,
}

/// `http(s)://` and visible ASCII without a fragment.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.len() <= URL_BYTES
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

impl Server {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let name = fields.str("name")?.to_owned();
        if !is_server(&name) || name == OWN_SERVER {
            return Err(Error::malformed("not a server's name").at("name"));
        }
        let url = fields.str("url")?.to_owned();
        if !is_url(&url) {
            return Err(Error::malformed("not a URL").at("url"));
        }
        let timeout_ms = fields.opt_int("timeout_ms", 100, UPSTREAM_TIMEOUT_MS_MAX)?;
        fields.finish()?;
        Ok(Self { name, url, timeout_ms })
    }
}

impl Tool {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let tool = fields.str("tool")?.to_owned();
        if !is_tool(&tool) {
            return Err(Error::malformed("not a tool").at("tool"));
        }
        let class = Class::of(fields.str("class")?).ok_or_else(|| Error::malformed("an unknown class").at("class"))?;
        let Ok(Actions::Set(actions)) = Actions::parse(fields.value("actions")?) else {
            return Err(Error::malformed("not a set of actions").at("actions"));
        };
        let resource = match (fields.opt_str("resource")?, fields.opt_str("resource_arg")?) {
            (None, None) => ResourceFrom::Nowhere,
            (None, Some(argument)) if is_argument(argument) => ResourceFrom::Argument(argument.to_owned()),
            (None, Some(_)) => return Err(Error::malformed("not an argument's name").at("resource_arg")),
            (Some(_), Some(_)) => return Err(Error::malformed("two places of the resource").at("resource_arg")),
            (Some(word), None) => {
                let own = server_of(&tool) == OWN_SERVER || tool.ends_with("/@resource");
                if word != "explicit" || !own {
                    return Err(Error::malformed("a resource that the call does not name").at("resource"));
                }
                ResourceFrom::Explicit
            }
        };
        let rate_class = name(&mut fields, "rate_class")?;
        let cost = fields.opt_int("cost", 1, RATE_COST)?.unwrap_or(1);
        let keep = match fields.opt_str("keep")? {
            Some(word) => Some(Keep::of(word).ok_or_else(|| Error::malformed("nothing that can be kept").at("keep"))?),
            None => None,
        };
        fields.finish()?;
        Ok(Self { tool, class, actions, resource, rate_class, cost, keep })
    }

    /// Whether it takes the action.
    #[must_use]
    pub fn takes(&self, action: &str) -> bool {
        self.actions.iter().any(|own| own == action)
    }
}

impl RateClass {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(value)?;
        let class = Self {
            name: name(&mut fields, "name")?,
            capacity: fields.int("capacity", 1, RATE_CAPACITY)?,
            refill_per_second: fields.int("refill_per_second", 1, RATE_REFILL_PER_SECOND)?,
            link_share_percent: fields.int("link_share_percent", 1, 100)?,
            concurrency: fields.int("concurrency", 1, i64::try_from(RATE_CONCURRENCY).unwrap_or(0))?,
        };
        fields.finish()?;
        Ok(class)
    }
}

/// The registry, for looking up.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    servers: Table<Server>,
    tools: Table<Tool>,
    rate_classes: Table<RateClass>,
}

impl Registry {
    /// # Errors
    /// `policy.invalid` for one name twice, a tool of an unlisted server or of an unlisted rate class.
    pub(crate) fn new(servers: Vec<Server>, tools: Vec<Tool>, rate_classes: Vec<RateClass>) -> Result<Self, Error> {
        distinct("servers", servers.iter().map(|server| server.name.as_str()))?;
        distinct("tools", tools.iter().map(|tool| tool.tool.as_str()))?;
        distinct("rate_classes", rate_classes.iter().map(|class| class.name.as_str()))?;
        let servers = Table::new(servers.into_iter().map(|server| (server.name.clone(), server)).collect());
        let rate_classes = Table::new(rate_classes.into_iter().map(|class| (class.name.clone(), class)).collect());
        for (at, tool) in tools.iter().enumerate() {
            let server = server_of(&tool.tool);
            if server != OWN_SERVER && servers.get(server).is_none() {
                let field = format!("tools[{at}].tool");
                return Err(Error::new(Code::PolicyInvalid, "a tool of an unlisted server").at(field));
            }
            if rate_classes.get(&tool.rate_class).is_none() {
                let field = format!("tools[{at}].rate_class");
                return Err(Error::new(Code::PolicyInvalid, "an unlisted rate class").at(field));
            }
        }
        let tools = Table::new(tools.into_iter().map(|tool| (tool.tool.clone(), tool)).collect());
        Ok(Self { servers, tools, rate_classes })
    }

    /// The entry of a tool, by its exact name.
    #[must_use]
    pub fn tool(&self, tool: &str) -> Option<&Tool> {
        self.tools.get(tool)
    }

    /// A server, by its exact name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers.get(name)
    }

    /// A rate class, by its exact name.
    #[must_use]
    pub fn rate_class(&self, name: &str) -> Option<&RateClass> {
        self.rate_classes.get(name)
    }
}
