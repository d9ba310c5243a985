//! One tenant with a policy, keys and a clock. Requests are built as a client builds them, and can be damaged before they are
//! decided.

use talos_core::authorize::{Began, Facts, Finished, Memory, Mode, Opening, Site, Verdicts};
use talos_core::authorize::{begin, finish, open_session, print_check};
use talos_core::decide::Decision;
use talos_core::frame::Request;
use talos_core::json::{self, Value};
use talos_core::policy::{self, Policy};
use talos_core::proof::{Body, Headers, Parts, authenticate, sign};
use talos_core::revocation::{self, Answers, Revocations};
use talos_core::seal::{Keyring, Purpose, SealingKey, Status};
use talos_core::session::{self, MacKey};
use talos_core::{Code, Error, b64, did, ed25519};

use crate::support::{AUD, NOW_MS, did_of, grant, json, key, root, with};

/// Seeds: the anchor, the root's holder, a holder below it, a stranger, the publisher, the gateway.
pub const ANCHOR: u8 = 1;
pub const AGENT: u8 = 2;
pub const SUB: u8 = 3;
pub const STRANGER: u8 = 4;
const PUBLISHER: u8 = 5;
const RECEIPT: u8 = 6;

/// Milliseconds, within the life of every link of the support module.
pub const NOW: u64 = NOW_MS.unsigned_abs();
const NOW_S: u64 = NOW / 1_000;
const GATEWAY: &str = "did:web:talos.example";
pub const CORE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub fn jkt(seed: u8) -> String {
    did::thumbprint(&key(seed))
}

const EVERY: &str = r#"["read","write","destructive","pay"]"#;
const TOOLS: [&str; 7] =
    ["fs/@resource", "fs/delete", "fs/list", "fs/read", "fs/write", "talos/audit.events", "talos/authorize"];

fn snapshot() -> String {
    let rate = |name: &str| {
        format!(r#"{{"name":"{name}","capacity":9,"refill_per_second":1,"link_share_percent":50,"concurrency":4}}"#)
    };
    let role = |tool: &str| {
        format!(r#"{{"tool":"{tool}","classes":{EVERY},"actions":"*","resource":"any","args":{{}},"closed":false}}"#)
    };
    format!(
        r#"{{"v":1,"tenant":"default","version":1,
        "anchors":[{{"did":"{}","jwk":{}}}],"dids":[],
        "servers":[{{"name":"fs","url":"http://127.0.0.1:1/mcp"}},{{"name":"mail","url":"http://127.0.0.1:1/mcp"}}],
        "tools":[
        {{"tool":"fs/@resource","class":"read","actions":["read"],"resource":"explicit","rate_class":"read"}},
        {{"tool":"fs/delete","class":"destructive","actions":["call"],"rate_class":"read"}},
        {{"tool":"fs/list","class":"read","actions":["call"],"rate_class":"read"}},
        {{"tool":"fs/read","class":"read","actions":["call"],"resource_arg":"path","rate_class":"read"}},
        {{"tool":"fs/write","class":"write","actions":["call"],"rate_class":"read"}}],
        "rate_classes":[{},{},{}],"roles":[{{"id":"all","grants":[{}]}}],
        "bindings":[{{"id":"b","role":"all","principal":"*","scope":{{"type":"global"}}}}],
        "forbids":[],"peps":[{{"jkt":"{}","origins":["https://pep.example/tools"],"servers":["fs"]}}],
        "revoked_keys":[],"unregistered":"deny"}}"#,
        did_of(ANCHOR),
        json::print(&talos_core::jwk::value(&key(ANCHOR))),
        rate("control"),
        rate("read"),
        rate("session"),
        TOOLS.map(role).join(","),
        jkt(AGENT),
    )
}

/// The chain's grants: every tool, `fs/read` below `data` alone.
pub fn grants() -> Vec<talos_core::grant::Grant> {
    let one = |tool: &str| match tool {
        "fs/read" => grant(r#"{"resource":{"prefix":"data"}}"#),
        _ => grant(&format!(r#"{{"tool":"{tool}","classes":{EVERY},"actions":"*"}}"#)),
    };
    TOOLS.map(one).into()
}

/// The anchor's link to the agent.
pub fn chain() -> String {
    root(AGENT, grants())
}

/// What is to be sent: everything that a frame has, so that a test can change any of it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub surface: &'static str,
    pub method: &'static str,
    pub target_uri: String,
    pub tenant: String,
    pub aud: String,
    pub server: Option<&'static str>,
    pub capability: Option<String>,
    pub ticket: Option<String>,
    pub headers: Option<Headers>,
    pub idempotency_key: Option<String>,
    pub now_ms: u64,
    pub head_as_of_ms: Option<u64>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn post(surface: &'static str, path: &str, body: &str) -> Self {
        Self {
            surface,
            method: "POST",
            target_uri: format!("{AUD}{path}"),
            tenant: "default".into(),
            aud: AUD.into(),
            server: None,
            capability: None,
            ticket: None,
            headers: None,
            idempotency_key: None,
            now_ms: NOW,
            head_as_of_ms: Some(NOW),
            body: body.into(),
        }
    }

    pub fn mcp(body: &str) -> Self {
        Self { server: Some("fs"), ..Self::post("mcp.post", "/mcp/fs", body) }
    }

    /// A call of the tool `fs/name`.
    pub fn call(name: &str, args: &str) -> Self {
        let params = format!(r#"{{"name":"{name}","arguments":{args}}}"#);
        Self::mcp(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#))
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            method: self.method,
            target_uri: &self.target_uri,
            content_digest: None,
            capability: self.capability.as_deref(),
            ticket: self.ticket.as_deref(),
            mcp_session_id: None,
            mcp_method: None,
            mcp_name: None,
            last_event_id: None,
            idempotency_key: self.idempotency_key.as_deref(),
            body: Body::Bytes(&self.body),
        }
    }

    fn sign(mut self, seed: u8) -> Self {
        let headers = sign(&self.parts(), &[seed; 32], &jkt(seed), NOW_S, NOW_S + 60, &[seed; 16]).unwrap();
        self.headers = Some(headers);
        self
    }

    pub fn by(mut self, chain: &str, seed: u8) -> Self {
        self.capability = Some(chain.to_owned());
        self.sign(seed)
    }

    pub fn in_session(mut self, open: &Open, seed: u8) -> Self {
        self.ticket = Some(open.ticket.clone());
        self.sign(seed)
    }

    pub fn maced(mut self, open: &Open, sequence: u64) -> Self {
        self.ticket = Some(open.ticket.clone());
        let mac = open.mac.bytes();
        self.headers = Some(authenticate(&self.parts(), &open.id, mac, NOW_S, NOW_S + 60, sequence).unwrap());
        self
    }

    pub fn frame(&self) -> Vec<u8> {
        let headers = self.headers.as_ref();
        Request {
            surface: self.surface,
            method: self.method,
            target_uri: &self.target_uri,
            tenant: &self.tenant,
            aud: &self.aud,
            server: self.server,
            capability: self.capability.as_deref(),
            ticket: self.ticket.as_deref(),
            signature_input: headers.map(|headers| headers.signature_input.as_str()),
            signature: headers.map(|headers| headers.signature.as_str()),
            content_digest: headers.map(|headers| headers.content_digest.as_str()),
            idempotency_key: self.idempotency_key.as_deref(),
            now_ms: self.now_ms,
            head_as_of_ms: self.head_as_of_ms,
            body: &self.body,
            ..Request::default()
        }
        .write()
    }
}

/// An open session.
pub struct Open {
    pub id: [u8; 16],
    pub ticket: String,
    pub expires_at: u64,
    mac: MacKey,
}

pub struct World {
    pub policy: Policy,
    pub ring: Keyring,
    pub ring_number: u32,
    pub core: String,
    pub revocations: Revocations,
    pub answers: Answers,
    pub memory: Memory,
    opened: u8,
}

pub fn revocations(tenant: &str, rev_seq: u64, entries: &[String]) -> Revocations {
    let (body, hash) = revocation::build(tenant, rev_seq, entries).unwrap();
    Revocations::parse(body.as_bytes(), tenant, &hash).unwrap()
}

/// A decision, with its facts as JSON.
#[derive(Debug)]
pub struct Said {
    pub decision: Decision,
    pub facts: Option<Value>,
    pub inner: Vec<(Decision, Option<Value>)>,
}

/// What came of a request.
#[derive(Debug)]
pub enum Came {
    Lookup(Vec<String>),
    Said(Said),
}

impl From<Finished<'_>> for Came {
    fn from(finished: Finished<'_>) -> Self {
        match finished {
            Finished::Lookup(items) => Self::Lookup(items),
            Finished::Decided(decided) => {
                let value = |facts: Option<Box<Facts<'_>>>| facts.map(|facts| facts.value());
                let inner = decided.inner.into_iter().map(|(decision, facts)| (decision, value(facts))).collect();
                Self::Said(Said { decision: decided.decision, facts: value(decided.facts), inner })
            }
        }
    }
}

impl World {
    pub fn new() -> Self {
        let key = SealingKey { kid: "t-1".into(), status: Status::Primary, key: [9; 32].into() };
        Self {
            policy: Self::policy("{}"),
            ring: Keyring::new(Purpose::Ticket, vec![key]).unwrap(),
            ring_number: 1,
            core: CORE.into(),
            revocations: revocations("default", 1, &[]),
            answers: Answers::default(),
            memory: Memory::default(),
            opened: 0,
        }
    }

    /// The policy with other members.
    pub fn policy(over: &str) -> Policy {
        let (text, hash) = policy::sign(&[PUBLISHER; 32], &with(&snapshot(), over)).unwrap();
        policy::load(&text, "default", &[key(PUBLISHER)], Some(&hash)).unwrap()
    }

    pub fn under(over: &str) -> Self {
        Self { policy: Self::policy(over), ..Self::new() }
    }

    pub fn try_finish(&mut self, frame: &[u8], verdicts: Verdicts<'_>, mode: Mode) -> Result<Came, Error> {
        let site = Site { policy: &self.policy, tickets: (self.ring_number, &self.ring), core: &self.core };
        finish(frame, &site, &self.revocations, &mut self.memory, verdicts, &self.answers, mode).map(Came::from)
    }

    pub fn decided(&mut self, sent: &Sent) -> Said {
        match self.try_finish(&sent.frame(), Verdicts::Own, Mode::First).unwrap() {
            Came::Said(said) => said,
            Came::Lookup(items) => panic!("look-up of {items:?}"),
        }
    }

    pub fn decision(&mut self, sent: &Sent) -> Decision {
        self.decided(sent).decision
    }

    pub fn code(&mut self, sent: &Sent) -> Code {
        self.decision(sent).code
    }

    pub fn again(&mut self, sent: &Sent) -> Code {
        match self.try_finish(&sent.frame(), Verdicts::Own, Mode::Again).unwrap() {
            Came::Said(said) => said.decision.code,
            Came::Lookup(items) => panic!("look-up of {items:?}"),
        }
    }

    /// The verdicts of whoever verified what `begin` asked for, all of them right.
    pub fn verdicts(&mut self, sent: &Sent) -> Vec<Vec<u8>> {
        let site = Site { policy: &self.policy, tickets: (self.ring_number, &self.ring), core: &self.core };
        match begin(&sent.frame(), &site, &mut self.memory).unwrap() {
            Began::Checks(checks, _) => {
                assert!(checks.iter().all(talos_core::ed25519::Check::verify));
                let records = checks.iter().map(|check| {
                    let mut record = Vec::new();
                    print_check(check, &mut record);
                    record.push(1);
                    record
                });
                records.collect()
            }
            Began::Refused(decision) => panic!("{decision:?}"),
        }
    }

    pub fn try_open(&mut self, chain: &str, seed: u8, writes: bool, secret: [u8; 32]) -> Result<Open, Error> {
        self.opened += 1;
        let share = b64::encode(&session::share(&secret));
        let body = format!(r#"{{"share":"{share}","writes":{writes}}}"#);
        self.answer(&Sent::post("sessions.open", "/v1/sessions", &body).by(chain, seed), chain, &secret)
    }

    fn answer(&mut self, sent: &Sent, chain: &str, secret: &[u8; 32]) -> Result<Open, Error> {
        let site = Site { policy: &self.policy, tickets: (self.ring_number, &self.ring), core: &self.core };
        let opening = Opening {
            receipt: ("r-1", &[RECEIPT; 32]),
            gateway: GATEWAY,
            session_id: &[self.opened; 16],
            server_secret: &[self.opened + 100; 32],
            salt: &[self.opened; 32],
        };
        let verdicts = Verdicts::Own;
        let memory = &mut self.memory;
        let response =
            open_session(&sent.frame(), &site, &self.revocations, memory, verdicts, &self.answers, &opening)?;
        let link = talos_core::hash::sha256_b64(chain.rsplit('~').next().unwrap().as_bytes());
        let keys = [("r-1", ed25519::public(&[RECEIPT; 32]))];
        let mac = session::finish(secret, &response, &keys, (GATEWAY, AUD, &link), NOW_S)?;
        Ok(Open { id: response.session_id, ticket: response.ticket, expires_at: response.expires_at, mac })
    }

    pub fn open(&mut self, chain: &str, seed: u8, writes: bool) -> Open {
        self.try_open(chain, seed, writes, [77; 32]).unwrap()
    }

    /// Opens with a body of the caller's making.
    pub fn try_open_with(&mut self, body: &str) -> Result<Open, Error> {
        self.opened += 1;
        let chain = chain();
        self.answer(&Sent::post("sessions.open", "/v1/sessions", body).by(&chain, AGENT), &chain, &[77; 32])
    }
}

/// What a third party reports of the agent's or another's request to `uri`.
pub fn report(call: &str, uri: &str, chain: &str, seed: u8) -> Value {
    let own = Sent { target_uri: uri.to_owned(), ..Sent::post("", "", "inner") }.by(chain, seed);
    let headers = own.headers.unwrap();
    let talos = Value::obj([
        ("capability", Value::str(chain)),
        ("signature_input", Value::str(headers.signature_input)),
        ("signature", Value::str(headers.signature)),
        (
            "components",
            Value::obj([
                ("@method", Value::str("POST")),
                ("@target-uri", Value::str(uri)),
                ("content-digest", Value::str(headers.content_digest)),
            ]),
        ),
    ]);
    let Value::Obj(mut members) = json(call) else { panic!("no object: {call}") };
    members.push(("context".into(), Value::obj([("talos", talos)])));
    Value::Obj(members)
}
