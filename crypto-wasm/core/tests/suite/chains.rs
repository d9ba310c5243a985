use talos_core::attenuate::{attenuate, issue};
use talos_core::chain::Chain;
use talos_core::did;
use talos_core::json::{Value, print};
use talos_core::jwk::thumbprint;
use talos_core::link::{Link, TYP};
use talos_core::trust::Trust;
use talos_core::{Code, Error, b64, jws};

use crate::support::{AUD, NOW_MS, OTHER_AUD, chain_of, did_of, grant, key, narrowed, root, root_claims, trust};

/// A link signed by `seed`, whatever it says.
fn signed(seed: u8, claims: &Link) -> String {
    jws::sign(&[seed; 32], &jws::header(TYP, []), print(&claims.value()).as_bytes())
}

fn verify_with(chain: &str, trust: &Trust) -> Result<(), Error> {
    Chain::parse(chain)?.verify(AUD, NOW_MS, trust)
}

#[track_caller]
fn refused(chain: &str, code: Code, link: usize, field: Option<&str>) {
    let error = verify_with(chain, &trust()).unwrap_err();
    assert_eq!((error.code, error.link, error.field.as_deref()), (code, Some(link), field));
}

fn child_of(parent: &str) -> Link {
    let chain = Chain::parse(parent).unwrap();
    let leaf = chain.leaf().unwrap();
    Link {
        iss: leaf.claims.sub.clone(),
        sub: did_of(3),
        holder: key(3),
        depth: leaf.claims.depth - 1,
        par: Some(leaf.id.clone()),
        ..leaf.claims.clone()
    }
}

#[test]
fn chains_of_every_length_verify() {
    for links in 1..=8 {
        let text = chain_of(links);
        verify_with(&text, &trust()).unwrap();
        let chain = Chain::parse(&text).unwrap();
        assert_eq!(chain.links().len(), usize::from(links));
        for (index, (link, text)) in chain.links().iter().zip(text.split('~')).enumerate() {
            assert_eq!(link.id, talos_core::hash::sha256_b64(text.as_bytes()));
            assert_eq!(link.jkt, thumbprint(&key(u8::try_from(index).unwrap() + 2)));
        }
        let keys: Vec<[u8; 32]> = (1..=links).map(key).collect();
        assert_eq!(chain.signing_keys(&trust()).unwrap(), keys);
        let checks = chain.signature_checks(&trust()).unwrap();
        assert!(checks.iter().zip(&keys).all(|(check, key)| check.key == *key && check.verify()));
    }
}

#[test]
fn sizes_come_first() {
    let too_long = "A".repeat(16_385);
    assert_eq!(Chain::parse(&too_long).unwrap_err().code, Code::LimitExceeded);
    // Also when no single link is too long; up to the bound it is read, and found to be none.
    assert_eq!(Chain::parse(&vec!["A".repeat(2_048); 8].join("~")).unwrap_err().code, Code::LimitExceeded);
    assert_eq!(Chain::parse(&vec!["A".repeat(2_047); 8].join("~")).unwrap_err().code, Code::Malformed);
    let error = Chain::parse(&format!("a~{}", "A".repeat(4_097))).unwrap_err();
    assert_eq!((error.code, error.link), (Code::LimitExceeded, Some(1)));
    assert_eq!(Chain::parse(&"~".repeat(8)).unwrap_err().code, Code::LimitExceeded);
    assert_eq!(Chain::parse(&"~".repeat(7)).unwrap_err().code, Code::Malformed);
}

#[test]
fn what_is_no_chain_is_malformed() {
    let text = chain_of(2);
    for bad in [
        String::new(),
        "~".into(),
        format!("{text}~"),
        format!("~{text}"),
        text.replace('~', "~~"),
        text.replace('~', " "),
        text.replace('~', "."),
    ] {
        assert_eq!(Chain::parse(&bad).unwrap_err().code, Code::Malformed, "{bad}");
    }
}

#[test]
fn the_header_of_a_link_is_exactly_alg_and_typ() {
    let payload = print(&root_claims(2, vec![grant("{}")]).value());
    let link = |header: Value| jws::sign(&[1; 32], &header, payload.as_bytes());
    assert!(verify_with(&link(jws::header(TYP, [])), &trust()).is_ok());
    // In any order: the bytes that travel are what is signed.
    let reversed = b64::encode(format!(r#"{{"typ":"{TYP}","alg":"EdDSA"}}"#).as_bytes());
    let input = format!("{reversed}.{}", b64::encode(payload.as_bytes()));
    let own_order = format!("{input}.{}", b64::encode(&talos_core::ed25519::sign(&[1; 32], input.as_bytes())));
    assert!(verify_with(&own_order, &trust()).is_ok());
    for header in [
        jws::header("JWT", []),
        jws::header(TYP, [("kid", Value::str("k"))]),
        jws::header(TYP, [("crit", Value::Arr(vec![]))]),
        Value::obj([("alg", Value::str("EdDSA"))]),
        Value::obj([("alg", Value::str("none")), ("typ", Value::str(TYP))]),
        Value::obj([("alg", Value::str("HS256")), ("typ", Value::str(TYP))]),
    ] {
        assert_eq!(Chain::parse(&link(header)).unwrap_err().code, Code::Malformed);
    }
}

#[test]
fn duplicate_members_and_floats_in_a_link_are_malformed() {
    let payload = print(&root_claims(2, vec![grant("{}")]).value());
    for changed in [
        payload.replacen("\"depth\":7", "\"depth\":7,\"depth\":7", 1),
        payload.replacen("\"depth\":7", "\"depth\":7.0", 1),
        payload.replacen("\"depth\":7", "\"depth\":7,\"d\\u0065pth\":3", 1),
        format!("{payload} x"),
        format!("\u{feff}{payload}"),
    ] {
        assert_ne!(changed, payload);
        let link = jws::sign(&[1; 32], &jws::header(TYP, []), changed.as_bytes());
        assert_eq!(Chain::parse(&link).unwrap_err().code, Code::Malformed, "{changed}");
    }
    // White space and order are the signer's own.
    let spaced = jws::sign(&[1; 32], &jws::header(TYP, []), payload.replace(",\"", " ,\n\"").as_bytes());
    assert!(verify_with(&spaced, &trust()).is_ok());
}

#[test]
fn altered_trailing_bits_make_no_second_token() {
    let text = root(2, vec![grant("{}")]);
    let stem = &text[..text.len() - 1];
    let mut same = 0;
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        same += usize::from(verify_with(&format!("{stem}{last}"), &trust()).is_ok());
    }
    assert_eq!(same, 1);
}

#[test]
fn no_byte_of_a_chain_can_be_changed() {
    let text = chain_of(2);
    for index in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify_with(&changed, &trust()).is_err(), "byte {index}");
    }
}

#[test]
fn a_link_signed_by_another_key_is_refused() {
    let claims = root_claims(2, vec![grant("{}")]);
    refused(&signed(9, &claims), Code::SignatureInvalid, 0, None);
    let parent = root(2, vec![grant("{}")]);
    refused(&format!("{parent}~{}", signed(1, &child_of(&parent))), Code::SignatureInvalid, 1, None);
    assert!(verify_with(&format!("{parent}~{}", signed(2, &child_of(&parent))), &trust()).is_ok());
}

#[test]
fn a_subject_is_its_keys_did() {
    refused(
        &signed(1, &Link { sub: did_of(4), ..root_claims(2, vec![grant("{}")]) }),
        Code::DelegationInvalid,
        0,
        Some("sub"),
    );
    let jwk = Link { sub: did::did_jwk(&key(2)), ..root_claims(2, vec![grant("{}")]) };
    assert!(verify_with(&signed(1, &jwk), &trust()).is_ok());
    refused(&signed(1, &Link { sub: did::did_jwk(&key(4)), ..jwk }), Code::DelegationInvalid, 0, Some("sub"));
    let parent = root(2, vec![grant("{}")]);
    let child = Link { sub: did_of(4), ..child_of(&parent) };
    refused(&format!("{parent}~{}", signed(2, &child)), Code::DelegationInvalid, 1, Some("sub"));
}

#[test]
fn a_did_web_subject_is_listed_with_its_thumbprint() {
    let web = "did:web:agent.example".to_owned();
    let chain = signed(1, &Link { sub: web.clone(), ..root_claims(2, vec![grant("{}")]) });
    let listed = |jkt: String| Trust::new([(did_of(1), None)], [(web.clone(), jkt)]).unwrap();
    assert!(verify_with(&chain, &listed(thumbprint(&key(2)))).is_ok());
    for trust in [trust(), listed(thumbprint(&key(3)))] {
        let error = verify_with(&chain, &trust).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::DelegationInvalid, Some("sub")));
    }
}

#[test]
fn the_parts_of_a_chain_belong_together() {
    let (parent, other) =
        (root(2, vec![grant("{}")]), signed(1, &Link { iat: 999, ..root_claims(2, vec![grant("{}")]) }));
    let child = signed(2, &child_of(&parent));
    refused(&format!("{other}~{child}"), Code::DelegationInvalid, 1, Some("par"));
    refused(&child, Code::DelegationInvalid, 0, Some("par"));
    refused(&format!("{parent}~{parent}"), Code::DelegationInvalid, 1, Some("iss"));
    let no_par = signed(2, &Link { par: None, ..child_of(&parent) });
    refused(&format!("{parent}~{no_par}"), Code::DelegationInvalid, 1, Some("par"));
    let stranger = signed(2, &Link { iss: did_of(5), ..child_of(&parent) });
    refused(&format!("{parent}~{stranger}"), Code::DelegationInvalid, 1, Some("iss"));
    // The same key under its other DID is not the parent's subject.
    let renamed = signed(2, &Link { iss: did::did_jwk(&key(2)), ..child_of(&parent) });
    refused(&format!("{parent}~{renamed}"), Code::DelegationInvalid, 1, Some("iss"));
    let longer = attenuate(&[2; 32], &parent, &narrowed(3, vec![grant("{}")])).unwrap();
    let skipped = longer.split('~').next_back().unwrap();
    refused(skipped, Code::DelegationInvalid, 0, Some("par"));
}

#[test]
fn the_root_is_issued_by_an_anchor() {
    let stranger = Link { iss: did_of(9), ..root_claims(2, vec![grant("{}")]) };
    refused(&signed(9, &stranger), Code::UntrustedIssuer, 0, Some("iss"));
    // A stranger with a wrong signature fails at the signature, which comes first; an anchor's link too.
    refused(&signed(8, &stranger), Code::SignatureInvalid, 0, None);
    // The anchor is its DID, not its key: the same key under another DID is none.
    let renamed = Link { iss: did::did_jwk(&key(1)), ..root_claims(2, vec![grant("{}")]) };
    refused(&signed(1, &renamed), Code::UntrustedIssuer, 0, Some("iss"));
    let anchored = Trust::new([(did::did_jwk(&key(1)), None)], []).unwrap();
    assert!(verify_with(&signed(1, &renamed), &anchored).is_ok());
}

#[test]
fn a_did_web_anchor_has_its_key_from_the_policy() {
    let web = "did:web:anchor.example".to_owned();
    let claims = Link { iss: web.clone(), ..root_claims(2, vec![grant("{}")]) };
    let anchored = Trust::new([(web, Some(key(7)))], []).unwrap();
    assert!(verify_with(&signed(7, &claims), &anchored).is_ok());
    assert_eq!(verify_with(&signed(8, &claims), &anchored).unwrap_err().code, Code::SignatureInvalid);
    // Unknown, its key cannot be had: untrusted before any signature.
    refused(&signed(8, &claims), Code::UntrustedIssuer, 0, Some("iss"));
    assert_eq!(
        Chain::parse(&signed(8, &claims)).unwrap().signature_checks(&trust()).unwrap_err().code,
        Code::UntrustedIssuer
    );
}

#[test]
fn every_link_is_for_the_tenant() {
    let narrow = |aud: &str| {
        let child = talos_core::attenuate::Narrowed { aud: Some(vec![aud.into()]), ..narrowed(3, vec![grant("{}")]) };
        attenuate(&[2; 32], &root(2, vec![grant("{}")]), &child).unwrap()
    };
    assert!(verify_with(&narrow(AUD), &trust()).is_ok());
    refused(&narrow(OTHER_AUD), Code::AudienceMismatch, 1, Some("aud"));
    let chain = Chain::parse(&narrow(AUD)).unwrap();
    assert_eq!(chain.check_audience("https://talos.example/t/defaul").unwrap_err().link, Some(0));
    assert_eq!(chain.check_audience(OTHER_AUD).unwrap_err().link, Some(1));
}

#[test]
fn time_is_checked_at_every_link_without_leeway() {
    let child = talos_core::attenuate::Narrowed { nbf: 1_200, exp: 1_800, ..narrowed(3, vec![grant("{}")]) };
    let chain = Chain::parse(&attenuate(&[2; 32], &root(2, vec![grant("{}")]), &child).unwrap()).unwrap();
    let at = |now_ms: i64| chain.check_time(now_ms).map_err(|error| (error.code, error.link)).err();
    assert_eq!(at(999_999), Some((Code::NotYetValid, Some(0))));
    assert_eq!(at(1_000_000), Some((Code::NotYetValid, Some(1))));
    assert_eq!(at(1_199_999), Some((Code::NotYetValid, Some(1))));
    assert_eq!(at(1_200_000), None);
    assert_eq!(at(1_799_999), None);
    assert_eq!(at(1_800_000), Some((Code::Expired, Some(1))));
    assert_eq!(at(1_999_999), Some((Code::Expired, Some(1))));
    assert_eq!(at(2_000_000), Some((Code::Expired, Some(0))));
    assert_eq!(at(-1), Some((Code::NotYetValid, Some(0))));
    assert_eq!(at(i64::MIN), Some((Code::NotYetValid, Some(0))));
    assert_eq!(at(i64::MAX), Some((Code::Expired, Some(0))));
}

#[test]
fn the_checks_answer_in_the_order_of_the_contract() {
    // Wrong in every way: each check that is repaired lets the next one answer.
    let web = "did:web:agent.example";
    let broken = Link {
        sub: web.into(),
        iss: did_of(9),
        aud: vec![OTHER_AUD.into()],
        exp: 1_100,
        ..root_claims(2, vec![grant("{}")])
    };
    refused(&signed(8, &broken), Code::DelegationInvalid, 0, Some("sub"));
    let bound = Link { sub: did_of(2), ..broken };
    refused(&signed(8, &bound), Code::SignatureInvalid, 0, None);
    refused(&signed(9, &bound), Code::UntrustedIssuer, 0, Some("iss"));
    let anchored = Link { iss: did_of(1), ..bound };
    refused(&signed(1, &anchored), Code::AudienceMismatch, 0, Some("aud"));
    refused(&signed(1, &Link { aud: vec![AUD.into()], ..anchored }), Code::Expired, 0, Some("exp"));
}

#[test]
fn a_small_order_key_never_reaches_a_verifier() {
    // With A of order 1, R = [S]B verifies for every message in verifiers that do not look.
    let mut identity = [0; 32];
    identity[0] = 1;
    let claims = Link { iss: did::did_key(&identity), ..root_claims(2, vec![grant("{}")]) };
    let text = signed(1, &claims);
    let chain = Chain::parse(&text).unwrap();
    assert_eq!(chain.signature_checks(&trust()).unwrap_err().code, Code::SignatureInvalid);
    assert!(issue(&[1; 32], &claims).is_err());
}
