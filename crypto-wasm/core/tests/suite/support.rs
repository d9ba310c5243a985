//! Shorthand for making grants, links and chains in tests.

use talos_core::attenuate::{self, Narrowed};
use talos_core::grant::{Atom, Grant};
use talos_core::json::{self, Value};
use talos_core::link::Link;
use talos_core::trust::Trust;
use talos_core::{did, ed25519};

pub const AUD: &str = "https://talos.example/t/default";
pub const OTHER_AUD: &str = "https://talos.example/t/other";
pub const JTI: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// Within the life of every link made here, milliseconds.
pub const NOW_MS: i64 = 1_500_000;

pub fn json(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The object `base` with the members of `over` in place of its own; a member that is `null` is left out.
pub fn with(base: &str, over: &str) -> Value {
    let Value::Obj(mut members) = json(base) else { panic!("no object: {base}") };
    let Value::Obj(over) = json(over) else { panic!("no object: {over}") };
    members.retain(|(name, _)| !over.iter().any(|(own, _)| own == name));
    members.extend(over.into_iter().filter(|(_, value)| *value != Value::Null));
    Value::Obj(members)
}

pub const GRANT: &str =
    r#"{"tool":"fs/read","classes":["read"],"actions":["call"],"resource":"any","args":{},"closed":false}"#;

/// A grant of `fs/read` with other members.
pub fn grant(over: &str) -> Grant {
    Grant::parse(&with(GRANT, over)).unwrap_or_else(|error| panic!("{error}: {over}"))
}

pub fn atom(text: &str) -> Atom {
    Atom::parse(&json(text)).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn key(seed: u8) -> [u8; 32] {
    ed25519::public(&[seed; 32])
}

pub fn did_of(seed: u8) -> String {
    did::did_key(&key(seed))
}

/// A root from the anchor (seed 1) to the holder `to`.
pub fn root_claims(to: u8, grants: Vec<Grant>) -> Link {
    Link {
        iss: did_of(1),
        sub: did_of(to),
        aud: vec![AUD.into(), OTHER_AUD.into()],
        iat: 1_000,
        nbf: 1_000,
        exp: 2_000,
        jti: JTI.into(),
        holder: key(to),
        ep: 0,
        depth: 7,
        par: None,
        grants,
    }
}

pub fn root(to: u8, grants: Vec<Grant>) -> String {
    attenuate::issue(&[1; 32], &root_claims(to, grants)).unwrap()
}

/// What the holder chooses for `to`: everything as in the parent.
pub fn narrowed(to: u8, grants: Vec<Grant>) -> Narrowed {
    Narrowed {
        sub: did_of(to),
        holder: key(to),
        aud: None,
        iat: 1_000,
        nbf: 1_000,
        exp: 2_000,
        jti: JTI.into(),
        ep: 0,
        depth: None,
        grants,
    }
}

/// The chain anchor → 2 → … → 1 + `links`.
pub fn chain_of(links: u8) -> String {
    let mut chain = root(2, vec![grant("{}")]);
    for holder in 2..=links {
        chain = attenuate::attenuate(&[holder; 32], &chain, &narrowed(holder + 1, vec![grant("{}")])).unwrap();
    }
    chain
}

pub fn trust() -> Trust {
    Trust::new([(did_of(1), None)], []).unwrap()
}
