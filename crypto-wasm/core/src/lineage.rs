//! What of a chain is asked about again at every request, whether it came as a chain or sealed in a ticket: revocation,
//! forbid rules and roles all read this and nothing else.
//!
//! Source: contracts/spec/session.md#ticket, contracts/spec/in-force.md.

use crate::chain::Chain;
use crate::json::{self, Fields, Value};
use crate::limits::{CHAIN_LINKS, DID_BYTES};
use crate::link::MAX_EPOCH;
use crate::trust::Trust;
use crate::{Error, b64, jwk};

/// One link of the lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Link id.
    pub id: String,
    /// DID of its issuer.
    pub iss: String,
    /// Epoch of the issuer's key when it signed.
    pub ep: i64,
    /// Thumbprint of the key that signed it.
    pub jkt: String,
}

/// The links of a chain, root first, and who stands at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// 1..8 links, root first.
    pub links: Vec<Ancestor>,
    /// DID of the leaf's holder.
    pub sub: String,
    /// DID of the root's holder.
    pub root_sub: String,
    /// Public key of the leaf's holder.
    pub holder: [u8; 32],
    /// Thumbprint of the leaf's holder.
    pub holder_jkt: String,
}

impl Lineage {
    /// The lineage of a chain that was read.
    ///
    /// # Errors
    /// `UNTRUSTED_ISSUER` when the root's issuer is a did:web that is no anchor: its key cannot be had.
    pub fn of_chain(chain: &Chain, trust: &Trust) -> Result<Self, Error> {
        let root = chain.signing_keys(trust)?.first().map(jwk::thumbprint);
        // A link below the root was signed by its parent's holder, whose thumbprint is known.
        let signers = root.into_iter().chain(chain.links().iter().map(|link| link.jkt.clone()));
        let links = chain.links().iter().zip(signers).map(|(link, jkt)| Ancestor {
            id: link.id.clone(),
            iss: link.claims.iss.clone(),
            ep: link.claims.ep,
            jkt,
        });
        let leaf = chain.leaf()?;
        Ok(Self {
            links: links.collect(),
            sub: leaf.claims.sub.clone(),
            root_sub: chain.root()?.claims.sub.clone(),
            holder: leaf.claims.holder,
            holder_jkt: leaf.jkt.clone(),
        })
    }

    /// DID of the root's issuer.
    #[must_use]
    pub fn anchor(&self) -> &str {
        self.links.first().map_or("", |root| root.iss.as_str())
    }

    /// Thumbprint of the key that holds link `index`: it signed the next one, or is the leaf's.
    #[must_use]
    pub fn holder_of(&self, index: usize) -> &str {
        self.links.get(index + 1).map_or(self.holder_jkt.as_str(), |next| next.jkt.as_str())
    }

    /// The first link at or below `from` that the key signs or holds.
    #[must_use]
    pub fn position_of(&self, jkt: &str, from: usize) -> Option<usize> {
        let concerned = |(index, link): &(usize, &Ancestor)| link.jkt == jkt || self.holder_of(*index) == jkt;
        self.links.iter().enumerate().skip(from).find(concerned).map(|(index, _)| index)
    }

    /// Every key of the chain: the signers, then the leaf's holder.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.jkt.as_str()).chain([self.holder_jkt.as_str()])
    }

    /// The holders of the links in their order: each issued the next one, the last is the leaf's.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.links.iter().skip(1).map(|link| link.iss.as_str()).chain([self.sub.as_str()])
    }

    /// Every name of the chain: the issuers, then the leaf's holder.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.iss.as_str()).chain([self.sub.as_str()])
    }

    /// The members that a ticket has of it.
    pub(crate) fn members(&self) -> [(&'static str, Value); 5] {
        let links = self.links.iter().map(|link| {
            Value::obj([
                ("id", Value::str(link.id.as_str())),
                ("iss", Value::str(link.iss.as_str())),
                ("ep", Value::Int(link.ep)),
                ("jkt", Value::str(link.jkt.as_str())),
            ])
        });
        [
            ("links", Value::Arr(links.collect())),
            ("anchor", Value::str(self.anchor())),
            ("sub", Value::str(self.sub.as_str())),
            ("root_sub", Value::str(self.root_sub.as_str())),
            ("holder", Value::Str(b64::encode(&self.holder))),
        ]
    }

    /// Reads the members of a ticket.
    ///
    /// # Errors
    /// `MALFORMED` with the member at fault.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let items = fields.arr("links")?;
        if !(1..=CHAIN_LINKS).contains(&items.len()) {
            return Err(Error::malformed("not 1 to 8 links").at("links"));
        }
        let links = json::each(items, read_link).map_err(|error| error.at("links"))?;
        let holder = fields.b64_32("holder")?;
        let lineage = Self {
            links,
            sub: name(fields.str("sub")?).map_err(|error| error.at("sub"))?,
            root_sub: name(fields.str("root_sub")?).map_err(|error| error.at("root_sub"))?,
            holder,
            holder_jkt: jwk::thumbprint(&holder),
        };
        // What the ticket says twice it must say alike.
        if fields.str("anchor")? != lineage.anchor() {
            return Err(Error::malformed("not the root's issuer").at("anchor"));
        }
        if lineage.links.get(1).map_or(&lineage.sub, |second| &second.iss) != &lineage.root_sub {
            return Err(Error::malformed("not the root's holder").at("root_sub"));
        }
        Ok(lineage)
    }
}

fn name(did: &str) -> Result<String, Error> {
    if did.starts_with("did:") && did.len() <= DID_BYTES {
        Ok(did.to_owned())
    } else {
        Err(Error::malformed("not a DID"))
    }
}

fn read_link(value: &Value) -> Result<Ancestor, Error> {
    let mut fields = Fields::new(value)?;
    let link = Ancestor {
        id: b64::encode(&fields.b64_32("id")?),
        iss: name(fields.str("iss")?)?,
        ep: fields.int("ep", 0, MAX_EPOCH)?,
        jkt: b64::encode(&fields.b64_32("jkt")?),
    };
    fields.finish()?;
    Ok(link)
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::hash::sha256_b64;
    use crate::{did, ed25519};

    /// The seed of the actor number `n`; 0 is the anchor, 1 the root's holder, and so on.
    pub fn seed(n: u8) -> [u8; 32] {
        [n + 1; 32]
    }

    pub fn key(n: u8) -> [u8; 32] {
        ed25519::public(&seed(n))
    }

    pub fn jkt(n: u8) -> String {
        jwk::thumbprint(&key(n))
    }

    pub fn name(n: u8) -> String {
        did::did_key(&key(n))
    }

    /// The id of the link that the actor `n` issued to the actor `n + 1`.
    pub fn link(n: u8) -> String {
        sha256_b64(&[n])
    }

    /// A chain of `links` links from actor 0 down to actor `links`, each signed in epoch 5.
    pub fn lineage(links: u8) -> Lineage {
        let ancestor = |n: u8| Ancestor { id: link(n), iss: name(n), ep: 5, jkt: jkt(n) };
        Lineage {
            links: (0..links).map(ancestor).collect(),
            sub: name(links),
            root_sub: name(1),
            holder: key(links),
            holder_jkt: jkt(links),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{jkt, lineage, name};
    use super::*;

    #[test]
    fn the_members_of_a_ticket_go_round() {
        for links in 1..=8 {
            let lineage = lineage(links);
            let value = Value::obj(lineage.members());
            let mut fields = Fields::new(&value).unwrap();
            assert_eq!(Lineage::read(&mut fields).unwrap(), lineage);
            fields.finish().unwrap();
        }
    }

    type Members = Vec<(String, Value)>;

    #[test]
    fn a_lineage_that_contradicts_itself_is_refused() {
        let refused = |change: &dyn Fn(&mut Members)| {
            let mut members: Members =
                lineage(2).members().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            change(&mut members);
            let value = Value::Obj(members);
            Lineage::read(&mut Fields::new(&value).unwrap()).unwrap_err().field.clone().unwrap()
        };
        assert_eq!(refused(&|members| members[0].1 = Value::Arr(vec![])), "links");
        assert_eq!(refused(&|members| members[0].1 = Value::Arr(vec![Value::Null])), "links");
        assert_eq!(refused(&|members| members[1].1 = Value::Str(name(7))), "anchor");
        assert_eq!(refused(&|members| members[2].1 = Value::str("somebody")), "sub");
        assert_eq!(refused(&|members| members[3].1 = Value::Str(name(7))), "root_sub");
        assert_eq!(refused(&|members| members[4].1 = Value::str("AA")), "holder");
    }

    #[test]
    fn a_key_is_found_where_it_signs_or_holds() {
        let lineage = lineage(3);
        assert_eq!(lineage.position_of(&jkt(0), 0), Some(0));
        assert_eq!(lineage.position_of(&jkt(0), 1), None);
        assert_eq!(lineage.position_of(&jkt(1), 0), Some(0));
        assert_eq!(lineage.position_of(&jkt(1), 1), Some(1));
        assert_eq!(lineage.position_of(&jkt(3), 0), Some(2));
        assert_eq!(lineage.position_of(&jkt(4), 0), None);
        assert_eq!(lineage.holder_of(2), jkt(3));
        assert_eq!(lineage.keys().count(), 4);
        assert_eq!(lineage.names().last(), Some(name(3).as_str()));
    }
}
