//! Whole requests: two ways to a decision that must be one, and verdicts that belong to one request alone.

use talos_core::authorize::{
    self, Began, Decided, Finished, Kind, Memory, Mode, Opening, Site, Verdicts, filter_list, open_session,
};
use talos_core::frame::Request;
use talos_core::json::{self, Value};
use talos_core::proof::{self, Body, Parts};
use talos_core::revocation::{self, Answers, Revocations};
use talos_core::seal::Purpose;
use talos_core::session::MacKey;
use talos_core::ticket::Ticket;
use talos_core::{Error, chain::Chain, lineage::Lineage};

use super::policy::with_policy;
use super::ticket::{CORE, ring};
use super::world::{AUD, NOW, NOW_MS, TENANT, chain_of, jkt, patched, seed, trust};

const MAC: [u8; 32] = [8; 32];
const SESSION: [u8; 16] = [7; 16];

/// After `~` a frame as it travels. Otherwise the first line says what the request is (a patch of `base`), the second what is
/// changed after it was proved, and the rest is the body.
pub fn run(data: &[u8]) {
    if let Some(frame) = data.strip_prefix(b"~") {
        return decide(frame, data);
    }
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (patch, change, body) = (next(), next(), next());
    let Some(asked) = patched(base(), patch) else { return };
    let Some(proved) = prove(asked, body) else { return };
    let Some(changed) = patched(proved, change) else { return };
    let frame = request(&changed, body).write();
    if let Ok(read) = Request::read(&frame) {
        assert_eq!(read.write(), frame);
    }
    decide(&frame, data);
}

/// `form`: `chain`, `ticket`, `mac` or nothing. `links`: a list of patches of the chain's claims.
fn base() -> Value {
    let members = [
        ("surface", "mcp.post"),
        ("method", "POST"),
        ("uri", "https://talos.example/t/default/mcp/files"),
        ("tenant", TENANT),
        ("aud", AUD),
        ("server", "files"),
        ("form", "chain"),
    ];
    Value::obj(members.map(|(name, value)| (name, Value::str(value))))
}

fn chain_for(asked: &Value) -> (String, u8) {
    let links: Vec<String> = match asked.get("links") {
        Some(Value::Arr(links)) if !links.is_empty() => links.iter().take(8).map(json::print).collect(),
        _ => vec!["{}".into()],
    };
    let holder = u8::try_from(links.len() + 1).unwrap_or(2);
    (chain_of(links.iter().map(String::as_bytes)), holder)
}

fn prove(asked: Value, body: &[u8]) -> Option<Value> {
    let (chain, holder) = chain_for(&asked);
    let form = asked.get("form").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Value::Obj(mut members) = asked else { return None };
    let mut put = |name: &str, text: String| {
        members.retain(|(own, _)| own != name);
        members.push((name.to_owned(), Value::Str(text)));
    };
    match form.as_str() {
        "chain" => put("talos-capability", chain),
        "ticket" | "mac" => {
            let read = Chain::parse(&chain).ok()?;
            let lineage = Lineage::of_chain(&read, &trust()).ok()?;
            let ticket = Ticket {
                session_id: SESSION,
                tenant: TENANT.into(),
                aud: AUD.into(),
                nbf: 1_000,
                exp: 2_000,
                lineage,
                writes: true,
                grants: read.leaf().ok()?.claims.grants.clone(),
                core: CORE.into(),
                mac: MacKey::new(MAC),
            };
            put("talos-ticket", ticket.seal(&ring(Purpose::Ticket), &[1; 32]).ok()?);
        }
        _ => return Some(Value::Obj(members)),
    }
    let whole = Value::Obj(members);
    let asked = request(&whole, body);
    let parts = Parts {
        method: asked.method,
        target_uri: asked.target_uri,
        content_digest: None,
        capability: asked.capability,
        ticket: asked.ticket,
        mcp_session_id: asked.mcp_session_id,
        mcp_method: asked.mcp_method,
        mcp_name: asked.mcp_name,
        last_event_id: asked.last_event_id,
        idempotency_key: asked.idempotency_key,
        body: Body::Bytes(body),
    };
    let created = NOW.unsigned_abs();
    let headers = if form == "mac" {
        proof::authenticate(&parts, &SESSION, &MAC, created, created + 60, 5)
    } else {
        proof::sign(&parts, &seed(holder), &jkt(holder), created, created + 60, &[3; 16])
    };
    let headers = headers.ok()?;
    let Value::Obj(mut members) = whole else { return None };
    for (name, text) in [
        ("content-digest", headers.content_digest),
        ("signature-input", headers.signature_input),
        ("signature", headers.signature),
    ] {
        members.retain(|(own, _)| own != name);
        members.push((name.to_owned(), Value::Str(text)));
    }
    Some(Value::Obj(members))
}

fn request<'a>(of: &'a Value, body: &'a [u8]) -> Request<'a> {
    let text = |name: &str| of.get(name).and_then(Value::as_str);
    Request {
        surface: text("surface").unwrap_or_default(),
        method: text("method").unwrap_or_default(),
        target_uri: text("uri").unwrap_or_default(),
        tenant: text("tenant").unwrap_or_default(),
        aud: text("aud").unwrap_or_default(),
        server: text("server"),
        capability: text("talos-capability"),
        ticket: text("talos-ticket"),
        signature_input: text("signature-input"),
        signature: text("signature"),
        content_digest: text("content-digest"),
        mcp_session_id: text("mcp-session-id"),
        mcp_method: text("mcp-method"),
        mcp_name: text("mcp-name"),
        last_event_id: text("last-event-id"),
        idempotency_key: text("idempotency-key"),
        now_ms: of.get("now_ms").and_then(Value::as_u64).unwrap_or(NOW_MS),
        head_as_of_ms: match of.get("head_as_of_ms") {
            Some(Value::Bool(false)) => None,
            other => Some(other.and_then(Value::as_u64).unwrap_or(NOW_MS - 1_000)),
        },
        body,
    }
}

fn revocations() -> Revocations {
    let (body, hash) = revocation::build(TENANT, 1, &[]).expect("a body");
    Revocations::parse(body.as_bytes(), TENANT, &hash).expect("a filter")
}

fn decide(frame: &[u8], data: &[u8]) {
    let ring = ring(Purpose::Ticket);
    let revocations = revocations();
    with_policy(|policy| {
        let site = Site { policy, tickets: (1, &ring), core: CORE };
        let bench = Bench { frame, site: &site, revocations: &revocations };
        bench.same_both_ways(data);
        bench.lists_and_sessions();
    });
}

struct Bench<'a> {
    frame: &'a [u8],
    site: &'a Site<'a>,
    revocations: &'a Revocations,
}

impl Bench<'_> {
    fn finish(&self, memory: &mut Memory, verdicts: Verdicts<'_>, mode: Mode) -> Result<Finished, Error> {
        authorize::finish(self.frame, self.site, self.revocations, memory, verdicts, &Answers::default(), mode)
    }

    fn same_both_ways(&self, data: &[u8]) {
        let began = authorize::begin(self.frame, self.site, &mut Memory::default());
        let mut memory = Memory::default();
        let pure = self.finish(&mut memory, Verdicts::Own, Mode::First);
        let checks = match began {
            Err(error) => {
                assert_eq!(Some(&error), pure.as_ref().err(), "begin refuses what the pure core does not");
                return;
            }
            Ok(Began::Refused(decision)) => {
                let Ok(Finished::Decided(decided)) = pure else { panic!("{pure:?} after {decision:?}") };
                assert!(!decision.allow() && decided.decision == decision && decided.facts.is_none());
                return;
            }
            Ok(Began::Checks(checks, _)) => checks,
        };
        let answers: Vec<bool> = checks.iter().map(talos_core::ed25519::Check::verify).collect();
        let printed = |answers: &[bool]| -> String {
            let records = checks.iter().zip(answers);
            records.map(|(check, ok)| authorize::digest(check) + if *ok { "+" } else { "-" }).collect()
        };
        let split = self.finish(&mut Memory::default(), Verdicts::Given(&printed(&answers)), Mode::First);
        assert_eq!(format!("{pure:?}"), format!("{split:?}"));

        if !answers.is_empty() {
            // A verdict less is no verdict; a signature that does not hold allows nothing, whichever it is.
            let fewer = printed(&answers[1..]);
            assert!(self.finish(&mut Memory::default(), Verdicts::Given(&fewer), Mode::First).is_err());
            let mut broken = answers.clone();
            let at = data.len() % broken.len();
            broken[at] = false;
            let own_checks = checks.len().saturating_sub(reported(&pure));
            let refused = self.finish(&mut Memory::default(), Verdicts::Given(&printed(&broken)), Mode::First);
            assert!(at >= own_checks || !allows(&refused), "allowed without a signature");
        }
        if allows(&pure) {
            let again = self.finish(&mut memory, Verdicts::Own, Mode::Again);
            assert!(allows(&again), "an open stream is closed although nothing changed");
            let replayed = self.finish(&mut memory, Verdicts::Own, Mode::First);
            let mac = Request::read(self.frame).is_ok_and(|request| checks.is_empty() && request.ticket.is_some());
            assert!(!mac || !allows(&replayed), "a sequence was used twice");
        }
    }

    fn lists_and_sessions(&self) {
        let names = ["read", "write", "file:///data/x", "file:///{path}", "@x", ""];
        for kind in [Kind::Tools, Kind::Resources, Kind::ResourceTemplates, Kind::Prompts] {
            let shown = filter_list(self.frame, self.site, &mut Memory::default(), Verdicts::Own, kind, &names);
            assert!(shown.is_err() || shown.is_ok_and(|shown| shown.len() == names.len()));
        }
        let opening = Opening {
            receipt: ("r-1", &seed(6)),
            gateway: "did:web:talos.example",
            session_id: &SESSION,
            server_secret: &seed(7),
            salt: &seed(8),
        };
        let mut memory = Memory::default();
        let answers = Answers::default();
        let opened =
            open_session(self.frame, self.site, self.revocations, &mut memory, Verdicts::Own, &answers, &opening);
        if let Ok(response) = opened {
            let decided = self.finish(&mut Memory::default(), Verdicts::Own, Mode::First);
            assert!(allows(&decided) || decided.is_ok(), "a session for a refused request");
            let ticket = Ticket::open(&ring(Purpose::Ticket), &response.ticket, CORE, NOW.unsigned_abs());
            assert!(ticket.is_ok_and(|ticket| ticket.session_id == SESSION));
        }
    }
}

fn allows(finished: &Result<Finished, Error>) -> bool {
    matches!(finished, Ok(Finished::Decided(Decided { decision, .. })) if decision.allow())
}

/// How many of the checks belong to reports of a third party, at the most: these do not decide about the caller.
fn reported(finished: &Result<Finished, Error>) -> usize {
    match finished {
        Ok(Finished::Decided(Decided { inner, .. })) if !inner.is_empty() => usize::MAX,
        _ => 0,
    }
}
