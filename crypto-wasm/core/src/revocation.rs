//! Revocations in force: entries, the body that carries their filter, and the check of a chain against both.
//!
//! Source: contracts/spec/in-force.md#revocation-statement and #revocation-body.

use crate::bloom::{Filter, Probe};
use crate::contract::limits::{LOOKUP_ENTRIES, REVOCATION_BODY_BYTES, REVOCATIONS_PER_TENANT};
use crate::hash::{sha256, sha256_b64};
use crate::json::{self, Fields, Value};
use crate::limits::{DID_BYTES, MAX_SAFE_INTEGER};
use crate::lineage::Lineage;
use crate::link::MAX_EPOCH;
use crate::structured::parse_integer;
use crate::table::sort_texts;
use crate::{Code, Error, b64};

/// How far the revocation of a key reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every chain of the tenant.
    Tenant,
    /// Chains through this link, in the links below it.
    Under(String),
    /// Chains that this anchor roots.
    Anchor(String),
}

/// One revocation in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Every chain through the link.
    Link(String),
    /// Every chain within reach in which the key signs or holds.
    Key {
        /// Thumbprint.
        jkt: String,
        /// Where.
        reach: Reach,
    },
    /// Every chain with a link that the key signed in an earlier epoch.
    Epoch {
        /// Thumbprint.
        jkt: String,
        /// The first epoch that is still good.
        epoch: i64,
    },
}

impl Entry {
    /// The entry as it is stored and hashed.
    #[must_use]
    pub fn print(&self) -> String {
        match self {
            Self::Link(id) => format!("link:{id}"),
            Self::Key { jkt, reach: Reach::Tenant } => format!("key:{jkt}"),
            Self::Key { jkt, reach: Reach::Under(id) } => format!("key:{jkt}:under:{id}"),
            Self::Key { jkt, reach: Reach::Anchor(did) } => format!("key:{jkt}:anchor:{did}"),
            Self::Epoch { jkt, epoch } => format!("epoch:{jkt}:{epoch}"),
        }
    }

    /// An entry from its printed form.
    ///
    /// # Errors
    /// `MALFORMED` for every other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::malformed("not a revocation entry").at("entries");
        let hash = |text: &str| b64::decode32(text).map(|_| text.to_owned()).map_err(|_| bad());
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (first, more) = rest.split_once(':').map_or((rest, None), |(first, more)| (first, Some(more)));
        let first = hash(first)?;
        match (kind, more.map(|more| more.split_once(':').unwrap_or((more, "")))) {
            ("link", None) => Ok(Self::Link(first)),
            ("key", None) => Ok(Self::Key { jkt: first, reach: Reach::Tenant }),
            ("key", Some(("under", id))) => Ok(Self::Key { jkt: first, reach: Reach::Under(hash(id)?) }),
            ("key", Some(("anchor", did))) if is_name(did) => {
                Ok(Self::Key { jkt: first, reach: Reach::Anchor(did.to_owned()) })
            }
            ("epoch", Some((number, ""))) if more.is_some_and(|more| more == number) => {
                let epoch = parse_integer(number).and_then(|number| i64::try_from(number).ok());
                match epoch.filter(|epoch| (1..=MAX_EPOCH).contains(epoch)) {
                    Some(epoch) => Ok(Self::Epoch { jkt: first, epoch }),
                    None => Err(bad()),
                }
            }
            _ => Err(bad()),
        }
    }

    /// The item under which the filter holds the entry and the object finds it.
    #[must_use]
    pub fn item(&self) -> String {
        match self {
            Self::Link(id) => format!("link:{id}"),
            Self::Key { jkt, .. } => format!("key:{jkt}"),
            Self::Epoch { jkt, .. } => format!("epoch:{jkt}"),
        }
    }

    /// The first link of the chain that the entry kills, if it does.
    #[must_use]
    pub fn kills(&self, chain: &Lineage) -> Option<usize> {
        match self {
            Self::Link(id) => chain.links.iter().position(|link| link.id == *id),
            Self::Key { jkt, reach: Reach::Tenant } => chain.position_of(jkt, 0),
            Self::Key { jkt, reach: Reach::Under(id) } => {
                let under = chain.links.iter().position(|link| link.id == *id)?;
                chain.position_of(jkt, under + 1)
            }
            Self::Key { jkt, reach: Reach::Anchor(did) } => {
                let own = chain.links.first().is_some_and(|root| root.jkt == *jkt);
                if chain.anchor() == did && !own { chain.position_of(jkt, 0) } else { None }
            }
            Self::Epoch { jkt, epoch } => chain.links.iter().position(|link| link.jkt == *jkt && link.ep < *epoch),
        }
    }
}

/// A DID as an entry may hold it: visible ASCII.
fn is_name(did: &str) -> bool {
    did.starts_with("did:") && did.len() <= DID_BYTES && did.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The items of a chain, with their probes: computed once for a ticket that is used often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items(Vec<(String, Probe)>);

impl Items {
    /// Links, keys and epochs of `chain`, each once.
    #[must_use]
    pub fn of(chain: &Lineage) -> Self {
        let mut items: Vec<String> = chain.links.iter().map(|link| format!("link:{}", link.id)).collect();
        items.extend(chain.keys().map(|jkt| format!("key:{jkt}")));
        items.extend(chain.links.iter().map(|link| format!("epoch:{}", link.jkt)));
        sort_texts(&mut items);
        Self(items.into_iter().map(|item| (Probe::of(&item), item)).map(|(probe, item)| (item, probe)).collect())
    }

    /// The items' texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(item, _)| item.as_str())
    }
}

/// What the tenant's object answered for items that the filter hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The number that the answers are for.
    pub rev_seq: u64,
    /// Printed entries by item; an item without revocations has an empty list.
    pub items: Vec<(String, Vec<String>)>,
}

impl Answers {
    /// The entries of an item, if it was asked about.
    fn of(&self, item: &str) -> Option<&[String]> {
        self.items.iter().find(|(name, _)| name == item).map(|(_, entries)| entries.as_slice())
    }
}

/// What the check of a chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in force kills the chain.
    Clear,
    /// The filter hit: these items must be looked up exactly.
    Lookup(Vec<String>),
    /// The link with this index is dead.
    Revoked(usize),
}

/// A revocation body that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// The tenant.
    pub tenant: String,
    /// Its number.
    pub rev_seq: u64,
    /// Hash of all entries.
    pub entries_hash: String,
    filter: Filter,
}

/// Print the body of these entries: the body and its hash.
///
/// # Errors
/// `MALFORMED` for an entry that is not printed by the rule; `revocation.limit` beyond 131,072 entries.
pub fn build(tenant: &str, rev_seq: u64, entries: &[String]) -> Result<(String, String), Error> {
    if entries.len() > REVOCATIONS_PER_TENANT {
        return Err(Error::new(Code::RevocationLimit, "too many revocations of one tenant").at("entries"));
    }
    let mut sorted: Vec<&str> = entries.iter().map(String::as_str).collect();
    sort_texts(&mut sorted);
    let mut items =
        sorted.iter().map(|entry| Entry::parse(entry).map(|entry| entry.item())).collect::<Result<Vec<_>, _>>()?;
    sort_texts(&mut items);
    let number = i64::try_from(rev_seq).ok().filter(|number| *number <= MAX_SAFE_INTEGER);
    let body = json::print(&Value::obj([
        ("v", Value::Int(1)),
        ("tenant", Value::str(tenant)),
        ("rev_seq", Value::Int(number.ok_or_else(|| Error::limit("a number that JSON cannot carry").at("rev_seq"))?)),
        ("entries_hash", Value::Str(sha256_b64(sorted.join("\n").as_bytes()))),
        ("filter", Value::Str(b64::encode(&Filter::build(&items).to_bytes()))),
    ]));
    let hash = sha256_b64(body.as_bytes());
    Ok((body, hash))
}

impl Revocations {
    /// The body `text`, if it is the one that the head names.
    ///
    /// # Errors
    /// `head.inconsistent` when it does not hash to `expected_hash` or is another tenant's; `MALFORMED` for its shape.
    pub fn parse(text: &[u8], tenant: &str, expected_hash: &str) -> Result<Self, Error> {
        if text.len() > REVOCATION_BODY_BYTES {
            return Err(Error::limit("a body that is too long").at("filter"));
        }
        if b64::decode32(expected_hash).map_err(|error| error.at("rev_hash"))? != sha256(text) {
            return Err(Error::new(Code::HeadInconsistent, "another body than the head names").at("rev_hash"));
        }
        let value = json::parse_signed(text)?;
        if json::print(&value).as_bytes() != text {
            return Err(Error::malformed("not in canonical form"));
        }
        let mut fields = Fields::new(&value)?;
        fields.int("v", 1, 1)?;
        let found = Self {
            tenant: fields.str("tenant")?.to_owned(),
            rev_seq: fields.int("rev_seq", 0, MAX_SAFE_INTEGER)?.unsigned_abs(),
            entries_hash: b64::encode(&fields.b64_32("entries_hash")?),
            filter: Filter::from_bytes(&b64::decode(fields.str("filter")?).map_err(|error| error.at("filter"))?)?,
        };
        fields.finish()?;
        if found.tenant == tenant {
            Ok(found)
        } else {
            Err(Error::new(Code::HeadInconsistent, "the body of another tenant").at("tenant"))
        }
    }

    /// The items that the filter hits.
    #[must_use]
    pub fn hits<'a>(&self, items: &'a Items) -> Vec<&'a str> {
        items.0.iter().filter(|(_, probe)| self.filter.may_hold(*probe)).map(|(item, _)| item.as_str()).collect()
    }

    /// Step 8: whether `chain`, whose items are `items`, lives. A hit of the filter alone denies nothing.
    ///
    /// # Errors
    /// `head.inconsistent` for an answer with an entry that does not belong to its item.
    pub fn check(&self, chain: &Lineage, items: &Items, answers: &Answers) -> Result<Verdict, Error> {
        let mut missing = Vec::new();
        let mut dead: Option<usize> = None;
        for item in self.hits(items) {
            // An older answer may lack what the filter knows: asked again.
            let Some(entries) = answers.of(item).filter(|_| answers.rev_seq >= self.rev_seq) else {
                missing.push(item.to_owned());
                continue;
            };
            if entries.len() > LOOKUP_ENTRIES {
                return Err(foreign());
            }
            for entry in entries {
                let entry = Entry::parse(entry).map_err(|_| foreign())?;
                if entry.item() != item {
                    return Err(foreign());
                }
                dead = [dead, entry.kills(chain)].into_iter().flatten().min();
            }
        }
        Ok(match (missing.is_empty(), dead) {
            (false, _) => Verdict::Lookup(missing),
            (true, Some(link)) => Verdict::Revoked(link),
            (true, None) => Verdict::Clear,
        })
    }
}

fn foreign() -> Error {
    Error::new(Code::HeadInconsistent, "an answer to another question").at("entries")
}

/// `REVOKED` at the link with this index.
#[must_use]
pub fn revoked(link: usize) -> Error {
    Error::new(Code::Revoked, "a link, key or epoch is revoked").in_link(link)
}

#[cfg(test)]
mod tests;
