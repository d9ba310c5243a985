//! Authorizing a request: one order of checks, in two calls around the signatures.
//!
//! [`begin`] says which Ed25519 equations decide about a frame; whoever is fastest at them verifies; [`finish`] reads the same
//! frame again with the verdicts, derives the list anew and refuses any difference. Nothing of a request is kept in between,
//! so requests cannot be mistaken for one another, however their awaits interleave. A MAC needs no verifier: `finish` alone
//! decides, in one call.
//!
//! Source: contracts/spec/capability.md#decision.

mod asked;
mod facts;
mod judge;
mod lists;
mod party;
mod read;
mod record;
mod session;
mod third_party;

use crate::chain::ReadChains;
use crate::contract::{DECISION_CODES, Surface, limits};
use crate::decide::Decision;
use crate::ed25519::Check;
use crate::frame::Request;
use crate::grant::Class;
use crate::pep::Pep;
use crate::policy::Policy;
use crate::proof::{Body, Parts};
use crate::revocation::{Answers, Revocations};
use crate::seal::Keyring;
use crate::table;
use crate::tickets::OpenTickets;
use crate::window::Windows;
use crate::{Code, Error, head, surface};

use asked::{About, Asked};
use party::Party;
use third_party::Report;

pub use facts::Facts;
pub use lists::{Kind, filter_list};
pub use read::{Read, read, write_session};
pub use record::seal_read;
pub use session::{Opening, open_session};

/// What a gateway decides by, besides what is revoked.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// The keys of tickets, and a number that tells this keyring from others.
    pub tickets: (u32, &'a Keyring),
    /// Hash of this core: tickets of another are not understood.
    pub core: &'a str,
}

/// What an isolate remembers between requests: opened tickets, and which sequence numbers were used.
#[derive(Debug)]
pub struct Memory {
    /// Chains that were read in [`begin`] and are about to be asked for again.
    pub chains: ReadChains,
    /// Opened tickets.
    pub tickets: OpenTickets,
    /// Sequence windows.
    pub windows: Windows,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            chains: ReadChains::default(),
            tickets: OpenTickets::new(limits::OPEN_TICKETS),
            windows: Windows::new(limits::SEQUENCE_WINDOWS),
        }
    }
}

/// Whether a proof is judged for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A new request.
    First,
    /// A request whose proof was accepted before: its life and the replay window are left aside, all else is checked anew.
    Again,
}

/// The answers to the checks of [`begin`].
#[derive(Clone, Copy, Debug)]
pub enum Verdicts<'a> {
    /// For each check in order: the check itself as [`print_check`] prints it, then 1 where it holds, or 0. What was
    /// verified is named by all of its bytes, so that no answer can be about something else.
    Given(&'a [u8]),
    /// Verify here.
    Own,
}

/// What [`begin`] gives.
#[derive(Debug)]
pub enum Began {
    /// These decide. The class is the highest that the body asks for, by the registry; nothing for unknown tools.
    Checks(Vec<Check>, Option<Class>),
    /// Steps 1 to 3 refuse.
    Refused(Decision),
}

/// What [`finish`] gives.
pub enum Finished<'a> {
    /// These items must be looked up exactly; nothing was consumed.
    Lookup(Vec<String>),
    /// The end.
    Decided(Decided<'a>),
}

/// A decision with what later steps need.
pub struct Decided<'a> {
    /// The answer.
    pub decision: Decision,
    /// Facts of the request, once its sender is authenticated.
    pub facts: Option<Box<Facts<'a>>>,
    /// Of a third party's report, one for each.
    pub inner: Vec<(Decision, Option<Box<Facts<'a>>>)>,
}

impl Decided<'_> {
    const fn unauthenticated(decision: Decision) -> Self {
        Self { decision, facts: None, inner: Vec::new() }
    }
}

/// A request after steps 1 to 3.
struct Prepared<'a> {
    request: Request<'a>,
    surface: &'static Surface,
    asked: Asked,
    party: Party,
    /// The parties that a third party reports, each through its own steps 1 to 3.
    inner: Vec<Result<Party, Error>>,
}

/// A check as it leaves the core: 32 bytes of key, 64 of signature, `u32` length and the message.
pub fn print_check(check: &Check, out: &mut Vec<u8>) {
    out.extend_from_slice(&check.key);
    out.extend_from_slice(&check.signature);
    out.extend_from_slice(&u32::try_from(check.message.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&check.message);
}

/// A refusal that is an answer stays one; every other error goes on.
fn settle(error: Error) -> Result<Decision, Error> {
    if DECISION_CODES.contains(&error.code.as_str()) { Ok(error.into()) } else { Err(error) }
}

fn parts<'a>(request: &Request<'a>) -> Parts<'a> {
    Parts {
        method: request.method,
        target_uri: request.target_uri,
        content_digest: request.content_digest,
        capability: request.capability,
        ticket: request.ticket,
        mcp_session_id: request.mcp_session_id,
        mcp_method: request.mcp_method,
        mcp_name: request.mcp_name,
        last_event_id: request.last_event_id,
        idempotency_key: request.idempotency_key,
        body: Body::Bytes(request.body),
    }
}

/// Steps 1 to 3.
fn prepare<'a>(frame: &'a [u8], site: &Site<'_>, memory: &mut Memory, mode: Mode) -> Result<Prepared<'a>, Error> {
    let request = Request::read(frame)?;
    let (surface, permission) = surface::find(request.surface)?;
    if site.policy.tenant != request.tenant {
        return Err(Error::new(Code::Internal, "the policy of another tenant").at("tenant"));
    }
    let proof = (request.signature_input, request.signature);
    let shown = party::show(&parts(&request), proof, site, memory, request.now_ms, mode)?;
    // The digest was found right: these are the bytes that the caller proved.
    let asked = asked::read(&request, surface, permission)?;
    let party = shown.check_structure(&site.policy.trust)?;
    let mut inner = Vec::with_capacity(asked.reports.len());
    for report in &asked.reports {
        let reported = report_party(report, site, memory, request.now_ms, mode);
        if let Ok(party) = &reported {
            third_party::check_subject(report, &party.lineage().sub)?;
        }
        inner.push(reported);
    }
    Ok(Prepared { request, surface, asked, party, inner })
}

fn report_party(
    report: &Report,
    site: &Site<'_>,
    memory: &mut Memory,
    now_ms: u64,
    mode: Mode,
) -> Result<Party, Error> {
    let proof = (Some(report.signature_input.as_str()), Some(report.signature.as_str()));
    party::show(&report.parts(), proof, site, memory, now_ms, mode)?.check_structure(&site.policy.trust)
}

impl Prepared<'_> {
    fn checks(&self) -> impl Iterator<Item = &Check> {
        self.party.checks().chain(self.inner.iter().flatten().flat_map(Party::checks))
    }

    /// The answers in order.
    ///
    /// # Errors
    /// `internal` when they are not the answers to exactly these checks: a verdict of another request, one too few or too
    /// many, another order.
    fn verify(&self, verdicts: Verdicts<'_>) -> Result<Vec<bool>, Error> {
        let Verdicts::Given(given) = verdicts else {
            return Ok(self.checks().map(Check::verify).collect());
        };
        let foreign = || Error::new(Code::Internal, "verdicts that are not of this request").at("verdicts");
        let mut rest = given;
        let mut answers = Vec::new();
        let mut printed = Vec::new();
        for check in self.checks() {
            printed.clear();
            print_check(check, &mut printed);
            rest = rest.strip_prefix(printed.as_slice()).ok_or_else(foreign)?;
            let (answer, more) = rest.split_first().ok_or_else(foreign)?;
            answers.push(match answer {
                0 => false,
                1 => true,
                _ => return Err(foreign()),
            });
            rest = more;
        }
        if rest.is_empty() { Ok(answers) } else { Err(foreign()) }
    }
}

/// How the `Signature-Input` of a MAC ends.
const MAC_END: &str = ";alg=\"hmac-sha256\";tag=\"talos-1\"";

/// Steps 1 to 3, and what has to be verified for step 4.
///
/// A MAC has nothing to be verified outside and is read by [`finish`] alone; its class can only be `read`.
///
/// # Errors
/// Codes that are no decisions: `contract.invalid`, `request.malformed`, `mcp.header_mismatch`, `server.unknown`, `internal`.
pub fn begin(frame: &[u8], site: &Site<'_>, memory: &mut Memory) -> Result<Began, Error> {
    let request = Request::read(frame)?;
    if request.capability.is_none()
        && request.ticket.is_some()
        && request.signature_input.is_some_and(|input| input.ends_with(MAC_END))
    {
        return Ok(Began::Checks(Vec::new(), Some(Class::Read)));
    }
    match prepare(frame, site, memory, Mode::First) {
        Err(error) => settle(error).map(Began::Refused),
        Ok(prepared) => {
            let reports = prepared.asked.reports.iter().map(|report| judge::entry(site.policy, &report.call));
            let class = reports
                .flatten()
                .map(|entry| entry.class)
                .chain(judge::class(site.policy, &prepared.asked.about))
                .max();
            let checks = prepared.checks().cloned().collect();
            let parties = prepared.inner.into_iter().flatten().chain([prepared.party]);
            memory.chains.keep(parties.filter_map(Party::into_chain));
            Ok(Began::Checks(checks, class))
        }
    }
}

/// All steps, on the frame that [`begin`] read.
///
/// # Errors
/// As [`begin`]; `internal` for verdicts of another request; `head.inconsistent` for answers to other questions.
pub fn finish<'a>(
    frame: &'a [u8],
    site: &Site<'a>,
    revocations: &Revocations,
    memory: &mut Memory,
    verdicts: Verdicts<'_>,
    answers: &Answers,
    mode: Mode,
) -> Result<Finished<'a>, Error> {
    let prepared = match prepare(frame, site, memory, mode) {
        Ok(prepared) => prepared,
        Err(error) => return settle(error).map(|decision| Finished::Decided(Decided::unauthenticated(decision))),
    };
    let verified = prepared.verify(verdicts)?;
    let Prepared { request, surface, asked, party, inner: parties } = prepared;
    if revocations.tenant != request.tenant {
        return Err(Error::new(Code::Internal, "the revocations of another tenant").at("tenant"));
    }
    let policy = site.policy;
    let bench = Bench { policy, surface, revocations, answers, mode, request };
    let (own, mut reported) = verified.split_at_checked(party.checks().count()).unwrap_or((&[], &[]));

    let class = judge::class(policy, &asked.about);
    let mut outer = bench.hear(&party, own, class, &memory.windows)?;
    let mut missing = core::mem::take(&mut outer.missing);
    let mut inner = Vec::with_capacity(parties.len());
    for (party, report) in parties.into_iter().zip(&asked.reports) {
        inner.push(match party {
            Err(error) => Err(settle(error)?),
            Ok(party) => {
                let (own, rest) = reported.split_at_checked(party.checks().count()).unwrap_or((&[], &[]));
                reported = rest;
                let class = judge::entry(policy, &report.call).map(|entry| entry.class);
                let mut heard = bench.hear(&party, own, class, &memory.windows)?;
                missing.append(&mut heard.missing);
                Ok((party, heard))
            }
        });
    }
    if !missing.is_empty() {
        table::sort_texts(&mut missing);
        return Ok(Finished::Lookup(missing));
    }
    let decided = bench.decide(party, asked, outer, inner);
    if mode == Mode::First
        && let Some(facts) = &decided.facts
        // Peeked at in step 4; nothing came in between, since all of this is one call.
        && let Err(error) = facts.party.consume(&mut memory.windows, request.now_ms)
    {
        return settle(error).map(|decision| Finished::Decided(Decided::unauthenticated(decision)));
    }
    Ok(Finished::Decided(decided))
}

/// What came of steps 4 to 8.
struct Heard {
    /// Steps 4 and 5 passed.
    authenticated: bool,
    refused: Option<Decision>,
    /// Items to be looked up before step 8 can be answered.
    missing: Vec<String>,
}

/// What one request is decided on.
struct Bench<'a, 'b> {
    policy: &'a Policy,
    surface: &'static Surface,
    revocations: &'b Revocations,
    answers: &'b Answers,
    mode: Mode,
    request: Request<'a>,
}

impl<'a> Bench<'a, '_> {
    /// Steps 4 to 8 for one party.
    fn hear(&self, party: &Party, verified: &[bool], class: Option<Class>, windows: &Windows) -> Result<Heard, Error> {
        let now_ms = self.request.now_ms;
        if let Err(error) = party.authenticate(verified, &self.policy.trust, windows, now_ms, self.mode) {
            return Ok(Heard { authenticated: false, refused: Some(settle(error)?), missing: Vec::new() });
        }
        let checked = party
            .check_place_and_time(self.request.tenant, self.request.aud, now_ms)
            .and_then(|()| party.check_revoked(self.policy, self.revocations, self.answers));
        let (refused, missing) = match checked {
            Ok(Some(missing)) => (None, missing),
            Ok(None) => {
                let age = head::check_age(self.request.head_as_of_ms, now_ms, class.unwrap_or(Class::Read));
                (age.err().map(settle).transpose()?, Vec::new())
            }
            Err(error) => (Some(settle(error)?), Vec::new()),
        };
        Ok(Heard { authenticated: true, refused, missing })
    }

    /// Steps 9 to 12 for the request and, if it may ask, for each reported call.
    fn decide(
        &self,
        party: Party,
        asked: Asked,
        outer: Heard,
        inner: Vec<Result<(Party, Heard), Decision>>,
    ) -> Decided<'a> {
        let policy = self.policy;
        let (mut decision, each) = if let Some(decision) = outer.refused {
            (decision, Vec::new())
        } else {
            let judged = judge::judge(policy, self.surface, &party, &asked);
            (judged.decision, judged.each)
        };
        let pep = policy.pep(&party.lineage().holder_jkt);
        if decision.allow() && !asked.reports.is_empty() && pep.is_none() {
            decision = Error::new(Code::RoleDenied, "not a listed third party").at("peps").into();
        }
        let inner = match pep {
            Some(pep) if decision.allow() => {
                let reports = inner.into_iter().zip(&asked.reports);
                reports.map(|(heard, report)| self.decide_report(pep, report, heard)).collect()
            }
            _ => Vec::new(),
        };
        let facts = outer.authenticated.then(|| self.facts(party, asked, each));
        Decided { decision, facts, inner }
    }

    fn decide_report(
        &self,
        pep: &Pep,
        report: &Report,
        heard: Result<(Party, Heard), Decision>,
    ) -> (Decision, Option<Box<Facts<'a>>>) {
        let (party, heard) = match heard {
            Err(decision) => return (decision, None),
            Ok(heard) => heard,
        };
        let decision = heard.refused.unwrap_or_else(|| {
            // What this third party may ask about comes first: it learns nothing of other servers.
            if pep.covers(report.target_uri(), crate::grant::server_of(&report.call.tool)) {
                judge::decide_call(self.policy, &party, &report.call)
            } else {
                Error::new(Code::Forbidden, "not a place or server of this third party").into()
            }
        });
        let about = Asked::of(About::Calls(vec![report.call.clone()]));
        let facts = heard.authenticated.then(|| self.facts(party, about, Vec::new()));
        (decision, facts)
    }

    fn facts(&self, party: Party, asked: Asked, each: Vec<Decision>) -> Box<Facts<'a>> {
        let Request { body, .. } = self.request;
        Box::new(Facts { policy: self.policy, surface: self.surface, party, asked, each, body })
    }
}
