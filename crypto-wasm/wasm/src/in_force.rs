//! Heads, policies, revocation and keyrings.

use talos_core::head::Head;
use talos_core::json::{self, Fields, Value};
use talos_core::revocation::{self, Revocations};
use talos_core::seal::{Keyring, Purpose, SealingKey, Status};
use talos_core::statement::{self, Statement};
use talos_core::{Code, Error, jwk, jws, mcp_session, policy};
use wasm_bindgen::prelude::wasm_bindgen;
use zeroize::Zeroizing;

use crate::identity::published;
use crate::refusal::{Answer, OrRefuse, fixed, object, secret};
use crate::store;

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A policy, verified and compiled: `{"handle","version","hash","snapshot"}`.
#[wasm_bindgen]
pub fn policy_load(text: &str, tenant: &str, publishers: &str, expected_hash: Option<String>) -> Answer<String> {
    let load = || {
        let publishers = object(publishers)?;
        let publishers = publishers.as_arr().ok_or_else(|| Error::malformed("not an array").at("publishers"))?;
        let keys = json::each(publishers, jwk::parse)?;
        let policy = policy::load(text, tenant, &keys, expected_hash.as_deref())?;
        let snapshot = jws::parse(text)?.payload()?;
        let (version, hash) = (policy.version, policy.hash.clone());
        let handle = store::hold_policy(policy)?;
        Ok(json::print(&Value::obj([
            ("handle", int(handle.into())),
            ("version", int(version)),
            ("hash", Value::Str(hash)),
            ("snapshot", snapshot),
        ])))
    };
    load().or_refuse()
}

/// `{"jws","hash"}`.
#[wasm_bindgen]
pub fn policy_sign(seed: Vec<u8>, snapshot: &str) -> Answer<String> {
    let sign = || {
        let seed = secret(seed, "seed")?;
        let (text, hash) = policy::sign(&seed, &json::parse_signed(snapshot.as_bytes())?)?;
        Ok(json::print(&Value::obj([("jws", Value::Str(text)), ("hash", Value::Str(hash))])))
    };
    sign().or_refuse()
}

/// `{"handle","rev_seq"}`.
#[wasm_bindgen]
pub fn filter_load(body: &str, tenant: &str, expected_hash: &str) -> Answer<String> {
    let load = || {
        let filter = Revocations::parse(body.as_bytes(), tenant, expected_hash)?;
        let rev_seq = filter.rev_seq;
        let handle = store::hold_filter(filter)?;
        Ok(json::print(&Value::obj([("handle", int(handle.into())), ("rev_seq", int(rev_seq))])))
    };
    load().or_refuse()
}

/// `{"body","rev_hash"}` of `{"tenant","rev_seq","entries"}`.
#[wasm_bindgen]
pub fn filter_build(args: &str) -> Answer<String> {
    let build = || {
        let args = object(args)?;
        let mut fields = Fields::new(&args)?;
        let entries = json::texts(fields.arr("entries")?).map_err(|error| error.at("entries"))?;
        let rev_seq = fields.int("rev_seq", 0, talos_core::limits::MAX_SAFE_INTEGER)?.unsigned_abs();
        let (body, hash) = revocation::build(fields.str("tenant")?, rev_seq, &entries)?;
        fields.finish()?;
        Ok(json::print(&Value::obj([("body", Value::Str(body)), ("rev_hash", Value::Str(hash))])))
    };
    build().or_refuse()
}

/// A signed head.
#[wasm_bindgen]
pub fn head_sign(seed: Vec<u8>, kid: &str, head: &str) -> Answer<String> {
    let sign = || {
        let seed = secret(seed, "seed")?;
        Ok(Head::from_value(&json::parse_signed(head.as_bytes())?)?.sign(&seed, kid))
    };
    sign().or_refuse()
}

/// The payload of a head.
#[wasm_bindgen]
pub fn head_verify(text: &str, keys: &str, tenant: &str) -> Answer<String> {
    let verify = || {
        let keys = published(&object(keys)?)?;
        let keys: Vec<(&str, [u8; 32])> = keys.iter().map(|(kid, x)| (kid.as_str(), *x)).collect();
        Ok(json::print(&Head::verify(text, &keys, tenant)?.to_value()))
    };
    verify().or_refuse()
}

/// Refuses a head that goes back behind one already seen, or gives one number another hash.
#[wasm_bindgen]
pub fn head_follows(head: &str, seen: &str, now_ms: u64) -> Answer<()> {
    let compare = || {
        let read = |text: &str| Head::from_value(&json::parse_signed(text.as_bytes())?);
        read(head)?.follows(&read(seen)?, now_ms)
    };
    compare().or_refuse()
}

/// `{"handle"}` of `[{"kid","status","key","not_after"?}…]`.
#[wasm_bindgen]
pub fn keyring_load(keys: String, purpose: &str) -> Answer<String> {
    let load = || {
        let keys = Zeroizing::new(keys);
        let purpose = Purpose::named(purpose).ok_or_else(|| Error::malformed("not a purpose").at("purpose"))?;
        let keys = object(&keys)?;
        let keys = keys.as_arr().ok_or_else(|| Error::malformed("not an array").at("keys"))?;
        let keys = json::each(keys, sealing_key)?;
        let handle = store::hold_keyring(Keyring::new(purpose, keys)?)?;
        Ok(json::print(&Value::obj([("handle", int(handle.into()))])))
    };
    load().or_refuse()
}

fn sealing_key(value: &Value) -> Result<SealingKey, Error> {
    let mut fields = Fields::new(value)?;
    let latest = talos_core::limits::MAX_SAFE_INTEGER;
    let not_after = fields.opt_int("not_after", 0, latest)?.map(i64::unsigned_abs);
    fields.opt("created_at");
    let status = match fields.str("status")? {
        "staged" => Status::Staged,
        "primary" => Status::Primary,
        "accept" => Status::Accept { not_after },
        _ => return Err(Error::new(Code::ConfigIncomplete, "an unknown status").at("status")),
    };
    let key = SealingKey { kid: fields.str("kid")?.to_owned(), status, key: Zeroizing::new(fields.b64_32("key")?) };
    fields.finish()?;
    Ok(key)
}

/// Gives back what a handle keeps.
#[wasm_bindgen]
pub fn free_handle(handle: u32) {
    store::free(handle);
}

/// What a statement puts in force, as `VerifiedRevocation` in types.ts.
#[wasm_bindgen]
pub fn verify_revocation(text: &str, chain: &str, aud: &str, now_ms: u64, policy: u32) -> Answer<String> {
    let verify = || {
        let policy = store::policy(policy)?;
        let now_ms = i64::try_from(now_ms).map_err(|_| Error::malformed("a time beyond time").at("now_ms"))?;
        let (statement, in_force) = Statement::verify(text, chain, aud, now_ms, &policy.trust)?;
        let kind = match in_force.entry {
            revocation::Entry::Link(_) => "link",
            revocation::Entry::Key { .. } => "key",
            revocation::Entry::Epoch { .. } => "epoch",
        };
        let links = &in_force.lineage.links;
        let id = |link: &talos_core::lineage::Ancestor| Value::str(link.id.as_str());
        Ok(json::print(&Value::obj([
            ("entries", Value::Arr(vec![Value::Str(in_force.entry.print())])),
            ("jkt", Value::Str(statement.jkt)),
            ("jti", Value::Str(statement.jti)),
            ("iat", Value::Int(statement.iat)),
            ("kind", Value::str(kind)),
            ("root_link", links.first().map_or(Value::Null, id)),
            ("links", Value::Arr(links.iter().map(id).collect())),
            ("sub", Value::str(in_force.lineage.sub.as_str())),
            ("expires_at", Value::Int(in_force.expires_at)),
        ])))
    };
    verify().or_refuse()
}

/// A revocation statement: `payload` as contracts/spec/in-force.md#revocation-statement.
#[wasm_bindgen]
pub fn sign_revocation(seed: Vec<u8>, payload: &str) -> Answer<String> {
    let sign = || {
        let seed = secret(seed, "seed")?;
        statement::sign(&seed, &json::parse_signed(payload.as_bytes())?)
    };
    sign().or_refuse()
}

fn owner<'a>(fields: &mut Fields<'a>) -> Result<mcp_session::Owner<'a>, Error> {
    Ok(mcp_session::Owner {
        tenant: fields.str("tenant")?,
        principal: fields.str("principal")?,
        jkt: fields.str("jkt")?,
        server: fields.str("server")?,
    })
}

fn seconds(fields: &mut Fields<'_>) -> Result<u64, Error> {
    Ok(fields.int("now_ms", 0, talos_core::limits::MAX_SAFE_INTEGER)?.unsigned_abs() / 1_000)
}

/// Seals an upstream's session id. `args`: the plaintext of contracts/spec/session.md#mcp-session-ids. That `exp` is at most
/// 24 h away is its caller's clock to see.
#[wasm_bindgen]
pub fn seal_mcp(keyring: u32, salt: &[u8], args: &str) -> Answer<String> {
    let seal = || {
        let (keyring, salt) = (store::keyring(keyring)?, fixed(salt, "salt")?);
        let args = object(args)?;
        let mut fields = Fields::new(&args)?;
        fields.int("v", 1, 1)?;
        let owner = owner(&mut fields)?;
        let exp = fields.int("exp", 0, talos_core::limits::MAX_SAFE_INTEGER)?.unsigned_abs();
        let upstream = fields.str("upstream")?;
        fields.finish()?;
        mcp_session::seal(&keyring, &salt, &owner, upstream, exp, exp.saturating_sub(mcp_session::LIFE_SECONDS))
    };
    seal().or_refuse()
}

/// The upstream's session id, for its owner alone.
#[wasm_bindgen]
pub fn open_mcp(keyring: u32, text: &str, args: &str) -> Answer<String> {
    let open = || {
        let keyring = store::keyring(keyring)?;
        let args = object(args)?;
        let mut fields = Fields::new(&args)?;
        let (owner, now) = (owner(&mut fields)?, seconds(&mut fields)?);
        fields.finish()?;
        let upstream = mcp_session::open(&keyring, text, &owner, now)?;
        Ok(json::print(&Value::obj([("upstream", Value::Str(upstream))])))
    };
    open().or_refuse()
}

/// Stands before sealed texts, so that none of them, whoever chose it, opens as the JSON of a session id or ticket.
const TEXT: &[u8] = b"text:";

/// Seals any text.
#[wasm_bindgen]
pub fn seal_text(keyring: u32, salt: &[u8], text: &str) -> Answer<String> {
    let seal = || store::keyring(keyring)?.seal(&fixed(salt, "salt")?, &[TEXT, text.as_bytes()].concat());
    seal().or_refuse()
}

/// The text that [`seal_text`] sealed.
#[wasm_bindgen]
pub fn open_text(keyring: u32, sealed: &str, now_ms: u64) -> Answer<String> {
    let open = || {
        let plaintext = store::keyring(keyring)?.open(sealed, now_ms / 1_000)?;
        let text = plaintext.strip_prefix(TEXT).ok_or_else(|| Error::malformed("it holds something else"))?;
        core::str::from_utf8(text).map(str::to_owned).map_err(|_| Error::malformed("not UTF-8"))
    };
    open().or_refuse()
}
