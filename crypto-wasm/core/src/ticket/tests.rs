use super::*;
use crate::grant::{Actions, Class, Classes};
use crate::hash::sha256_b64;
use crate::lineage::fixture::lineage;
use crate::path::Pattern;
use crate::seal::{Purpose, SealingKey, Status};

const NOW: u64 = 500;

fn ring(purpose: Purpose, byte: u8) -> Keyring {
    let key = SealingKey { kid: "dev-t".into(), status: Status::Primary, key: Zeroizing::new([byte; 32]) };
    Keyring::new(purpose, vec![key]).unwrap()
}

fn core() -> String {
    sha256_b64(b"core")
}

fn ticket() -> Ticket {
    let grant = Grant {
        tool: "files/read".into(),
        classes: Classes::of(&[Class::Read]),
        actions: Actions::Any,
        resource: Pattern::Any,
        args: vec![],
        closed: false,
    };
    Ticket {
        session_id: [1; 16],
        tenant: "default".into(),
        aud: "https://talos.example/t/default".into(),
        nbf: 100,
        exp: 1_000,
        lineage: lineage(3),
        writes: false,
        grants: vec![grant],
        core: core(),
        mac: MacKey::new([2; 32]),
    }
}

/// The plaintext with one member changed, sealed again.
fn forged(name: &str, value: Value) -> Result<Ticket, Error> {
    let ring = ring(Purpose::Ticket, 1);
    let plaintext = ring.open(&ticket().seal(&ring, &[3; 32]).unwrap(), NOW).unwrap();
    let Value::Obj(mut members) = json::parse(&plaintext).unwrap() else { panic!("not an object") };
    members.retain(|(member, _)| member != name);
    if value != Value::Null {
        members.push((name.to_owned(), value));
    }
    let text = ring.seal(&[4; 32], json::print(&Value::Obj(members)).as_bytes()).unwrap();
    Ticket::open(&ring, &text, &core(), NOW)
}

#[test]
fn what_is_sealed_opens_as_it_was() {
    let ring = ring(Purpose::Ticket, 1);
    let opened = Ticket::open(&ring, &ticket().seal(&ring, &[3; 32]).unwrap(), &core(), NOW).unwrap();
    assert_eq!(opened.lineage, ticket().lineage);
    assert_eq!(opened.grants, ticket().grants);
    assert_eq!(opened.mac.bytes(), ticket().mac.bytes());
    assert_eq!((opened.session_id, opened.nbf, opened.exp, opened.writes), ([1; 16], 100, 1_000, false));
    assert!(!format!("{opened:?}").contains("[2, 2"));
}

#[test]
fn any_flipped_bit_of_a_ticket_fails() {
    let ring = ring(Purpose::Ticket, 1);
    let text = ticket().seal(&ring, &[3; 32]).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(Ticket::open(&ring, &changed, &core(), NOW).unwrap_err().code, Code::Malformed, "{at}");
    }
}

#[test]
fn a_ticket_of_another_key_or_purpose_does_not_open() {
    let text = ticket().seal(&ring(Purpose::Ticket, 1), &[3; 32]).unwrap();
    for ring in [ring(Purpose::Ticket, 2), ring(Purpose::Mcp, 1)] {
        assert_eq!(Ticket::open(&ring, &text, &core(), NOW).unwrap_err().code, Code::Malformed);
    }
}

#[test]
fn a_ticket_of_another_core_is_expired() {
    let ring = ring(Purpose::Ticket, 1);
    let text = ticket().seal(&ring, &[3; 32]).unwrap();
    let error = Ticket::open(&ring, &text, &sha256_b64(b"other"), NOW).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::Expired, Some("core")));
}

#[test]
fn every_member_is_asked_for_and_checked() {
    let members = [
        "v", "sid", "tenant", "aud", "nbf", "exp", "links", "anchor", "sub", "root_sub", "holder", "writes", "grants",
        "mac",
    ];
    for name in members {
        let error = forged(name, Value::Null).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::Malformed, Some(name)));
        assert_eq!(forged(name, Value::Arr(vec![])).unwrap_err().field.as_deref(), Some(name));
    }
    assert_eq!(forged("v", Value::Int(2)).unwrap_err().field.as_deref(), Some("v"));
    assert_eq!(forged("more", Value::Int(2)).unwrap_err().field.as_deref(), Some("more"));
    assert_eq!(forged("core", Value::Null).unwrap_err().code, Code::Expired);
}

#[test]
fn a_ticket_is_for_one_tenant_and_one_time() {
    let ticket = ticket();
    let check = |tenant: &str, aud: &str, now_ms| {
        let error = ticket.check(tenant, aud, now_ms).unwrap_err();
        (error.code, error.field.clone().unwrap())
    };
    let aud = "https://talos.example/t/default";
    assert!(ticket.check("default", aud, 100_000).is_ok());
    assert!(ticket.check("default", aud, 999_999).is_ok());
    assert_eq!(check("acme", aud, 100_000), (Code::AudienceMismatch, "tenant".into()));
    assert_eq!(check("default", "https://other.example/t/default", 100_000), (Code::AudienceMismatch, "aud".into()));
    assert_eq!(check("default", aud, 99_999), (Code::NotYetValid, "nbf".into()));
    assert_eq!(check("default", aud, 1_000_000), (Code::Expired, "exp".into()));
}
