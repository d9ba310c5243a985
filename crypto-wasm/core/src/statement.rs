//! Revocation statements: who may put what out of force.
//!
//! A link needs no consent of whom it names, so granting to a key gives no power over it: outside its own chains a key
//! is revoked only by itself.
//!
//! Source: contracts/spec/in-force.md#revocation-statement.

use crate::chain::Chain;
use crate::contract::limits::{REVOCATION_SKEW_SECONDS, STATEMENT_BYTES};
use crate::ed25519::{self, Check};
use crate::json::{Fields, Value};
use crate::limits::{CAPABILITY_LIFE_SECONDS, MAX_SAFE_INTEGER};
use crate::lineage::Lineage;
use crate::link::MAX_EPOCH;
use crate::revocation::{Entry, Reach};
use crate::trust::Trust;
use crate::{Code, Error, did, jwk, jws, uuidv7};

const TYP: &str = "talos-revocation+jwt";

/// A statement that was read. Neither its signature nor its signer's authority is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The tenant's audience.
    pub aud: String,
    /// Seconds.
    pub iat: i64,
    /// Its id and nonce.
    pub jti: String,
    /// What it puts in force.
    pub entry: Entry,
    /// Thumbprint of the signer.
    pub jkt: String,
    check: Check,
}

/// What an authorised statement puts in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The entry.
    pub entry: Entry,
    /// It is kept until then, seconds.
    pub expires_at: i64,
    /// The chain that was shown.
    pub lineage: Lineage,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when it is too long; `MALFORMED` with the member at fault.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > STATEMENT_BYTES {
            return Err(Error::limit("a statement that is too long").at("statement"));
        }
        let signed = jws::parse(text)?;
        let key = signed.jwk(TYP)?;
        let payload = signed.payload()?;
        let mut fields = Fields::new(&payload)?;
        let aud = fields.str("aud")?.to_owned();
        let iat = fields.int("iat", 0, MAX_SAFE_INTEGER)?;
        let jti = fields.str("jti")?.to_owned();
        if !uuidv7::valid(&jti) {
            return Err(Error::malformed("not a UUIDv7").at("jti"));
        }
        let entry = match fields.str("kind")? {
            "link" => Entry::Link(hash(&mut fields, "link")?),
            "epoch" => Entry::Epoch { jkt: hash(&mut fields, "jkt")?, epoch: fields.int("epoch", 1, MAX_EPOCH)? },
            "key" => {
                let jkt = hash(&mut fields, "jkt")?;
                let under = fields.opt("under").is_some().then(|| hash(&mut fields, "under")).transpose()?;
                let anchor = fields.opt_str("anchor")?.map(str::to_owned);
                let reach = match (under, anchor) {
                    (None, None) => Reach::Tenant,
                    (Some(id), None) => Reach::Under(id),
                    (None, Some(anchor)) => {
                        did::key_of(&anchor).map_err(|error| error.at("anchor"))?;
                        Reach::Anchor(anchor)
                    }
                    (Some(_), Some(_)) => return Err(Error::malformed("two reaches").at("anchor")),
                };
                Entry::Key { jkt, reach }
            }
            _ => return Err(Error::malformed("an unknown kind").at("kind")),
        };
        fields.finish()?;
        Ok(Self { aud, iat, jti, entry, jkt: jwk::thumbprint(&key), check: signed.check(key) })
    }

    /// What a verifier of Ed25519 has to check.
    ///
    /// # Errors
    /// `PROOF_INVALID` for a signature that the profile's byte checks refuse.
    pub fn signature_check(&self) -> Result<Check, Error> {
        if ed25519::precheck(&self.check.key, &self.check.signature) { Ok(self.check.clone()) } else { Err(unsigned()) }
    }

    /// Whether it is for this tenant and was made just now.
    ///
    /// # Errors
    /// `AUDIENCE_MISMATCH`; `PROOF_INVALID` with field `iat`.
    pub fn check(&self, aud: &str, now_ms: i64) -> Result<(), Error> {
        if self.aud != aud {
            return Err(Error::new(Code::AudienceMismatch, "a statement for another tenant").at("aud"));
        }
        if now_ms.div_euclid(1_000).abs_diff(self.iat) > REVOCATION_SKEW_SECONDS.unsigned_abs() {
            return Err(Error::new(Code::ProofInvalid, "a statement of another time").at("iat"));
        }
        Ok(())
    }

    /// Whether the signer may say it about `chain`, whose links were verified.
    ///
    /// # Errors
    /// `revocation.not_authorized` when the chain shown does not end in the link named, does not hold the key named, or the
    /// signer is not whom the rule asks for.
    pub fn authorize(&self, chain: &Chain, trust: &Trust) -> Result<InForce, Error> {
        let lineage = Lineage::of_chain(chain, trust)?;
        if !self.allowed(&lineage) {
            return Err(Error::new(Code::RevocationNotAuthorized, "the signer has no authority over it").at("jwk"));
        }
        let expires_at = match &self.entry {
            Entry::Link(_) => chain.leaf()?.claims.exp,
            // A chain that was shown may outlive what could be signed now, when it was dated ahead.
            Entry::Key { .. } | Entry::Epoch { .. } => {
                (self.iat + CAPABILITY_LIFE_SECONDS).max(chain.root()?.claims.exp)
            }
        };
        Ok(InForce { entry: self.entry.clone(), expires_at, lineage })
    }

    fn allowed(&self, chain: &Lineage) -> bool {
        let last = chain.links.last().map(|link| link.id.as_str());
        match &self.entry {
            Entry::Link(id) => last == Some(id) && chain.links.iter().any(|link| link.jkt == self.jkt),
            Entry::Key { jkt, reach: Reach::Tenant } | Entry::Epoch { jkt, .. } => {
                self.jkt == *jkt && chain.position_of(jkt, 0).is_some()
            }
            Entry::Key { reach: Reach::Under(id), .. } => last == Some(id) && self.jkt == chain.holder_jkt,
            Entry::Key { reach: Reach::Anchor(did), .. } => {
                chain.links.first().is_some_and(|root| root.iss == *did && root.jkt == self.jkt)
            }
        }
    }

    /// Everything at once, with the pure verifier: the statement against a chain that is valid for `aud` at `now_ms`. Its
    /// being revoked already is no obstacle.
    ///
    /// # Errors
    /// As [`Statement::parse`], [`Chain::verify`], [`Statement::check`] and [`Statement::authorize`]; `PROOF_INVALID` for a
    /// wrong signature of the statement.
    pub fn verify(text: &str, chain: &str, aud: &str, now_ms: i64, trust: &Trust) -> Result<(Self, InForce), Error> {
        let statement = Self::parse(text)?;
        let chain = Chain::parse(chain)?;
        chain.verify(aud, now_ms, trust)?;
        if !statement.signature_check()?.verify() {
            return Err(unsigned());
        }
        statement.check(aud, now_ms)?;
        let in_force = statement.authorize(&chain, trust)?;
        Ok((statement, in_force))
    }
}

/// `PROOF_INVALID`: the statement's own signature is wrong.
#[must_use]
pub fn unsigned() -> Error {
    Error::new(Code::ProofInvalid, "the signature of a statement").at("statement")
}

fn hash(fields: &mut Fields<'_>, name: &str) -> Result<String, Error> {
    fields.b64_32(name).map(|bytes| crate::b64::encode(&bytes))
}

/// Sign a statement: the client's side. `payload` has the members that contracts/spec/in-force.md asks for.
///
/// # Errors
/// As [`Statement::parse`]: what no verifier would read is not signed.
pub fn sign(seed: &[u8; 32], payload: &Value) -> Result<String, Error> {
    let key = ed25519::public(seed);
    let header = jws::header(TYP, [("jwk", jwk::value(&key))]);
    let text = jws::sign(seed, &header, crate::json::print(payload).as_bytes());
    Statement::parse(&text).map(|_| text)
}

#[cfg(test)]
mod tests;
