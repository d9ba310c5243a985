//! Capability chains, for clients and offline.

use talos_core::attenuate::{self, Narrowed};
use talos_core::chain::Chain;
use talos_core::contain::{self, Uncovered};
use talos_core::contract::limits::{GRANTS, ROLE_GRANTS};
use talos_core::decide::{Args, Decision, Need, Resource};
use talos_core::grant::{Class, Grant, parse_grants};
use talos_core::json::{self, Fields, Value};
use talos_core::link::{Link, MAX_EPOCH};
use talos_core::trust::Trust;
use talos_core::{Error, b64, did, jwk, scope};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::refusal::{Answer, OrRefuse, object, secret};

/// A root link.
#[wasm_bindgen]
pub fn issue_link(seed: Vec<u8>, claims: &str) -> Answer<String> {
    let issue = || {
        let seed = secret(seed, "seed")?;
        attenuate::issue(&seed, &Link::parse(&object(claims)?)?)
    };
    issue().or_refuse()
}

/// A longer chain.
#[wasm_bindgen]
pub fn attenuate(seed: Vec<u8>, chain: &str, claims: &str) -> Answer<String> {
    let attenuate = || {
        let seed = secret(seed, "seed")?;
        let parent = Chain::parse(chain)?;
        let narrowed = narrowed(&object(claims)?, &parent.leaf()?.claims)?;
        attenuate::attenuate(&seed, chain, &narrowed)
    };
    attenuate().or_refuse()
}

fn narrowed(claims: &Value, parent: &Link) -> Result<Narrowed, Error> {
    const LATEST: i64 = talos_core::limits::MAX_SAFE_INTEGER;
    let mut fields = Fields::new(claims)?;
    let narrowed = Narrowed {
        sub: fields.str("sub")?.to_owned(),
        holder: fields.b64_32("holder_x")?,
        aud: match fields.opt("aud") {
            None => None,
            Some(_) => Some(json::texts(fields.arr("aud")?).map_err(|error| error.at("aud"))?),
        },
        iat: fields.int("iat", 0, LATEST)?,
        // Not earlier than the parent, and not before it is made.
        nbf: fields.opt_int("nbf", 0, LATEST)?.unwrap_or(0).max(parent.nbf),
        exp: fields.int("exp", 0, LATEST)?,
        jti: fields.str("jti")?.to_owned(),
        ep: fields.opt_int("ep", 0, MAX_EPOCH)?.unwrap_or(0),
        depth: fields.opt_int("depth", 0, 7)?,
        grants: parse_grants(fields.arr("grants")?, GRANTS)?,
    };
    fields.finish()?;
    Ok(narrowed)
}

/// The links of a chain, read and not trusted.
#[wasm_bindgen]
pub fn inspect_chain(chain: &str) -> Answer<String> {
    Chain::parse(chain).and_then(|chain| inspected(&chain)).or_refuse()
}

fn inspected(chain: &Chain) -> Result<String, Error> {
    let mut signer = did::key_of(&chain.root()?.claims.iss)?.map(|key| jwk::thumbprint(&key));
    let mut links = Vec::with_capacity(chain.links().len());
    for link in chain.links() {
        let mut members = vec![
            ("id", Value::str(link.id.as_str())),
            ("claims", link.claims.value()),
            ("jkt_holder", Value::str(link.jkt.as_str())),
        ];
        members.extend(signer.replace(link.jkt.clone()).map(|jkt| ("jkt_signer", Value::Str(jkt))));
        links.push(Value::obj(members));
    }
    Ok(json::print(&Value::obj([("links", Value::Arr(links))])))
}

/// Offline verification; the decision as JSON. `trust`: `{"anchors":[{"did","jwk"?}…],"dids":[{"did","jkt"}…]}`.
#[wasm_bindgen]
pub fn verify_chain(chain: &str, aud: &str, now_ms: u64, trust: &str) -> Answer<String> {
    let verify = || {
        let trust = read_trust(&object(trust)?)?;
        let now_ms = i64::try_from(now_ms).map_err(|_| Error::malformed("a time beyond time").at("now_ms"))?;
        let verified = Chain::parse(chain).and_then(|chain| chain.verify(aud, now_ms, &trust));
        let decision = verified.err().map_or(Decision::ALLOW, Decision::from);
        Ok(json::print(&decision.value(true)))
    };
    verify().or_refuse()
}

fn read_trust(value: &Value) -> Result<Trust, Error> {
    let list = |name: &str| value.get(name).and_then(Value::as_arr).unwrap_or_default();
    let mut anchors = Vec::new();
    for anchor in list("anchors") {
        let mut fields = Fields::new(anchor)?;
        anchors.push((fields.str("did")?.to_owned(), fields.opt("jwk").map(jwk::parse).transpose()?));
    }
    let mut webs = Vec::new();
    for known in list("dids") {
        let mut fields = Fields::new(known)?;
        webs.push((fields.str("did")?.to_owned(), b64::encode(&fields.b64_32("jkt")?)));
    }
    Trust::new(anchors, webs)
}

pub fn read_grants(text: &str) -> Result<Vec<Grant>, Error> {
    parse_grants(object(text)?.as_arr().ok_or_else(|| Error::malformed("not an array").at("grants"))?, ROLE_GRANTS)
}

/// `{"ok"}`, or `{"ok","grant","field"}`.
#[wasm_bindgen]
pub fn contains(parent: &str, child: &str) -> Answer<String> {
    let compare = || {
        let (parent, child) = (read_grants(parent)?, read_grants(child)?);
        let answer = match contain::contains(&parent, &child) {
            Ok(()) => vec![("ok", Value::Bool(true))],
            Err(Uncovered { grant, field }) => vec![
                ("ok", Value::Bool(false)),
                ("grant", Value::Int(i64::try_from(grant).unwrap_or(i64::MAX))),
                ("field", Value::Str(field)),
            ],
        };
        Ok(json::print(&Value::obj(answer)))
    };
    compare().or_refuse()
}

/// The scope string of a grant without argument atoms.
#[wasm_bindgen]
pub fn scope_from_grant(grant: &str) -> Answer<String> {
    object(grant).and_then(|grant| scope::print(&Grant::parse(&grant)?)).or_refuse()
}

/// The grant of a scope string.
#[wasm_bindgen]
pub fn grant_from_scope(text: &str) -> Answer<String> {
    scope::parse(text).map(|grant| json::print(&grant.value())).or_refuse()
}

/// Leaf evaluation alone.
#[wasm_bindgen]
pub fn explain(grants: &str, need: &str) -> Answer<String> {
    let explain = || {
        let grants = read_grants(grants)?;
        let need = object(need)?;
        let mut fields = Fields::new(&need)?;
        let class = Class::of(fields.str("class")?).ok_or_else(|| Error::malformed("not a class").at("class"))?;
        let args = match fields.opt("args") {
            None => &[][..],
            Some(_) => fields.obj("args")?,
        };
        let resource = match fields.opt("resource") {
            None => Resource::None,
            named => Resource::required(named),
        };
        let need =
            Need { tool: fields.str("tool")?, class, action: fields.str("action")?, resource, args: Args::new(args) };
        fields.finish()?;
        Ok(json::print(&Decision::of_leaf(&grants, &need, 0).value(true)))
    };
    explain().or_refuse()
}
