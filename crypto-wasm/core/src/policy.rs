//! Policy snapshots: read, verified and compiled once per isolate.
//!
//! Source: contracts/spec/in-force.md#policy-snapshot, contracts/schemas/policy/snapshot.schema.json.

use crate::contract::limits::{self, ID_BYTES, POLICY_BYTES};
use crate::forbid::{Forbid, Forbids};
use crate::hash::sha256_b64;
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::lineage::Lineage;
use crate::pep::Pep;
use crate::registry::{RateClass, Registry, Server, Tool};
use crate::roles::{Binding, Role, Roles};
use crate::table::{self, Table};
use crate::trust::Trust;
use crate::{Code, Error, b64, did, ed25519, jwk, jws};

const TYP: &str = "talos-policy+jwt";
/// Rate classes that surfaces need, so a snapshot without them would leave surfaces unusable.
const RATE_CLASSES: [&str; 3] = ["control", "read", "session"];

/// A policy in force, compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The tenant.
    pub tenant: String,
    /// Its number.
    pub version: u64,
    /// base64url SHA-256 of the payload.
    pub hash: String,
    /// Anchors and did:web holders.
    pub trust: Trust,
    /// Servers, tools and rate classes.
    pub registry: Registry,
    /// Roles and bindings.
    pub roles: Roles,
    /// Forbid rules.
    pub forbids: Forbids,
    /// Whether an unlisted tool counts as destructive instead of being denied. Refused in production, by whoever knows
    /// that it is one.
    pub unregistered_destructive: bool,
    peps: Vec<Pep>,
    revoked_keys: Table<()>,
}

/// The error of a member: `policy.invalid` with the path to it.
#[cold]
fn within(list: &str, at: usize, error: Error) -> Error {
    let field = match &error.field {
        Some(inner) => format!("{list}[{at}].{inner}"),
        None => format!("{list}[{at}]"),
    };
    error.at(field).with_code(Code::PolicyInvalid)
}

fn invalid(detail: &'static str, field: impl Into<String>) -> Error {
    Error::new(Code::PolicyInvalid, detail).at(field)
}

/// The parts of the list `name`, at most `most`, with the place of a bad one in the error.
fn list<T>(
    fields: &mut Fields<'_>,
    name: &str,
    most: usize,
    read: fn(&Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let items = fields.arr(name).map_err(|error| error.with_code(Code::PolicyInvalid))?;
    if items.len() > most {
        return Err(invalid("too many", name));
    }
    let mut parts = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        match read(item) {
            Ok(part) => parts.push(part),
            Err(error) => return Err(within(name, at, error)),
        }
    }
    Ok(parts)
}

/// Refuse a second part of the same name: which of the two counts would be left open.
pub(crate) fn distinct<'a>(list: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    match table::repeated(&names.collect::<Vec<_>>()) {
        Some(at) => Err(invalid("one name twice", format!("{list}[{at}]"))),
        None => Ok(()),
    }
}

/// `[a-z0-9][a-z0-9._-]{0,63}`
pub(crate) fn is_name(text: &str) -> bool {
    let plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    plain && (1..=ID_BYTES).contains(&text.len()) && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// A name of the snapshot.
pub(crate) fn name(fields: &mut Fields<'_>, member: &str) -> Result<String, Error> {
    let text = fields.str(member)?;
    if is_name(text) { Ok(text.to_owned()) } else { Err(Error::malformed("not a name").at(member)) }
}

/// Verify the snapshot `text` for `tenant` and compile it. `publishers`: the keys that configuration lists; with
/// `expected_hash` only the snapshot of that hash is taken.
///
/// # Errors
/// `SIGNATURE_INVALID` when no publisher signed it; `policy.invalid` with the path of the member at fault, such as
/// `tools[3].class`; `head.inconsistent` when it is another snapshot than the head names.
pub fn load(text: &str, tenant: &str, publishers: &[[u8; 32]], expected_hash: Option<&str>) -> Result<Policy, Error> {
    if text.len() > POLICY_BYTES {
        return Err(invalid("a snapshot that is too long", "jws"));
    }
    let bad = |error: Error| error.with_code(Code::PolicyInvalid);
    let signed = jws::parse(text).map_err(bad)?;
    let kid = signed.kid(TYP).map_err(bad)?;
    let publisher = publishers.iter().find(|key| jwk::thumbprint(key) == kid);
    if !publisher.is_some_and(|key| signed.verify(key)) {
        return Err(Error::new(Code::SignatureInvalid, "a snapshot that no publisher signed").at("kid"));
    }
    let hash = sha256_b64(&signed.payload_bytes);
    if expected_hash.is_some_and(|expected| expected != hash) {
        return Err(Error::new(Code::HeadInconsistent, "another snapshot than the head names").at("policy_hash"));
    }
    let payload = signed.payload().map_err(bad)?;
    if json::print(&payload).as_bytes() != signed.payload_bytes {
        return Err(invalid("not in canonical form", "payload"));
    }
    compile(&payload, hash, tenant)
}

/// Sign a snapshot: the publisher's side. Gives the JWS and its hash.
///
/// # Errors
/// As [`load`]: what no isolate would compile is not signed.
pub fn sign(seed: &[u8; 32], snapshot: &Value) -> Result<(String, String), Error> {
    let key = ed25519::public(seed);
    let payload = json::print(snapshot);
    let text = jws::sign(seed, &jws::header(TYP, [("kid", Value::Str(jwk::thumbprint(&key)))]), payload.as_bytes());
    let tenant = snapshot.get("tenant").and_then(Value::as_str).unwrap_or_default();
    let policy = load(&text, tenant, &[key], None)?;
    Ok((text, policy.hash))
}

fn compile(payload: &Value, hash: String, tenant: &str) -> Result<Policy, Error> {
    let bad = |error: Error| error.with_code(Code::PolicyInvalid);
    let mut fields = Fields::new(payload).map_err(bad)?;
    fields.int("v", 1, 1).map_err(bad)?;
    if fields.str("tenant").map_err(bad)? != tenant {
        return Err(invalid("the snapshot of another tenant", "tenant"));
    }
    let version = fields.int("version", 1, MAX_SAFE_INTEGER).map_err(bad)?.unsigned_abs();
    let anchors = list(&mut fields, "anchors", limits::ANCHORS, read_anchor)?;
    let dids = list(&mut fields, "dids", limits::DIDS, read_did)?;
    let servers = list(&mut fields, "servers", limits::SERVERS, Server::parse)?;
    let tools = list(&mut fields, "tools", limits::TOOLS, Tool::parse)?;
    let rate_classes = list(&mut fields, "rate_classes", limits::RATE_CLASSES, RateClass::parse)?;
    let roles = list(&mut fields, "roles", limits::ROLES, Role::parse)?;
    let bindings = list(&mut fields, "bindings", limits::BINDINGS, Binding::parse)?;
    let forbids = list(&mut fields, "forbids", limits::FORBIDS, Forbid::parse)?;
    let peps = list(&mut fields, "peps", limits::PEPS, Pep::parse)?;
    let revoked = list(&mut fields, "revoked_keys", limits::REVOKED_KEYS, |item| {
        let text = item.as_str().ok_or_else(|| Error::malformed("not a thumbprint"))?;
        b64::decode32(text).map(|_| text.to_owned())
    })?;
    let unregistered_destructive = match fields.str("unregistered").map_err(bad)? {
        "deny" => false,
        "destructive" => true,
        _ => return Err(invalid("an unknown word", "unregistered")),
    };
    fields.finish().map_err(bad)?;
    for name in RATE_CLASSES {
        if !rate_classes.iter().any(|class| class.name == name) {
            return Err(invalid("a rate class that surfaces need is missing", "rate_classes"));
        }
    }
    distinct("peps", peps.iter().map(|pep| pep.jkt.as_str()))?;
    distinct("revoked_keys", revoked.iter().map(String::as_str))?;
    let registry = Registry::new(servers, tools, rate_classes)?;
    for (at, pep) in peps.iter().enumerate() {
        if pep.servers.iter().any(|server| registry.server(server).is_none()) {
            return Err(invalid("an unknown server", format!("peps[{at}].servers")));
        }
    }
    Ok(Policy {
        tenant: tenant.to_owned(),
        version,
        hash,
        trust: Trust::new(anchors, dids).map_err(bad)?,
        registry,
        roles: Roles::new(roles, bindings)?,
        forbids: Forbids::new(forbids),
        unregistered_destructive,
        peps,
        revoked_keys: Table::new(revoked.into_iter().map(|jkt| (jkt, ())).collect()),
    })
}

fn read_anchor(value: &Value) -> Result<(String, Option<[u8; 32]>), Error> {
    let mut fields = Fields::new(value)?;
    let name = fields.str("did")?;
    let key = jwk::parse(fields.value("jwk")?).map_err(|error| error.at("jwk"))?;
    if did::key_of(name).map_err(|error| error.at("did"))?.is_some_and(|own| own != key) {
        return Err(Error::malformed("another key than the DID's").at("jwk"));
    }
    if !ed25519::point_acceptable(&key) {
        return Err(Error::malformed("a key of small order").at("jwk"));
    }
    let anchor = (name.to_owned(), Some(key));
    fields.finish()?;
    Ok(anchor)
}

fn read_did(value: &Value) -> Result<(String, String), Error> {
    let mut fields = Fields::new(value)?;
    let name = fields.str("did")?.to_owned();
    if did::key_of(&name).map_err(|error| error.at("did"))?.is_some() {
        return Err(Error::malformed("a DID that encodes its key").at("did"));
    }
    let jkt = b64::encode(&fields.b64_32("jkt")?);
    fields.finish()?;
    Ok((name, jkt))
}

impl Policy {
    /// The third party whose key has this thumbprint.
    #[must_use]
    pub fn pep(&self, jkt: &str) -> Option<&Pep> {
        self.peps.iter().find(|pep| pep.jkt == jkt)
    }

    /// Whether the policy itself refuses the key.
    #[must_use]
    pub fn revokes(&self, jkt: &str) -> bool {
        self.revoked_keys.get(jkt).is_some()
    }

    /// The first link of `chain` that a key signs or holds which the policy refuses.
    #[must_use]
    pub fn revoked(&self, chain: &Lineage) -> Option<usize> {
        if self.revoked_keys.is_empty() {
            return None;
        }
        let last = chain.links.len().saturating_sub(1);
        chain.keys().position(|jkt| self.revokes(jkt)).map(|at| at.saturating_sub(usize::from(at > 0)).min(last))
    }
}

#[cfg(test)]
mod tests;
