//! The vectors of contracts/vectors on proofs, sessions, what is in force and the record, computed by an implementation
//! that shares nothing with this one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use talos_core::chain::Chain;
use talos_core::cursor::Cursor;
use talos_core::head::Head;
use talos_core::json::{self, Value};
use talos_core::lineage::{Ancestor, Lineage};
use talos_core::promise::Promise;
use talos_core::proof::{self, Body, Form, Parts};
use talos_core::receipt::Receipt;
use talos_core::revocation::{self, Revocations};
use talos_core::seal::{Keyring, Purpose, SealingKey, Status};
use talos_core::statement::Statement;
use talos_core::trust::Trust;
use talos_core::{Error, b64, commitment, did, ed25519, event, hash, jwk, policy, session};
use zeroize::Zeroizing;

fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/vectors").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cases(file: &Value) -> &[Value] {
    let cases = file.get("cases").and_then(Value::as_arr).unwrap();
    assert!(!cases.is_empty());
    cases
}

#[track_caller]
fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {case:?}"))
}

fn opt<'a>(case: &'a Value, name: &str) -> Option<&'a str> {
    case.get(name).and_then(Value::as_str)
}

#[track_caller]
fn number(case: &Value, name: &str) -> u64 {
    case.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {case:?}"))
}

fn flag(case: &Value, name: &str) -> bool {
    case.get(name).and_then(Value::as_bool).unwrap_or_else(|| panic!("no {name} in {case:?}"))
}

fn texts(case: &Value, name: &str) -> Vec<String> {
    let items = case.get(name).and_then(Value::as_arr).unwrap();
    items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

fn code<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().map_or_else(|error| error.code.as_str(), |_| "OK")
}

/// The answer must be the one of the case, by `expect`, or by `valid` and `code`.
#[track_caller]
fn judge<T>(case: &Value, result: &Result<T, Error>) {
    let expected = match (opt(case, "expect"), opt(case, "code")) {
        (Some(expected), _) | (None, Some(expected)) => expected,
        (None, None) if flag(case, "valid") => "OK",
        (None, None) => {
            assert!(result.is_err(), "{}", text(case, "name"));
            return;
        }
    };
    assert_eq!(code(result), expected, "{}", text(case, "name"));
}

fn parts(request: &Value) -> Parts<'_> {
    let headers = request.get("headers").unwrap();
    let header = |name: &str| opt(headers, name);
    Parts {
        method: text(request, "method"),
        target_uri: text(request, "target_uri"),
        content_digest: header("content-digest"),
        capability: header("talos-capability"),
        ticket: header("talos-ticket"),
        mcp_session_id: header("mcp-session-id"),
        mcp_method: header("mcp-method"),
        mcp_name: header("mcp-name"),
        last_event_id: header("last-event-id"),
        idempotency_key: header("idempotency-key"),
        body: Body::Bytes(opt(request, "body").unwrap_or_default().as_bytes()),
    }
}

/// Steps 2 and 4 of a request whose holder is `key`; `session` is id and MAC key.
fn proved(case: &Value, key: &[u8; 32], session: Option<(&[u8; 16], &[u8; 32])>) -> Result<(), Error> {
    let parts = parts(case.get("request").unwrap());
    let now_ms = number(case, "now") * 1_000;
    let proof = proof::check(&parts, opt(case, "signature_input"), opt(case, "signature"), now_ms)?;
    if let Some(base) = opt(case, "base") {
        assert_eq!(proof.base(), base.as_bytes(), "{}", text(case, "name"));
        assert_eq!(proof.hash(), text(case, "proof_hash"));
    }
    if let (Form::SessionMac, Some((id, mac))) = (proof.form, session) {
        return proof.authenticated_by(id, mac).map(|_| ());
    }
    let check = proof.signed_by(key, &jwk::thumbprint(key))?;
    if check.verify() { Ok(()) } else { Err(Error::new(talos_core::Code::ProofInvalid, "signature")) }
}

/// The key of the leaf that the first case of proof/signed.json carries.
fn holder() -> [u8; 32] {
    let file = file("proof/signed.json");
    let request = cases(&file)[0].get("request").unwrap();
    let chain = Chain::parse(text(request.get("headers").unwrap(), "talos-capability")).unwrap();
    chain.leaf().unwrap().claims.holder
}

#[test]
fn signed_requests() {
    let holder = holder();
    for case in cases(&file("proof/signed.json")) {
        judge(case, &proved(case, &holder, None));
    }
}

#[test]
fn session_requests() {
    let file = file("proof/session.json");
    let mac: [u8; 32] = bytes(text(&file, "mac_key_hex"));
    let opening = self::file("session/opening.json");
    let response = session::Response::from_value(cases(&opening)[0].get("response").unwrap()).unwrap();
    let holder = holder();
    for case in cases(&file) {
        judge(case, &proved(case, &holder, Some((&response.session_id, &mac))));
    }
}

#[test]
fn openings() {
    for case in cases(&file("session/opening.json")) {
        let secret: [u8; 32] = bytes(text(case, "client_secret_hex"));
        let response = session::Response::from_value(case.get("response").unwrap()).unwrap();
        let key = case.get("gateway_key").unwrap();
        let keys = [(text(key, "kid"), b64::decode32(text(key, "x")).unwrap())];
        let chain = Chain::parse(text(case, "chain")).unwrap();
        let link = chain.leaf().unwrap().id.clone();
        let result = session::finish(
            &secret,
            &response,
            &keys,
            (text(case, "gateway"), text(case, "aud"), &link),
            number(case, "now"),
        );
        judge(case, &result);
        let (Ok(key), Some(expected)) = (result, opt(case, "mac_key_hex")) else { continue };
        assert_eq!(hash::hex(key.bytes()), expected);
        let server: [u8; 32] = bytes(text(case, "server_secret_hex"));
        assert_eq!(session::share(&server), response.share);
        let client_share = session::share(&secret);
        let binding = session::Binding {
            session_id: &response.session_id,
            client_share: &client_share,
            server_share: &response.share,
            link: &link,
            gateway: text(case, "gateway"),
            aud: text(case, "aud"),
        };
        assert_eq!(hash::hex(session::mac_key(&server, &client_share, &binding).unwrap().bytes()), expected);
    }
}

#[test]
fn sealing() {
    for case in cases(&file("session/sealing.json")) {
        let key = SealingKey {
            kid: text(case, "kid").into(),
            status: Status::Primary,
            key: Zeroizing::new(b64::decode32(text(case, "key")).unwrap()),
        };
        let ring = Keyring::new(Purpose::named(text(case, "purpose")).unwrap(), vec![key]).unwrap();
        let opened = ring.open(text(case, "text"), 0);
        judge(case, &opened);
        if let Ok(plaintext) = opened {
            assert_eq!(plaintext.as_slice(), text(case, "plaintext").as_bytes());
            let sealed = ring.seal(&bytes(text(case, "salt_hex")), &plaintext).unwrap();
            assert_eq!(sealed, text(case, "text"));
        }
    }
}

#[test]
fn a_ticket_of_the_vectors_opens_as_a_ticket() {
    let file = file("session/sealing.json");
    let case = &cases(&file)[0];
    let key = SealingKey {
        kid: text(case, "kid").into(),
        status: Status::Primary,
        key: Zeroizing::new(b64::decode32(text(case, "key")).unwrap()),
    };
    let ring = Keyring::new(Purpose::Ticket, vec![key]).unwrap();
    let plaintext = json::parse(text(case, "plaintext").as_bytes()).unwrap();
    let ticket = talos_core::ticket::Ticket::open(&ring, text(case, "text"), text(&plaintext, "core"), 0).unwrap();
    assert_eq!(ticket.lineage.holder, holder());
    assert_eq!(ticket.seal(&ring, &bytes(text(case, "salt_hex"))).unwrap(), text(case, "text"));
}

#[test]
fn heads() {
    let file = file("in-force/heads.json");
    let listed = file.get("keys").and_then(Value::as_arr).unwrap();
    let keys: Vec<_> = listed.iter().map(|key| (text(key, "kid"), b64::decode32(text(key, "x")).unwrap())).collect();
    for case in cases(&file) {
        judge(case, &Head::verify(text(case, "head"), &keys, text(&file, "tenant")));
    }
}

#[test]
fn policies() {
    let file = file("in-force/policies.json");
    let listed = file.get("publishers").and_then(Value::as_arr).unwrap();
    let publishers: Vec<_> = listed.iter().map(|key| jwk::parse(key).unwrap()).collect();
    for case in cases(&file) {
        let loaded = policy::load(text(case, "jws"), text(&file, "tenant"), &publishers, None);
        judge(case, &loaded);
        if let Ok(loaded) = loaded {
            assert_eq!(loaded.hash, text(case, "policy_hash"));
        }
    }
}

#[test]
fn revocation_bodies() {
    let file = file("in-force/revocation-bodies.json");
    for case in cases(&file) {
        let entries = texts(case, "entries");
        let (body, rev_hash) = revocation::build(text(&file, "tenant"), number(case, "rev_seq"), &entries).unwrap();
        assert_eq!(body, text(case, "body"), "{}", text(case, "name"));
        assert_eq!(rev_hash, text(case, "rev_hash"));
        let items: Vec<String> = entries.iter().map(|entry| revocation::Entry::parse(entry).unwrap().item()).collect();
        assert!(texts(case, "items").iter().all(|item| items.contains(item)));
        let loaded = Revocations::parse(body.as_bytes(), text(&file, "tenant"), &rev_hash).unwrap();
        assert_eq!(loaded.rev_seq, number(case, "rev_seq"));
    }
}

#[test]
fn statements() {
    let file = file("in-force/statements.json");
    let anchors = file.get("anchors").and_then(Value::as_arr).unwrap();
    let anchors = anchors.iter().map(|anchor| {
        let key = jwk::parse(anchor.get("jwk").unwrap()).unwrap();
        (text(anchor, "did").to_owned(), Some(key))
    });
    let trust = Trust::new(anchors, []).unwrap();
    let now_ms = i64::try_from(number(&file, "now")).unwrap() * 1_000;
    for case in cases(&file) {
        let result =
            Statement::verify(text(case, "statement"), text(case, "chain"), text(&file, "aud"), now_ms, &trust);
        judge(case, &result);
        if let Ok((_, in_force)) = result {
            assert_eq!(vec![in_force.entry.print()], texts(case, "entries"));
        }
    }
}

/// A snapshot with these bindings or rules, so that they are read as they would be in force.
fn snapshot(bindings: &Value, forbids: &Value) -> Value {
    let grant = r#"{"tool":"files/read","classes":["read"],"actions":"*","resource":"any","args":{},"closed":false}"#;
    let mut roles = BTreeMap::new();
    for binding in bindings.as_arr().unwrap() {
        roles.insert(
            text(binding, "role").to_owned(),
            format!(r#"{{"id":"{}","grants":[{grant}]}}"#, text(binding, "role")),
        );
    }
    let roles: Vec<String> = roles.into_values().collect();
    let rates: Vec<String> = ["control", "read", "session"]
        .iter()
        .map(|name| {
            format!(r#"{{"name":"{name}","capacity":1,"refill_per_second":1,"link_share_percent":1,"concurrency":1}}"#)
        })
        .collect();
    let text = format!(
        r#"{{"v":1,"tenant":"default","version":1,"anchors":[],"dids":[],"servers":[],"tools":[],"rate_classes":[{}],
        "roles":[{}],"bindings":{},"forbids":{},"peps":[],"revoked_keys":[],"unregistered":"deny"}}"#,
        rates.join(","),
        roles.join(","),
        json::print(bindings),
        json::print(forbids)
    );
    json::parse(text.as_bytes()).unwrap()
}

fn compiled(bindings: &Value, forbids: &Value) -> policy::Policy {
    let seed = [1; 32];
    let (jws, _) = policy::sign(&seed, &snapshot(bindings, forbids)).unwrap();
    policy::load(&jws, "default", &[ed25519::public(&seed)], None).unwrap()
}

#[test]
fn roles() {
    for case in cases(&file("in-force/roles.json")) {
        let policy = compiled(case.get("bindings").unwrap(), &Value::Arr(vec![]));
        let scope = case.get("scope").unwrap();
        let attributes: Vec<(&str, &str)> = scope
            .get("attributes")
            .and_then(Value::as_obj)
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let effective = policy.roles.effective(text(case, "principal"), text(scope, "type"), &attributes);
        assert_eq!(effective.map(|binding| binding.id.as_str()), opt(case, "expect"), "{}", text(case, "name"));
    }
}

#[test]
fn forbids() {
    for case in cases(&file("in-force/forbids.json")) {
        let rules = Value::Arr(vec![case.get("rule").unwrap().clone()]);
        let policy = compiled(&Value::Arr(vec![]), &rules);
        // A chain in which exactly these names and thumbprints occur.
        let occurring = texts(case, "in_chain");
        let (names, keys): (Vec<_>, Vec<_>) = occurring.into_iter().partition(|text| text.starts_with("did:"));
        let name = |at: usize| names.get(at.min(names.len() - 1)).unwrap().clone();
        let key = |at: usize| keys.get(at.min(keys.len() - 1)).unwrap().clone();
        let links = names.len().max(keys.len());
        let lineage = Lineage {
            links: (0..links).map(|at| Ancestor { id: String::new(), iss: name(at), ep: 0, jkt: key(at) }).collect(),
            sub: name(links),
            root_sub: name(1),
            holder: [0; 32],
            holder_jkt: key(links),
        };
        let class = talos_core::grant::Class::of(text(case, "class")).unwrap();
        let hit = policy.forbids.hit(&lineage, text(case, "tool"), class);
        assert_eq!(hit.is_some(), flag(case, "expect"), "{}", text(case, "name"));
    }
}

#[test]
fn commitments() {
    for case in cases(&file("audit/commitments.json")) {
        let salt: [u8; 16] = bytes(text(case, "salt_hex"));
        assert_eq!(commitment::commit(&salt, text(case, "value").as_bytes()), text(case, "commitment"));
    }
}

#[test]
fn cursors() {
    for case in cases(&file("audit/cursors.json")) {
        let read = Cursor::parse(text(case, "cursor"));
        judge(case, &read);
        if let Ok(read) = read {
            assert_eq!((read.ts_ms, read.event_id.as_str()), (number(case, "ms"), text(case, "event_id")));
            assert_eq!(read.print(), text(case, "cursor"));
        }
    }
}

#[test]
fn events() {
    for case in cases(&file("audit/events.json")) {
        let sealed = event::seal(case.get("event").unwrap()).unwrap();
        assert_eq!(sealed.event_hash, text(case, "event_hash"), "{}", text(case, "name"));
        assert_eq!(sealed.body, text(case, "body"));
        assert_eq!(b64::encode(&sealed.leaf_hash), text(case, "leaf_hash"));
    }
}

#[test]
fn promises_and_receipts() {
    let heads = file("in-force/heads.json");
    let key = b64::decode32(text(&heads.get("keys").and_then(Value::as_arr).unwrap()[0], "x")).unwrap();
    for case in cases(&file("audit/signed.json")) {
        let keys = [(text(case, "kid"), key)];
        let payload = case.get("payload").unwrap();
        let read = match text(case, "typ") {
            "talos-promise+jwt" => Promise::verify(text(case, "jws"), &keys).unwrap().to_value(),
            "talos-receipt+jwt" => Receipt::verify(text(case, "jws"), &keys).unwrap().to_value(),
            other => panic!("{other}"),
        };
        assert_eq!(json::print(&read), json::print(payload));
    }
    assert_eq!(did::did_key(&key).len(), 56);
}
