//! What a ticket holds: a session's chain, once verified, and its MAC key.
//!
//! Source: contracts/spec/session.md#ticket.

use zeroize::Zeroizing;

use crate::grant::{Grant, grants_value, parse_grants};
use crate::json::{self, Fields, Value};
use crate::limits::{GRANTS, MAX_SAFE_INTEGER};
use crate::lineage::Lineage;
use crate::seal::Keyring;
use crate::session::{self, MacKey};
use crate::{Code, Error, b64};

/// The plaintext of a ticket. Its MAC key is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Id of the session.
    pub session_id: [u8; 16],
    /// The tenant.
    pub tenant: String,
    /// The tenant's audience.
    pub aud: String,
    /// Latest `nbf` of the chain, seconds.
    pub nbf: u64,
    /// Earliest `exp` of the chain and of the session, seconds.
    pub exp: u64,
    /// The chain.
    pub lineage: Lineage,
    /// Whether signed requests above `read` may use it.
    pub writes: bool,
    /// Grants of the leaf.
    pub grants: Vec<Grant>,
    /// Hash of the core that sealed it, base64url.
    pub core: String,
    /// Key of the session's MACs.
    pub mac: MacKey,
}

fn seconds(time: u64) -> Value {
    Value::Int(i64::try_from(time).unwrap_or(MAX_SAFE_INTEGER))
}

impl Ticket {
    /// Seal the ticket; `salt` is 32 fresh random bytes.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub fn seal(&self, keyring: &Keyring, salt: &[u8; 32]) -> Result<String, Error> {
        let mac = Zeroizing::new(b64::encode(self.mac.bytes()));
        let members = [
            ("v", Value::Int(1)),
            ("sid", Value::Str(b64::encode(&self.session_id))),
            ("tenant", Value::str(self.tenant.as_str())),
            ("aud", Value::str(self.aud.as_str())),
            ("nbf", seconds(self.nbf)),
            ("exp", seconds(self.exp)),
            ("writes", Value::Bool(self.writes)),
            ("grants", grants_value(&self.grants)),
            ("core", Value::str(self.core.as_str())),
            ("mac", Value::str(mac.as_str())),
        ];
        let plaintext = Zeroizing::new(json::print(&Value::obj(members.into_iter().chain(self.lineage.members()))));
        keyring.seal(salt, plaintext.as_bytes())
    }

    /// Open a ticket that this core, of hash `core`, sealed. Whom and when it is for, [`Ticket::check`] says.
    ///
    /// # Errors
    /// `MALFORMED` for what does not open; `EXPIRED` with field `core` for a ticket of another core: its meaning may have
    /// changed, so the client opens a new session.
    pub fn open(keyring: &Keyring, text: &str, core: &str, now_seconds: u64) -> Result<Self, Error> {
        let plaintext = keyring.open(text, now_seconds)?;
        let value = json::parse_signed(&plaintext)?;
        if value.get("core").and_then(Value::as_str) != Some(core) {
            return Err(Error::new(Code::Expired, "a ticket of another core").at("core"));
        }
        let mut fields = Fields::new(&value)?;
        fields.int("v", 1, 1)?;
        let ticket = Self {
            session_id: session::session_id(fields.str("sid")?).map_err(|error| error.at("sid"))?,
            tenant: fields.str("tenant")?.to_owned(),
            aud: fields.str("aud")?.to_owned(),
            nbf: fields.int("nbf", 0, MAX_SAFE_INTEGER)?.unsigned_abs(),
            exp: fields.int("exp", 0, MAX_SAFE_INTEGER)?.unsigned_abs(),
            lineage: Lineage::read(&mut fields)?,
            writes: fields.bool("writes")?,
            grants: parse_grants(fields.arr("grants")?, GRANTS)?,
            core: fields.str("core")?.to_owned(),
            mac: MacKey::new(fields.b64_32("mac")?),
        };
        fields.finish()?;
        Ok(ticket)
    }

    /// Steps 6 and 7: the ticket is for this request's tenant and audience, and holds now.
    ///
    /// # Errors
    /// `AUDIENCE_MISMATCH`, `NOT_YET_VALID`, `EXPIRED` with the member at fault.
    pub fn check(&self, tenant: &str, aud: &str, now_ms: u64) -> Result<(), Error> {
        let now = now_ms / 1_000;
        if self.tenant != tenant {
            return Err(Error::new(Code::AudienceMismatch, "a ticket of another tenant").at("tenant"));
        }
        if self.aud != aud {
            return Err(Error::new(Code::AudienceMismatch, "a ticket for another audience").at("aud"));
        }
        if now < self.nbf {
            return Err(Error::new(Code::NotYetValid, "a ticket of the future").at("nbf"));
        }
        if now >= self.exp {
            return Err(Error::new(Code::Expired, "a ticket of the past").at("exp"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
