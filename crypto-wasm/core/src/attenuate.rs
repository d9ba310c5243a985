//! Making links: the root by an anchor, and narrower ones by whoever holds the last. Needs no network.
//!
//! Source: contracts/spec/capability.md#chain.

use crate::chain::{Chain, SEPARATOR, check_child};
use crate::grant::Grant;
use crate::link::{Link, TYP};
use crate::{Code, Error, did, ed25519, json, jws};

/// What a holder chooses for the link below its own. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// DID of the new holder.
    pub sub: String,
    /// Its public key.
    pub holder: [u8; 32],
    /// Tenants, sorted; those of the parent when absent.
    pub aud: Option<Vec<String>>,
    /// When it is made.
    pub iat: i64,
    /// From when it holds.
    pub nbf: i64,
    /// From when it no longer holds.
    pub exp: i64,
    /// A UUIDv7.
    pub jti: String,
    /// The epoch of the signing key.
    pub ep: i64,
    /// Delegations left below it; one less than the parent's when absent.
    pub depth: Option<i64>,
    /// What it allows, ordered by tool.
    pub grants: Vec<Grant>,
}

/// Makes a root link. `seed` is the anchor's.
///
/// # Errors
/// `DELEGATION_INVALID` for a subject or issuer that is not its key's, or a `par`; `MALFORMED` and `LIMIT_EXCEEDED` as
/// [`Chain::parse`].
pub fn issue(seed: &[u8; 32], claims: &Link) -> Result<String, Error> {
    if claims.par.is_some() {
        return Err(Error::new(Code::DelegationInvalid, "a root with a parent").at("par"));
    }
    if did::key_of(&claims.iss)?.is_some_and(|key| key != ed25519::public(seed)) {
        return Err(Error::new(Code::DelegationInvalid, "an issuer that is not its key's").at("iss"));
    }
    let text = sign(seed, claims)?;
    Chain::parse(&text)?;
    Ok(text)
}

/// Adds a narrower link to `chain`. `seed` is that of the last link's holder.
///
/// A did:web subject's key is known only to the tenant's policy, so its binding is not checked here.
///
/// # Errors
/// `DELEGATION_INVALID` with the claim that is not within the parent's, or `sub` when the DID is not the key's;
/// `SIGNATURE_INVALID` when `seed` is not the holder's; `LIMIT_EXCEEDED` when the chain would get too long; otherwise as
/// [`Chain::parse`].
pub fn attenuate(seed: &[u8; 32], chain: &str, narrowed: &Narrowed) -> Result<String, Error> {
    let parsed = Chain::parse(chain)?;
    let index = parsed.links().len();
    let parent = parsed.leaf()?;
    if ed25519::public(seed) != parent.claims.holder {
        return Err(Error::new(Code::SignatureInvalid, "not the key of the holder").in_link(index));
    }
    let claims = Link {
        iss: parent.claims.sub.clone(),
        sub: narrowed.sub.clone(),
        aud: narrowed.aud.clone().unwrap_or_else(|| parent.claims.aud.clone()),
        iat: narrowed.iat,
        nbf: narrowed.nbf,
        exp: narrowed.exp,
        jti: narrowed.jti.clone(),
        holder: narrowed.holder,
        ep: narrowed.ep,
        // At depth 0 this is negative, and refused below.
        depth: narrowed.depth.unwrap_or(parent.claims.depth - 1),
        par: Some(parent.id.clone()),
        grants: narrowed.grants.clone(),
    };
    check_child(&claims, &parent.claims, &parent.id).map_err(|error| error.in_link(index))?;
    if claims.depth < 0 {
        return Err(Error::new(Code::DelegationInvalid, "no delegation left").at("depth").in_link(index));
    }
    let text = format!("{chain}{SEPARATOR}{}", sign(seed, &claims).map_err(|error| error.in_link(index))?);
    // Reading it again bounds the link, the chain and their number.
    Chain::parse(&text)?;
    Ok(text)
}

/// Signs claims that keep a link's own rules.
fn sign(seed: &[u8; 32], claims: &Link) -> Result<String, Error> {
    claims.check()?;
    if did::key_of(&claims.sub)?.is_some_and(|key| key != claims.holder) {
        return Err(Error::new(Code::DelegationInvalid, "a subject that is not its key's").at("sub"));
    }
    Ok(jws::sign(seed, &jws::header(TYP, []), json::print(&claims.value()).as_bytes()))
}
