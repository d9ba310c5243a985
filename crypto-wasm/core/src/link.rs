//! The claims of one link of a capability.
//!
//! Source: contracts/spec/capability.md#link.

use crate::grant::{Grant, check_order, grants_value, is_server, parse_grants};
use crate::json::{Fields, Value};
use crate::limits::{
    AUD_BYTES, AUD_ENTRIES, CAPABILITY_LIFE_SECONDS, DELEGATION_DEPTH, EPOCH_MAX, GRANTS, MAX_SAFE_INTEGER, MAX_SECONDS,
};
use crate::{Error, did, jwk};

/// The header type of a link.
pub const TYP: &str = "talos-cap+jwt";

/// The greatest epoch: 2^31 − 1.
pub const MAX_EPOCH: i64 = EPOCH_MAX;

/// What a link says. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// DID of who grants.
    pub iss: String,
    /// DID of who holds.
    pub sub: String,
    /// Tenants it is for, sorted and distinct.
    pub aud: Vec<String>,
    /// When it was made. Decides nothing.
    pub iat: i64,
    /// From when it holds.
    pub nbf: i64,
    /// From when it no longer holds.
    pub exp: i64,
    /// A UUIDv7 for people and logs. Decides nothing.
    pub jti: String,
    /// The holder's public key, `cnf.jwk`.
    pub holder: [u8; 32],
    /// Epoch of the issuer's key when it signed.
    pub ep: i64,
    /// Delegations left below this link.
    pub depth: i64,
    /// Id of the parent; absent on the root.
    pub par: Option<String>,
    /// What it allows, ordered by tool.
    pub grants: Vec<Grant>,
}

impl Link {
    /// Reads the claims.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` for a `depth` above 7, too many grants or audiences, or a DID that is too long; `MALFORMED` for
    /// everything else, both naming the claim.
    pub fn parse(claims: &Value) -> Result<Self, Error> {
        let mut fields = Fields::new(claims)?;
        let mut cnf = Fields::new(fields.value("cnf")?).map_err(|error| error.at("cnf"))?;
        let holder = cnf.value("jwk").and_then(jwk::parse).map_err(|error| error.at("cnf"))?;
        cnf.finish().map_err(|error| error.at("cnf"))?;
        let depth = fields.int("depth", 0, MAX_SAFE_INTEGER)?;
        let par = fields.opt("par").is_some();
        let link = Self {
            iss: parse_did(&mut fields, "iss")?,
            sub: parse_did(&mut fields, "sub")?,
            aud: parse_aud(fields.arr("aud")?)?,
            iat: fields.int("iat", 0, MAX_SECONDS)?,
            nbf: fields.int("nbf", 0, MAX_SECONDS)?,
            exp: fields.int("exp", 0, MAX_SECONDS)?,
            jti: fields.str("jti")?.to_owned(),
            holder,
            ep: fields.int("ep", 0, MAX_EPOCH)?,
            depth,
            par: if par { fields.b64_32("par").and_then(|_| fields.opt_str("par"))?.map(str::to_owned) } else { None },
            grants: parse_grants(fields.arr("grants")?, GRANTS)?,
        };
        fields.finish()?;
        link.check()?;
        Ok(link)
    }

    /// The rules that a link keeps by itself, also one that was not read but made.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check(&self) -> Result<(), Error> {
        if self.depth > DELEGATION_DEPTH {
            return Err(Error::limit("more delegations than a chain can have").at("depth"));
        }
        check_aud(&self.aud)?;
        if !is_uuid_v7(&self.jti) {
            return Err(Error::malformed("not a UUIDv7").at("jti"));
        }
        if self.nbf >= self.exp || self.exp - self.nbf > CAPABILITY_LIFE_SECONDS {
            return Err(Error::malformed("an empty or too long life").at("exp"));
        }
        check_order(&self.grants)
    }

    /// The claims as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        let mut members = vec![
            ("iss", Value::str(self.iss.as_str())),
            ("sub", Value::str(self.sub.as_str())),
            ("aud", Value::Arr(self.aud.iter().map(|aud| Value::str(aud.as_str())).collect())),
            ("iat", Value::Int(self.iat)),
            ("nbf", Value::Int(self.nbf)),
            ("exp", Value::Int(self.exp)),
            ("jti", Value::str(self.jti.as_str())),
            ("cnf", Value::obj([("jwk", jwk::value(&self.holder))])),
            ("ep", Value::Int(self.ep)),
            ("depth", Value::Int(self.depth)),
            ("grants", grants_value(&self.grants)),
        ];
        if let Some(par) = &self.par {
            members.push(("par", Value::str(par.as_str())));
        }
        Value::obj(members)
    }
}

fn parse_did(fields: &mut Fields<'_>, name: &str) -> Result<String, Error> {
    let text = fields.str(name)?;
    did::key_of(text).map_err(|error| error.at(name))?;
    Ok(text.to_owned())
}

fn parse_aud(items: &[Value]) -> Result<Vec<String>, Error> {
    if items.len() > AUD_ENTRIES {
        return Err(Error::limit("too many audiences").at("aud"));
    }
    let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| Error::malformed("an audience that is no string").at("aud"))
}

fn check_aud(aud: &[String]) -> Result<(), Error> {
    if aud.len() > AUD_ENTRIES {
        return Err(Error::limit("too many audiences").at("aud"));
    }
    if aud.is_empty() || !aud.iter().all(|aud| is_audience(aud)) || !aud.is_sorted_by(|left, right| left < right) {
        return Err(Error::malformed("not a sorted set of audiences").at("aud"));
    }
    Ok(())
}

/// Whether `text` is `<origin>/t/{tenant}`.
#[must_use]
pub fn is_audience(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some((host, path)) = rest.and_then(|rest| rest.split_once('/')) else { return false };
    let Some(tenant) = path.strip_prefix("t/") else { return false };
    let host_fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#');
    // A tenant is one DNS label, as a server is.
    text.len() <= AUD_BYTES && !host.is_empty() && host.bytes().all(host_fits) && is_server(tenant)
}

/// Whether `text` is a lower-case UUID of version 7 (RFC 9562 §5.7).
#[must_use]
pub fn is_uuid_v7(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'7',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
