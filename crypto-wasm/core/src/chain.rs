//! Chains of links: reading, and the checks, each by itself so that a caller can run them in the order of the contract.
//!
//! Source: contracts/spec/capability.md#chain and #decision.

use std::collections::VecDeque;

use crate::contain;
use crate::did;
use crate::ed25519::{self, Check};
use crate::jws;
use crate::limits::{CHAIN_BYTES, CHAIN_LINKS, LINK_BYTES};
use crate::link::{Link, TYP};
use crate::trust::Trust;
use crate::{Code, Error, hash, jwk};

/// What stands between two links.
pub const SEPARATOR: char = '~';

/// A link that was read, with what is derived from its bytes. Its signature is not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedLink {
    /// What it says.
    pub claims: Link,
    /// base64url SHA-256 of its compact form.
    pub id: String,
    /// Thumbprint of the holder's key.
    pub jkt: String,
    signing_input: Vec<u8>,
    signature: [u8; 64],
}

/// A chain that was read: 1..8 links, root first. Nothing is verified but the form of each link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    links: Vec<SignedLink>,
    text: Box<str>,
}

/// Chains that were read a moment ago, so that `finish` need not read again what `begin` read.
///
/// Reading is a function of the text alone, and what is found was read from the same text to the last byte: this can
/// only save time, never answer about another chain. A chain is given out once; when its request goes on later than
/// others that came after it, it is read again.
#[derive(Debug, Default)]
pub struct ReadChains(VecDeque<Chain>);

/// Chains that wait; one takes up to 16 KiB of text and about as much again.
const WAITING: usize = 32;

impl ReadChains {
    /// Keeps chains that were read.
    pub fn keep(&mut self, chains: impl Iterator<Item = Chain>) {
        for chain in chains {
            if self.0.len() >= WAITING {
                self.0.pop_front();
            }
            self.0.push_back(chain);
        }
    }

    /// The chain of `text`.
    ///
    /// # Errors
    /// As [`Chain::parse`].
    pub fn read(&mut self, text: &str) -> Result<Chain, Error> {
        let kept = self.0.iter().position(|chain| *chain.text == *text);
        kept.and_then(|index| self.0.remove(index)).map_or_else(|| Chain::parse(text), Ok)
    }
}

impl SignedLink {
    fn parse(text: &str) -> Result<Self, Error> {
        let jws = jws::parse(text)?;
        jws.bare(TYP)?;
        let claims = Link::parse(&jws.payload()?)?;
        let jkt = jwk::thumbprint(&claims.holder);
        Ok(Self {
            id: hash::sha256_b64(text.as_bytes()),
            jkt,
            claims,
            signing_input: jws.signing_input,
            signature: jws.signature,
        })
    }
}

impl Chain {
    /// Step 1: reads a chain.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when the chain, its number of links, a link or a claim is too large; `MALFORMED` for everything that is
    /// not the one form of a link. Both name the link.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > CHAIN_BYTES || text.matches(SEPARATOR).count() >= CHAIN_LINKS {
            return Err(Error::limit("a chain that is too long"));
        }
        if let Some(index) = text.split(SEPARATOR).position(|link| link.len() > LINK_BYTES) {
            return Err(Error::limit("a link that is too long").in_link(index));
        }
        let mut links = Vec::with_capacity(CHAIN_LINKS);
        for (index, link) in text.split(SEPARATOR).enumerate() {
            links.push(SignedLink::parse(link).map_err(|error| error.in_link(index))?);
        }
        Ok(Self { links, text: text.into() })
    }

    /// base64url SHA-256 of the whole text.
    #[must_use]
    pub fn hash(&self) -> String {
        match self.links.as_slice() {
            [only] => only.id.clone(),
            _ => hash::sha256_b64(self.text.as_bytes()),
        }
    }

    /// The links, root first.
    #[must_use]
    pub fn links(&self) -> &[SignedLink] {
        &self.links
    }

    /// The first link.
    ///
    /// # Errors
    /// `internal`, never: a chain has a link.
    pub fn root(&self) -> Result<&SignedLink, Error> {
        self.links.first().ok_or_else(empty)
    }

    /// The last link: what is evaluated, and whose holder signs requests.
    ///
    /// # Errors
    /// `internal`, never: a chain has a link.
    pub fn leaf(&self) -> Result<&SignedLink, Error> {
        self.links.last().ok_or_else(empty)
    }

    /// Step 3: every holder's DID is its key's, and every link lies within its parent.
    ///
    /// # Errors
    /// `DELEGATION_INVALID` with the index of the first link at fault and the claim.
    pub fn check_structure(&self, trust: &Trust) -> Result<(), Error> {
        let mut parent: Option<&SignedLink> = None;
        for (index, link) in self.links.iter().enumerate() {
            check_link(link, parent, trust).map_err(|error| error.in_link(index))?;
            parent = Some(link);
        }
        Ok(())
    }

    /// The key that signed each link: of the root its issuer's, of any other its parent's holder's.
    ///
    /// # Errors
    /// `UNTRUSTED_ISSUER` when the root's issuer is a did:web that is no anchor: its key cannot be had.
    pub fn signing_keys(&self, trust: &Trust) -> Result<Vec<[u8; 32]>, Error> {
        let mut keys = Vec::with_capacity(self.links.len());
        let iss = &self.root()?.claims.iss;
        keys.push(match did::key_of(iss)? {
            Some(key) => key,
            None => *trust.anchor(iss).ok_or_else(untrusted)?,
        });
        keys.extend(self.links.iter().take(self.links.len().saturating_sub(1)).map(|link| link.claims.holder));
        Ok(keys)
    }

    /// Step 4: what must be verified, one check a link, root first. The byte checks of the Ed25519 profile are made here.
    ///
    /// # Errors
    /// `UNTRUSTED_ISSUER` as [`signing_keys`](Self::signing_keys); `SIGNATURE_INVALID` with the link whose bytes no verifier may
    /// see.
    pub fn signature_checks(&self, trust: &Trust) -> Result<Vec<Check>, Error> {
        let keys = self.signing_keys(trust)?;
        let mut checks = Vec::with_capacity(keys.len());
        for (index, (link, key)) in self.links.iter().zip(keys).enumerate() {
            if !ed25519::precheck(&key, &link.signature) {
                return Err(bad_signature(index));
            }
            checks.push(Check { key, signature: link.signature, message: link.signing_input.clone() });
        }
        Ok(checks)
    }

    /// Step 5: the root's issuer is an anchor.
    ///
    /// # Errors
    /// `UNTRUSTED_ISSUER`.
    pub fn check_anchor(&self, trust: &Trust) -> Result<(), Error> {
        trust.anchor(&self.root()?.claims.iss).map(|_| ()).ok_or_else(untrusted)
    }

    /// Step 6: every link is for the tenant `aud`.
    ///
    /// # Errors
    /// `AUDIENCE_MISMATCH` with the first link that is not.
    pub fn check_audience(&self, aud: &str) -> Result<(), Error> {
        match self.links.iter().position(|link| !link.claims.aud.iter().any(|own| own == aud)) {
            Some(index) => Err(Error::new(Code::AudienceMismatch, "a link for other tenants").in_link(index).at("aud")),
            None => Ok(()),
        }
    }

    /// Step 7: every link holds now. Whole seconds, no leeway.
    ///
    /// # Errors
    /// `NOT_YET_VALID` or `EXPIRED` with the first link that does not.
    pub fn check_time(&self, now_ms: i64) -> Result<(), Error> {
        let now = now_ms.div_euclid(1000);
        for (index, link) in self.links.iter().enumerate() {
            if now < link.claims.nbf {
                return Err(Error::new(Code::NotYetValid, "a link of the future").in_link(index).at("nbf"));
            }
            if now >= link.claims.exp {
                return Err(Error::new(Code::Expired, "a link of the past").in_link(index).at("exp"));
            }
        }
        Ok(())
    }

    /// Steps 3 to 7, with the signatures verified here.
    ///
    /// # Errors
    /// The first failure in the order of the contract.
    pub fn verify(&self, aud: &str, now_ms: i64, trust: &Trust) -> Result<(), Error> {
        self.check_structure(trust)?;
        if let Some(index) = self.signature_checks(trust)?.iter().position(|check| !check.verify()) {
            return Err(bad_signature(index));
        }
        self.check_anchor(trust)?;
        self.check_audience(aud)?;
        self.check_time(now_ms)
    }
}

#[cold]
fn empty() -> Error {
    Error::new(Code::Internal, "a chain without links")
}

fn untrusted() -> Error {
    Error::new(Code::UntrustedIssuer, "the root's issuer is no anchor").in_link(0).at("iss")
}

/// `SIGNATURE_INVALID` of the link `index`.
#[must_use]
pub fn bad_signature(index: usize) -> Error {
    Error::new(Code::SignatureInvalid, "the signature of a link").in_link(index)
}

fn invalid(detail: &'static str, field: &str) -> Error {
    Error::new(Code::DelegationInvalid, detail).at(field)
}

fn check_link(link: &SignedLink, parent: Option<&SignedLink>, trust: &Trust) -> Result<(), Error> {
    check_holder(link, trust)?;
    match parent {
        None if link.claims.par.is_some() => Err(invalid("a root with a parent", "par")),
        None => Ok(()),
        Some(parent) => check_child(&link.claims, &parent.claims, &parent.id),
    }
}

/// Whether the holder's DID is its key's.
fn check_holder(link: &SignedLink, trust: &Trust) -> Result<(), Error> {
    let bound = match did::key_of(&link.claims.sub)? {
        Some(key) => key == link.claims.holder,
        None => trust.lists(&link.claims.sub, &link.jkt),
    };
    if bound { Ok(()) } else { Err(invalid("a subject that is not its key's", "sub")) }
}

/// Whether `child` lies within `parent`, whose id is `parent_id`.
///
/// # Errors
/// `DELEGATION_INVALID` with the claim at fault.
pub fn check_child(child: &Link, parent: &Link, parent_id: &str) -> Result<(), Error> {
    if child.iss != parent.sub {
        return Err(invalid("an issuer who does not hold the parent", "iss"));
    }
    if child.par.as_deref() != Some(parent_id) {
        return Err(invalid("another parent", "par"));
    }
    if !child.aud.iter().all(|aud| parent.aud.contains(aud)) {
        return Err(invalid("a tenant that the parent is not for", "aud"));
    }
    if child.nbf < parent.nbf {
        return Err(invalid("earlier than the parent", "nbf"));
    }
    if child.exp > parent.exp {
        return Err(invalid("later than the parent", "exp"));
    }
    if child.depth >= parent.depth {
        return Err(invalid("no delegation left", "depth"));
    }
    contain::contains(&parent.grants, &child.grants).map_err(|uncovered| {
        invalid("a grant that no grant of the parent contains", "grants").in_grant(uncovered.grant)
    })
}
