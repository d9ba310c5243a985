//! Tickets and MCP session ids: what opens says exactly what was sealed, and nothing else opens.

use talos_core::json::{self, Value};
use talos_core::mcp_session::{self, Owner};
use talos_core::seal::{Keyring, Purpose, SealingKey, Status};
use talos_core::ticket::Ticket;
use talos_core::{b64, ed25519};

use super::world::{AUD, GRANTS, NOW, NOW_MS, TENANT, did_of, flipped, jkt, lines, patched};

pub const CORE: &str = "core";

/// A keyring of one key for `purpose`.
pub fn ring(purpose: Purpose) -> Keyring {
    let key = SealingKey { kid: "t-1".into(), status: Status::Primary, key: [9; 32].into() };
    Keyring::new(purpose, vec![key]).expect("a keyring")
}

fn plaintext() -> Value {
    let holder = ed25519::public(&[3; 32]);
    let text = format!(
        r#"{{"v":1,"sid":"{}","tenant":"{TENANT}","aud":"{AUD}","nbf":1000,"exp":2000,"writes":true,"grants":{GRANTS},
        "core":"{CORE}","mac":"{}","links":[{{"id":"{}","iss":"{}","ep":0,"jkt":"{}"}},{{"id":"{}","iss":"{}","ep":0,"jkt":"{}"}}],
        "anchor":"{}","sub":"{}","root_sub":"{}","holder":"{}"}}"#,
        b64::encode(&[7; 16]),
        b64::encode(&[8; 32]),
        b64::encode(&[1; 32]),
        did_of(1),
        jkt(1),
        b64::encode(&[2; 32]),
        did_of(2),
        jkt(2),
        did_of(1),
        did_of(3),
        did_of(2),
        b64::encode(&holder),
    );
    json::parse(text.as_bytes()).expect("a plaintext")
}

/// One line a patch of a ticket's plaintext; after `~` a ticket as it travels; after `@` a patch of an MCP session's plaintext.
pub fn run(data: &[u8]) {
    let now = NOW.unsigned_abs();
    if let Some(text) = data.strip_prefix(b"~") {
        if let Ok(text) = core::str::from_utf8(text) {
            assert!(ring(Purpose::Ticket).open(text, now).is_err(), "sealed by nobody");
        }
        return;
    }
    if let Some(patch) = data.strip_prefix(b"@") {
        return session(patch, now);
    }
    let ring = ring(Purpose::Ticket);
    let line = lines(data).next().unwrap_or_default();
    let sealed_bytes =
        patched(plaintext(), line).map_or_else(|| line.to_vec(), |value| json::print(&value).into_bytes());
    let Ok(text) = ring.seal(&[1; 32], &sealed_bytes) else { return };
    assert!(flipped(&text, data).is_none_or(|changed| ring.open(&changed, now).is_err()));
    let Ok(ticket) = Ticket::open(&ring, &text, CORE, now) else { return };
    let again = ticket.seal(&ring, &[2; 32]).expect("what was opened can be sealed");
    let read = json::parse(&sealed_bytes).expect("strict JSON");
    assert_eq!(ring.open(&again, now).expect("its own").as_slice(), json::print(&read).as_bytes());
    if ticket.check(TENANT, AUD, NOW_MS).is_ok() {
        assert!(ticket.tenant == TENANT && ticket.aud == AUD && ticket.nbf <= now && now < ticket.exp);
    }
    assert!(Ticket::open(&ring, &text, "another core", now).is_err());
}

fn session(patch: &[u8], now: u64) {
    let ring = ring(Purpose::Mcp);
    let sub = did_of(3);
    let owner = Owner { tenant: TENANT, principal: &sub, jkt: "thumb", server: "files" };
    let base = format!(
        r#"{{"v":1,"tenant":"{TENANT}","principal":"{sub}","jkt":"thumb","server":"files","upstream":"up-1","exp":2000}}"#
    );
    let Some(value) = patched(json::parse(base.as_bytes()).expect("a plaintext"), patch) else { return };
    let Ok(text) = ring.seal(&[1; 32], json::print(&value).as_bytes()) else { return };
    let Ok(upstream) = mcp_session::open(&ring, &text, &owner, now) else { return };
    let said = |name: &str| value.get(name).and_then(Value::as_str);
    assert_eq!(said("upstream"), Some(upstream.as_str()));
    assert_eq!((said("tenant"), said("principal")), (Some(owner.tenant), Some(owner.principal)));
    assert_eq!((said("jkt"), said("server")), (Some(owner.jkt), Some(owner.server)));
    assert!(value.get("exp").and_then(Value::as_u64).is_some_and(|exp| now < exp));
    assert!(mcp_session::open(&ring, &text, &Owner { server: "mail", ..owner }, now).is_err());
}
