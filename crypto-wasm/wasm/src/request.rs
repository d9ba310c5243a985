//! Requests on the gateway's side. The frames and answers are those of `crypto-wasm/request.ts`.

use talos_core::authorize::{self, Began, Decided, Facts, Finished, Kind, Mode, Opening, Verdicts};
use talos_core::decide::Decision;
use talos_core::grant::Class;
use talos_core::json::{self, Fields, Value};
use talos_core::revocation::Answers;
use talos_core::{Code, Error};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::refusal::{Answer, OrRefuse, fixed, object, secret};
use crate::store::{self, with_site};

/// 0, class, then each check as 32 key, 64 signature, u32 length, message; or 1 and the decision.
#[wasm_bindgen]
pub fn begin(frame: &[u8], policy: u32, tickets: u32) -> Answer<Vec<u8>> {
    with_site(policy, tickets, |site, memory| authorize::begin(frame, site, memory).map(print_begun)).or_refuse()
}

fn print_begun(began: Began) -> Vec<u8> {
    match began {
        Began::Refused(decision) => {
            let mut out = vec![1];
            out.extend_from_slice(json::print(&decision.value(true)).as_bytes());
            out
        }
        Began::Checks(checks, class) => {
            let mut out = vec![0, class.map_or(0, |class| class as u8 + 1)];
            for check in checks {
                authorize::print_check(&check, &mut out);
            }
            out
        }
    }
}

fn read_answers(text: Option<&str>) -> Result<Answers, Error> {
    let Some(text) = text else {
        return Ok(Answers::default());
    };
    let value = object(text)?;
    let mut fields = Fields::new(&value)?;
    let rev_seq = fields.int("rev_seq", 0, talos_core::limits::MAX_SAFE_INTEGER)?.unsigned_abs();
    let foreign = || Error::new(Code::HeadInconsistent, "not answers").at("items");
    let mut items = Vec::new();
    for (item, entries) in fields.obj("items")? {
        let entries = entries.as_arr().and_then(|entries| json::texts(entries).ok()).ok_or_else(foreign)?;
        items.push((item.clone(), entries));
    }
    fields.finish()?;
    Ok(Answers { rev_seq, items })
}

/// Of a third party's report only the code is shown: the caller's token is not its own (contracts/spec/gateway.md#authorize).
fn print_inner((decision, facts): (Decision, Option<Box<Facts<'_>>>)) -> Value {
    let code = Value::obj([("allow", Value::Bool(decision.allow())), ("code", Value::str(decision.code.as_str()))]);
    Value::obj([Some(("decision", code)), facts.map(|facts| ("request", facts.value()))].into_iter().flatten())
}

pub fn print_finished(finished: Finished<'_>) -> String {
    let members = match finished {
        Finished::Lookup(items) => {
            vec![("status", Value::str("lookup")), ("items", Value::Arr(items.into_iter().map(Value::Str).collect()))]
        }
        Finished::Decided(Decided { decision, facts, inner }) => {
            let mut members = vec![("status", Value::str("decided")), ("decision", decision.value(true))];
            members.extend(facts.map(|facts| ("request", facts.value())));
            if !inner.is_empty() {
                members.push(("inner", Value::Arr(inner.into_iter().map(print_inner).collect())));
            }
            members
        }
    };
    json::print(&Value::obj(members))
}

fn decide(
    frame: &[u8],
    (policy, filter, tickets): (u32, u32, u32),
    verdicts: Verdicts<'_>,
    answers: Option<&str>,
    mode: Mode,
) -> Answer<String> {
    let decide = || {
        let (revocations, answers) = (store::filter(filter)?, read_answers(answers)?);
        with_site(policy, tickets, |site, memory| {
            authorize::finish(frame, site, &revocations, memory, verdicts, &answers, mode).map(print_finished)
        })
    };
    decide().or_refuse()
}

/// The decision on the verdicts of `begin`.
#[wasm_bindgen]
pub fn finish(
    frame: &[u8],
    policy: u32,
    filter: u32,
    tickets: u32,
    verdicts: &[u8],
    answers: Option<String>,
) -> Answer<String> {
    decide(frame, (policy, filter, tickets), Verdicts::Given(verdicts), answers.as_deref(), Mode::First)
}

/// The decision again, for a proof that was accepted before.
#[wasm_bindgen]
pub fn recheck(
    frame: &[u8],
    policy: u32,
    filter: u32,
    tickets: u32,
    verdicts: &[u8],
    answers: Option<String>,
) -> Answer<String> {
    decide(frame, (policy, filter, tickets), Verdicts::Given(verdicts), answers.as_deref(), Mode::Again)
}

/// The decision with our own verifier.
#[wasm_bindgen]
pub fn authorize_pure(frame: &[u8], policy: u32, filter: u32, tickets: u32, answers: Option<String>) -> Answer<String> {
    decide(frame, (policy, filter, tickets), Verdicts::Own, answers.as_deref(), Mode::First)
}

/// The answer to `sessions.open`, as JSON.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // what a session is made of; each is used once
pub fn open_session(
    frame: &[u8],
    policy: u32,
    filter: u32,
    tickets: u32,
    verdicts: &[u8],
    answers: Option<String>,
    receipt_seed: Vec<u8>,
    receipt_kid: &str,
    gateway_did: &str,
    session_id: &[u8],
    server_secret: Vec<u8>,
    salt: &[u8],
) -> Answer<String> {
    let open = || {
        let (seed, server_secret) = (secret(receipt_seed, "receipt")?, secret(server_secret, "server_secret")?);
        let opening = Opening {
            receipt: (receipt_kid, &seed),
            gateway: gateway_did,
            session_id: &fixed(session_id, "session_id")?,
            server_secret: &server_secret,
            salt: &fixed(salt, "salt")?,
        };
        let (revocations, answers) = (store::filter(filter)?, read_answers(answers.as_deref())?);
        let verdicts = Verdicts::Given(verdicts);
        with_site(policy, tickets, |site, memory| {
            authorize::open_session(frame, site, &revocations, memory, verdicts, &answers, &opening)
        })
        .map(|response| json::print(&response.to_value()))
    };
    open().or_refuse()
}

/// `{"allowed","classes"}` for `{"kind","names"}`.
#[wasm_bindgen]
pub fn filter_list(frame: &[u8], policy: u32, tickets: u32, verdicts: &[u8], args: &str) -> Answer<String> {
    let filter = || {
        let args = object(args)?;
        let mut fields = Fields::new(&args)?;
        let kind = Kind::named(fields.str("kind")?).ok_or_else(|| Error::malformed("not a kind of list").at("kind"))?;
        let names = json::texts(fields.arr("names")?).map_err(|error| error.at("names"))?;
        fields.finish()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let verdicts = Verdicts::Given(verdicts);
        let shown = with_site(policy, tickets, |site, memory| {
            authorize::filter_list(frame, site, memory, verdicts, kind, &names)
        })?;
        let class = |class: Option<Class>| class.map_or(Value::Null, |class| Value::str(class.as_str()));
        let allowed = shown.iter().map(|(allowed, _)| Value::Bool(*allowed)).collect();
        let classes = shown.iter().map(|(_, of)| class(*of)).collect();
        Ok(json::print(&Value::obj([("allowed", Value::Arr(allowed)), ("classes", Value::Arr(classes))])))
    };
    filter().or_refuse()
}
