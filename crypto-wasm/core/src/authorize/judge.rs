//! Steps 9 to 12: registry, leaf, roles, forbid rules.
//!
//! Source: contracts/spec/capability.md#decision, contracts/spec/in-force.md#roles and #forbid-rules.

use super::asked::{About, Asked, Call, Place};
use super::party::Party;
use crate::contract::Surface;
use crate::decide::{self, Args, Decision, Need, Resource};
use crate::grant::{Class, server_of};
use crate::path::is_path;
use crate::policy::Policy;
use crate::proof::Form;
use crate::registry::{Keep, ResourceFrom};
use crate::surface;
use crate::{Code, Error};

/// What was decided about what was asked.
pub(super) struct Judged {
    /// The answer: of a batch, the first failure of the request itself, or allow.
    pub(super) decision: Decision,
    /// Of a batch: one an item.
    pub(super) each: Vec<Decision>,
}

/// What the registry says of a call.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) class: Class,
    pub(super) rate_class: &'a str,
    knows_action: bool,
    resource: &'a ResourceFrom,
}

/// The rate class of what the registry does not say: a refusal has to be admitted too.
const RATE_READ: &str = "read";

/// The registry's entry for a call, or nothing when the tool is unknown. Our own tools are the surfaces' documents.
pub(super) fn entry<'a>(policy: &'a Policy, call: &Call) -> Option<Entry<'a>> {
    let mut entry = if let Some(surface) = surface::of_tool(&call.tool, &call.action) {
        Entry {
            class: Class::of(surface.class.unwrap_or_default()).unwrap_or(Class::Read),
            rate_class: surface.rate_class.filter(|class| *class != "registry").unwrap_or(RATE_READ),
            knows_action: surface.action == Some(call.action.as_str()),
            resource: &ResourceFrom::Nowhere,
        }
    } else if let Some(tool) = policy.registry.tool(&call.tool) {
        Entry {
            class: tool.class,
            rate_class: &tool.rate_class,
            knows_action: tool.takes(&call.action),
            resource: &tool.resource,
        }
    } else if policy.unregistered_destructive && policy.registry.server(server_of(&call.tool)).is_some() {
        let resource = &ResourceFrom::Nowhere;
        Entry { class: Class::Destructive, rate_class: RATE_READ, knows_action: true, resource }
    } else {
        return None;
    };
    if call.read {
        entry.class = Class::Read;
        entry.rate_class = RATE_READ;
    }
    Some(entry)
}

/// What of a call the policy keeps.
pub(super) fn keep(policy: &Policy, call: &Call) -> Option<Keep> {
    policy.registry.tool(&call.tool).and_then(|tool| tool.keep)
}

/// The highest class that is asked for; nothing when no tool is known.
pub(super) fn class(policy: &Policy, about: &About) -> Option<Class> {
    match about {
        About::Holder | About::Server(_) => Some(Class::Read),
        About::Calls(calls) => calls.iter().filter_map(|call| entry(policy, call)).map(|entry| entry.class).max(),
        About::Nothing => None,
    }
}

/// The rate class of each thing asked for, in order.
pub(super) fn rate_classes<'a>(policy: &'a Policy, surface: &Surface, about: &About) -> Vec<&'a str> {
    match about {
        About::Calls(calls) => {
            calls.iter().map(|call| entry(policy, call).map_or(RATE_READ, |entry| entry.rate_class)).collect()
        }
        About::Holder if surface.name == "sessions.open" => vec!["session"],
        About::Holder | About::Server(_) | About::Nothing => vec![RATE_READ],
    }
}

/// The need of a call, borrowed from it.
pub(super) fn need<'a>(call: &'a Call, entry: &Entry<'_>) -> Need<'a> {
    let args = Args::new(&call.args);
    let resource = match (&call.place, entry.resource) {
        (Place::Message(named), _) | (Place::Beside(named), ResourceFrom::Explicit) => {
            named.as_deref().filter(|text| is_path(text)).map_or(Resource::Bad, Resource::Path)
        }
        // Named where the registry does not look: deciding on something else would answer another question.
        (Place::Beside(Some(_)), _) | (Place::Registry, ResourceFrom::Explicit) => Resource::Bad,
        (Place::Registry | Place::Beside(None), ResourceFrom::Argument(name)) => Resource::named(args.get(name)),
        (Place::Registry | Place::Beside(None), ResourceFrom::Nowhere) => Resource::None,
    };
    Need { tool: &call.tool, class: entry.class, action: &call.action, resource, args }
}

/// Decides all that was asked.
pub(super) fn judge(policy: &Policy, surface: &Surface, party: &Party, asked: &Asked) -> Judged {
    match &asked.about {
        About::Nothing => {
            let unknown = Error::new(Code::UnknownTool, "a message that nobody may send").at("method");
            Judged { decision: unknown.into(), each: Vec::new() }
        }
        About::Holder if surface.name == "sessions.open" && party.proof.form != Form::Signed => {
            let error = Error::new(Code::ProofInvalid, "a session is opened with a chain").at("talos-ticket");
            Judged { decision: error.into(), each: Vec::new() }
        }
        About::Holder => {
            // No tool is called; a rule that forbids everything, or everything of ours, forbids this too.
            let name = format!("talos/{}", surface.name);
            let decision = forbidden(policy, party, &name, Class::Read).err().map_or(Decision::ALLOW, Decision::from);
            Judged { decision, each: Vec::new() }
        }
        About::Server(server) => {
            let decision = on_server(policy, party, server).err().map_or(Decision::ALLOW, Decision::from);
            Judged { decision, each: Vec::new() }
        }
        About::Calls(calls) if asked.batch && asked.reports.is_empty() => {
            // One proof speaks for all items, so its form must do for each of them.
            let form = class(policy, &asked.about).map_or(Ok(()), |class| party.check_form(class));
            if let Err(error) = form {
                return Judged { decision: error.into(), each: Vec::new() };
            }
            let each = calls.iter().map(|call| decide_call(policy, party, call)).collect();
            Judged { decision: Decision::ALLOW, each }
        }
        About::Calls(calls) => {
            let decision = calls.first().map(|call| decide_call(policy, party, call));
            let missing = || Error::new(Code::Internal, "no call").into();
            Judged { decision: decision.unwrap_or_else(missing), each: Vec::new() }
        }
    }
}

/// Steps 9 to 12 for one call.
pub(super) fn decide_call(policy: &Policy, party: &Party, call: &Call) -> Decision {
    let unknown = |field: &str| Error::new(Code::UnknownTool, "not in the registry").at(field).into();
    let Some(entry) = entry(policy, call) else {
        return unknown("tool");
    };
    if !entry.knows_action {
        return unknown("action");
    }
    if let Err(error) = party.check_form(entry.class) {
        return error.into();
    }
    let need = need(call, &entry);
    let lineage = party.lineage();
    let decision = Decision::of_leaf(party.grants(), &need, lineage.links.len().saturating_sub(1));
    if !decision.allow() {
        return decision;
    }
    let role = policy.roles.for_tool(&lineage.root_sub, &call.tool);
    if role.is_none_or(|grants| decide::decide(grants, &need).is_err()) {
        return role_denied().into();
    }
    forbidden(policy, party, &call.tool, entry.class).err().map_or(Decision::ALLOW, Decision::from)
}

/// Any grant on the server, from the leaf and from the role.
fn on_server(policy: &Policy, party: &Party, server: &str) -> Result<(), Error> {
    if policy.registry.server(server).is_none() {
        return Err(Error::new(Code::UnknownTool, "not a server of the policy").at("tool"));
    }
    if !decide::on_server(party.grants(), server) {
        return Err(Error::new(Code::ScopeMismatch, "no grant on this server").at("tool"));
    }
    let role = policy.roles.for_server(&party.lineage().root_sub, server);
    if !role.is_some_and(|grants| decide::on_server(grants, server)) {
        return Err(role_denied());
    }
    // A rule on one tool does not forbid talking to its server; one on all of them does.
    forbidden(policy, party, &format!("{server}/"), Class::Read)
}

fn role_denied() -> Error {
    Error::new(Code::RoleDenied, "no role that allows it")
}

/// Step 12.
pub(super) fn forbidden(policy: &Policy, party: &Party, tool: &str, class: Class) -> Result<(), Error> {
    match policy.forbids.hit(party.lineage(), tool, class) {
        Some(_) => Err(Error::new(Code::Forbidden, "a forbid rule")),
        None => Ok(()),
    }
}

/// Whether a listed name may be shown: capability, roles and forbid rules, arguments left aside; and the class of a call.
pub(super) fn shows(policy: &Policy, party: &Party, call: &Call, with_resource: bool) -> (bool, Option<Class>) {
    let Some(entry) = entry(policy, call).filter(|entry| entry.knows_action) else {
        return (false, None);
    };
    let lineage = party.lineage();
    let need = need(call, &entry);
    let names = |grants| {
        if with_resource {
            decide::names_resource(grants, need.tool, need.class, need.action, need.resource)
        } else {
            decide::names(grants, need.tool, need.class, need.action)
        }
    };
    let role = policy.roles.for_tool(&lineage.root_sub, &call.tool);
    let shown =
        names(party.grants()) && role.is_some_and(names) && forbidden(policy, party, &call.tool, entry.class).is_ok();
    (shown, Some(entry.class))
}
