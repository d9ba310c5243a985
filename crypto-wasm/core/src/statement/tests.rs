use proptest::prelude::*;

use super::*;
use crate::attenuate::{Narrowed, attenuate, issue};
use crate::b64;
use crate::grant::{Actions, Classes, Grant};
use crate::hash::sha256_b64;
use crate::lineage::fixture::{jkt, key, name, seed};
use crate::link::Link;
use crate::path::Pattern;
use crate::revocation::{Answers, Items, Revocations, Verdict, build};

const AUD: &str = "https://talos.example/t/default";
const NOW: i64 = 1_800_000_000;
const JTI: &str = "0190a5e0-7c3a-7000-8000-000000000001";

/// A chain of real links from actor 0 down to actor `links`.
fn chain(links: u8) -> String {
    let grant = Grant {
        tool: "files/read".into(),
        classes: Classes::of(&[crate::grant::Class::Read]),
        actions: Actions::Any,
        resource: Pattern::Any,
        args: vec![],
        closed: false,
    };
    let root = Link {
        iss: name(0),
        sub: name(1),
        aud: vec![AUD.into()],
        iat: NOW,
        nbf: NOW,
        exp: NOW + 3_600,
        jti: JTI.into(),
        holder: key(1),
        ep: 0,
        depth: 7,
        par: None,
        grants: vec![grant.clone()],
    };
    let mut chain = issue(&seed(0), &root).unwrap();
    for n in 1..links {
        let narrowed = Narrowed {
            sub: name(n + 1),
            holder: key(n + 1),
            aud: None,
            iat: NOW,
            nbf: NOW,
            exp: NOW + 1_800,
            jti: JTI.into(),
            ep: 0,
            depth: None,
            grants: vec![grant.clone()],
        };
        chain = attenuate(&seed(n), &chain, &narrowed).unwrap();
    }
    chain
}

fn trust() -> Trust {
    Trust::new([(name(0), None)], []).unwrap()
}

fn id(chain: &str, link: usize) -> String {
    Chain::parse(chain).unwrap().links()[link].id.clone()
}

fn payload(members: &[(&str, Value)]) -> Value {
    let common = [("aud", Value::str(AUD)), ("iat", Value::Int(NOW)), ("jti", Value::str(JTI))];
    Value::obj(common.into_iter().chain(members.iter().cloned()))
}

/// What the signer `n` gets for a statement with these members about `chain`.
fn said(n: u8, chain: &str, members: &[(&str, Value)]) -> Result<InForce, Error> {
    let text = sign(&seed(n), &payload(members)).unwrap();
    Statement::verify(&text, chain, AUD, NOW * 1_000, &trust()).map(|(statement, in_force)| {
        assert_eq!(statement.jkt, jkt(n));
        in_force
    })
}

/// Who of the actors 0..6 may say it.
fn allowed(chain: &str, members: &[(&str, Value)]) -> Vec<u8> {
    (0..6)
        .filter(|n| match said(*n, chain, members) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code, Code::RevocationNotAuthorized);
                false
            }
        })
        .collect()
}

fn text(text: impl Into<String>) -> Value {
    Value::Str(text.into())
}

#[test]
fn a_link_is_revoked_by_its_issuer_and_those_above() {
    // Chain: 0 → 1 → 2 → 3. Link n was issued by n.
    for links in 1..=3_u8 {
        let chain = chain(links);
        let last = id(&chain, usize::from(links) - 1);
        let may = allowed(&chain, &[("kind", text("link")), ("link", text(last))]);
        assert_eq!(may, (0..links).collect::<Vec<_>>(), "{links} links");
    }
    let three = chain(3);
    let upper = id(&three, 1);
    assert!(allowed(&three, &[("kind", text("link")), ("link", text(upper))]).is_empty(), "not the last link");
    let stranger = sha256_b64(b"stranger");
    assert!(allowed(&three, &[("kind", text("link")), ("link", text(stranger))]).is_empty());
}

#[test]
fn a_key_is_revoked_tenant_wide_only_by_itself_and_only_where_it_occurs() {
    let chain = chain(3);
    for n in 0..=3_u8 {
        assert_eq!(allowed(&chain, &[("kind", text("key")), ("jkt", text(jkt(n)))]), [n]);
    }
    for stranger in [4, 5] {
        assert!(allowed(&chain, &[("kind", text("key")), ("jkt", text(jkt(stranger)))]).is_empty());
    }
}

#[test]
fn granting_to_a_strangers_key_gives_no_power_over_it() {
    // 1 grants to 2, a stranger who never asked for it, and then tries to have 2's key refused everywhere.
    let chain = chain(2);
    for granter in [0, 1] {
        let error = said(granter, &chain, &[("kind", text("key")), ("jkt", text(jkt(2)))]).unwrap_err();
        assert_eq!(error.code, Code::RevocationNotAuthorized);
    }
    // What it can get is scoped to its own link, and another chain of that key lives on.
    let upper = super::tests::chain(1);
    let under = id(&upper, 0);
    let scoped = said(1, &upper, &[("kind", text("key")), ("jkt", text(jkt(2))), ("under", text(under))]).unwrap();
    let (body, hash) = build("default", 1, &[scoped.entry.print()]).unwrap();
    let loaded = Revocations::parse(body.as_bytes(), "default", &hash).unwrap();
    let check = |lineage: &Lineage| {
        let items = Items::of(lineage);
        let answers = items.texts().map(|item| {
            let own = (scoped.entry.item() == item).then(|| scoped.entry.print());
            (item.to_owned(), own.into_iter().collect())
        });
        loaded.check(lineage, &items, &Answers { rev_seq: 1, items: answers.collect() }).unwrap()
    };
    let own = Lineage::of_chain(&Chain::parse(&chain).unwrap(), &trust()).unwrap();
    assert_eq!(check(&own), Verdict::Revoked(1));
    let elsewhere = crate::lineage::fixture::lineage(2);
    assert_eq!(check(&elsewhere), Verdict::Clear);
}

#[test]
fn a_key_under_a_link_is_revoked_by_that_links_holder() {
    let chain = chain(2);
    let last = id(&chain, 1);
    for target in [2, 3, 5] {
        let members = [("kind", text("key")), ("jkt", text(jkt(target))), ("under", text(last.clone()))];
        assert_eq!(allowed(&chain, &members), [2]);
    }
    let upper = id(&chain, 0);
    assert!(allowed(&chain, &[("kind", text("key")), ("jkt", text(jkt(3))), ("under", text(upper))]).is_empty());
}

#[test]
fn a_key_in_an_anchors_chains_is_revoked_by_that_anchor() {
    let chain = chain(2);
    let by = |anchor: u8| [("kind", text("key")), ("jkt", text(jkt(4))), ("anchor", text(name(anchor)))];
    assert_eq!(allowed(&chain, &by(0)), [0]);
    for other in [1, 2, 4] {
        assert!(allowed(&chain, &by(other)).is_empty());
    }
}

#[test]
fn an_epoch_is_raised_by_that_key() {
    let chain = chain(2);
    let of = |n: u8| [("kind", text("epoch")), ("jkt", text(jkt(n))), ("epoch", Value::Int(3))];
    for n in 0..=2 {
        assert_eq!(allowed(&chain, &of(n)), [n]);
    }
    assert!(allowed(&chain, &of(4)).is_empty());
}

#[test]
fn entries_are_kept_as_long_as_they_can_matter() {
    let chain = chain(2);
    let link = said(0, &chain, &[("kind", text("link")), ("link", text(id(&chain, 1)))]).unwrap();
    assert_eq!(link.expires_at, NOW + 1_800);
    let key = said(2, &chain, &[("kind", text("key")), ("jkt", text(jkt(2)))]).unwrap();
    assert_eq!(key.expires_at, NOW + CAPABILITY_LIFE_SECONDS);
    assert_eq!(key.lineage.links.len(), 2);
}

#[test]
fn a_statement_is_for_one_tenant_and_one_minute() {
    let chain = chain(1);
    let statement = sign(&seed(0), &payload(&[("kind", text("link")), ("link", text(id(&chain, 0)))])).unwrap();
    let check = |aud: &str, now_ms: i64| Statement::parse(&statement).unwrap().check(aud, now_ms);
    assert!(check(AUD, (NOW + 60) * 1_000 + 999).is_ok() && check(AUD, (NOW - 60) * 1_000).is_ok());
    let field = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        (error.code, error.field.clone().unwrap())
    };
    assert_eq!(field(check(AUD, (NOW + 61) * 1_000)), (Code::ProofInvalid, "iat".into()));
    assert_eq!(field(check(AUD, (NOW - 60) * 1_000 - 1)), (Code::ProofInvalid, "iat".into()));
    assert_eq!(field(check("https://talos.example/t/acme", NOW * 1_000)), (Code::AudienceMismatch, "aud".into()));
}

#[test]
fn the_chain_must_be_valid_but_may_be_revoked() {
    let chain = chain(2);
    let statement = sign(&seed(0), &payload(&[("kind", text("link")), ("link", text(id(&chain, 1)))])).unwrap();
    let code = |chain: &str, aud: &str, now: i64, trust: &Trust| {
        Statement::verify(&statement, chain, aud, now * 1_000, trust).unwrap_err().code
    };
    assert_eq!(code(&chain, AUD, NOW, &Trust::default()), Code::UntrustedIssuer);
    assert_eq!(code(&chain, AUD, NOW + 1_800, &trust()), Code::Expired);
    assert_eq!(code(&chain, AUD, NOW - 1, &trust()), Code::NotYetValid);
    let cut = chain.split_once('~').unwrap().1;
    assert_eq!(code(cut, AUD, NOW, &trust()), Code::DelegationInvalid);
    // The chain lives longer than the statement's minute, and is for more tenants.
    assert_eq!(code(&chain, AUD, NOW + 61, &trust()), Code::ProofInvalid);
    // Nothing about revocations is asked: the same statement may come again.
    assert!(Statement::verify(&statement, &chain, AUD, NOW * 1_000, &trust()).is_ok());
}

#[test]
fn a_changed_statement_is_refused() {
    let chain = chain(1);
    let statement = sign(&seed(0), &payload(&[("kind", text("link")), ("link", text(id(&chain, 0)))])).unwrap();
    for at in 0..statement.len() {
        let mut bytes = statement.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(Statement::verify(&changed, &chain, AUD, NOW * 1_000, &trust()).is_err(), "byte {at}");
    }
    let other = jws::header(TYP, [("jwk", jwk::value(&key(0)))]);
    let forged = jws::sign(&seed(5), &other, &jws::parse(&statement).unwrap().payload_bytes);
    let error = Statement::verify(&forged, &chain, AUD, NOW * 1_000, &trust()).unwrap_err();
    assert_eq!(error.code, Code::ProofInvalid);
}

#[test]
fn each_malformed_part_is_named() {
    let refused = |members: &[(&str, Value)]| {
        let header = jws::header(TYP, [("jwk", jwk::value(&key(0)))]);
        let text = jws::sign(&seed(0), &header, crate::json::print(&Value::obj(members.iter().cloned())).as_bytes());
        let error = Statement::parse(&text).unwrap_err();
        assert_eq!(error.code, Code::Malformed);
        error.field.clone().unwrap_or_default()
    };
    let hash = || text(b64::encode(&[1; 32]));
    let good =
        [("aud", text(AUD)), ("iat", Value::Int(NOW)), ("jti", text(JTI)), ("kind", text("link")), ("link", hash())];
    for at in 0..good.len() {
        let mut without = good.to_vec();
        let (name, _) = without.remove(at);
        assert_eq!(refused(&without), name);
        let mut wrong = good.to_vec();
        wrong[at].1 = Value::Bool(true);
        assert_eq!(refused(&wrong), name);
    }
    let with = |kind: &str, more: &[(&'static str, Value)]| {
        let mut members = good[..3].to_vec();
        members.push(("kind", text(kind)));
        members.extend(more.iter().cloned());
        refused(&members)
    };
    let mut version = good.to_vec();
    version[2].1 = text(JTI.replace("-7", "-4"));
    assert_eq!(refused(&version), "jti");
    assert_eq!(with("all", &[]), "kind");
    assert_eq!(with("link", &[("link", hash()), ("jkt", hash())]), "jkt");
    assert_eq!(with("key", &[]), "jkt");
    assert_eq!(with("key", &[("jkt", hash()), ("under", text("x"))]), "under");
    assert_eq!(with("key", &[("jkt", hash()), ("anchor", text("x"))]), "anchor");
    assert_eq!(with("key", &[("jkt", hash()), ("anchor", text(name(0))), ("under", hash())]), "anchor");
    assert_eq!(with("key", &[("jkt", hash()), ("epoch", Value::Int(1))]), "epoch");
    assert_eq!(with("epoch", &[("jkt", hash())]), "epoch");
    assert_eq!(with("epoch", &[("jkt", hash()), ("epoch", Value::Int(0))]), "epoch");
    assert_eq!(with("epoch", &[("jkt", hash()), ("epoch", Value::Int(MAX_EPOCH + 1))]), "epoch");
    assert_eq!(Statement::parse(&"a".repeat(2_049)).unwrap_err().code, Code::LimitExceeded);
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), payload in any::<Vec<u8>>()) {
        prop_assert!(Statement::parse(&text).is_err());
        let header = jws::header(TYP, [("jwk", jwk::value(&key(0)))]);
        prop_assert!(Statement::parse(&jws::sign(&seed(0), &header, &payload)).is_err());
    }
}
