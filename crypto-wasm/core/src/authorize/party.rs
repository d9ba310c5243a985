//! One party of a request: its credential and its proof, through steps 1 to 8.
//!
//! Source: contracts/spec/capability.md#decision.

use std::rc::Rc;

use super::{Memory, Mode, Site};
use crate::chain::{self, Chain};
use crate::contract::limits;
use crate::ed25519::Check;
use crate::grant::{Class, Grant};
use crate::lineage::Lineage;
use crate::policy::Policy;
use crate::proof::{self, Credential, Form, Parts, Proof};
use crate::revocation::{self, Answers, Items, Revocations};
use crate::structured::parse_integer;
use crate::tickets::OpenTicket;
use crate::trust::Trust;
use crate::window::Windows;
use crate::{Code, Error};

/// What a party shows.
enum Paper {
    Chain(Chain),
    Ticket(Rc<OpenTicket>),
}

/// A credential that was read, with a proof whose shape, digest and times were found right.
pub(super) struct Shown {
    paper: Paper,
    proof: Proof,
}

/// What a party shows, with what is derived from it.
enum Standing {
    Chain { chain: Chain, lineage: Lineage },
    Ticket(Rc<OpenTicket>),
}

/// A party after steps 1 to 3. Nothing is authenticated yet.
pub(super) struct Party {
    standing: Standing,
    pub(super) proof: Proof,
    links: Vec<Check>,
    /// The proof's own signature, or why no verifier may see it. `None`: a MAC.
    signature: Option<Result<Check, Error>>,
}

/// Step 1, sizes: more than a contract's header can hold is not read.
pub(super) fn check_sizes(
    parts: &Parts<'_>,
    signature_input: Option<&str>,
    signature: Option<&str>,
) -> Result<(), Error> {
    let covered = limits::COVERED_HEADER_BYTES;
    for (field, value, most) in [
        ("@target-uri", Some(parts.target_uri), limits::TARGET_URI_BYTES),
        ("talos-capability", parts.capability, limits::CHAIN_BYTES),
        ("talos-ticket", parts.ticket, limits::TICKET_BYTES),
        ("signature-input", signature_input, limits::SIGNATURE_INPUT_BYTES),
        ("signature", signature, limits::SIGNATURE_BYTES),
        ("content-digest", parts.content_digest, limits::CONTENT_DIGEST_BYTES),
        ("mcp-session-id", parts.mcp_session_id, covered),
        ("mcp-method", parts.mcp_method, covered),
        ("mcp-name", parts.mcp_name, covered),
        ("last-event-id", parts.last_event_id, covered),
        ("idempotency-key", parts.idempotency_key, covered),
    ] {
        if value.is_some_and(|value| value.len() > most) {
            return Err(Error::limit("a header that is too long").at(field));
        }
    }
    match parts.body {
        proof::Body::Bytes(body) if body.len() > limits::BODY_BYTES => {
            Err(Error::limit("a body that is too long").at("body"))
        }
        _ => Ok(()),
    }
}

/// Steps 1 and 2.
///
/// # Errors
/// `LIMIT_EXCEEDED`, `NO_CAPABILITY`, `MALFORMED`, `PROOF_INVALID` in that order; `EXPIRED` for a ticket of another core.
pub(super) fn show(
    parts: &Parts<'_>,
    (signature_input, signature): (Option<&str>, Option<&str>),
    site: &Site<'_>,
    memory: &mut Memory,
    now_ms: u64,
    mode: Mode,
) -> Result<Shown, Error> {
    check_sizes(parts, signature_input, signature)?;
    let paper = match parts.credential()? {
        Credential::Capability(text) => Paper::Chain(memory.chains.read(text.trim_matches([' ', '\t']))?),
        Credential::Ticket(text) => {
            let text = text.trim_matches([' ', '\t']);
            Paper::Ticket(memory.tickets.open(site.tickets, text, site.core, now_ms / 1_000)?)
        }
    };
    // A proof that was accepted before is judged by the moment it was made: its life limits its first use, not the stream
    // that came of it.
    let moment_ms = match mode {
        Mode::First => now_ms,
        Mode::Again => created(signature_input).map_or(now_ms, |created| created.saturating_mul(1_000)),
    };
    let proof = proof::check(parts, signature_input, signature, moment_ms)?;
    Ok(Shown { paper, proof })
}

/// The `created` of a `Signature-Input`; whether it stands in the right place is checked where the whole is printed again.
fn created(signature_input: Option<&str>) -> Option<u64> {
    signature_input?.split(';').skip(1).find_map(|part| part.strip_prefix("created=")).and_then(parse_integer)
}

impl Shown {
    /// Step 3.
    ///
    /// # Errors
    /// `DELEGATION_INVALID`; `UNTRUSTED_ISSUER` for a did:web root whose key cannot be had; `SIGNATURE_INVALID` for a link
    /// whose bytes no verifier may see.
    pub(super) fn check_structure(self, trust: &Trust) -> Result<Party, Error> {
        let Self { paper, proof } = self;
        let (standing, links) = match paper {
            Paper::Chain(chain) => {
                chain.check_structure(trust)?;
                let lineage = Lineage::of_chain(&chain, trust)?;
                let links = chain.signature_checks(trust)?;
                (Standing::Chain { chain, lineage }, links)
            }
            Paper::Ticket(open) => {
                check_listed(&open, trust)?;
                (Standing::Ticket(open), Vec::new())
            }
        };
        let mut party = Party { standing, proof, links, signature: None };
        if party.proof.form != Form::SessionMac {
            let lineage = party.lineage();
            let signature = party.proof.signed_by(&lineage.holder, &lineage.holder_jkt);
            party.signature = Some(signature);
        }
        Ok(party)
    }
}

/// The did:web holders of a session must still be listed with their keys: a policy may have taken them away.
fn check_listed(open: &OpenTicket, trust: &Trust) -> Result<(), Error> {
    let lineage = &open.ticket.lineage;
    for &index in &open.webs {
        if !lineage.subjects().nth(index).is_some_and(|sub| trust.lists(sub, lineage.holder_of(index))) {
            return Err(Error::new(Code::DelegationInvalid, "a subject that is not its key's")
                .in_link(index)
                .at("sub"));
        }
    }
    Ok(())
}

impl Party {
    pub(super) fn lineage(&self) -> &Lineage {
        match &self.standing {
            Standing::Chain { lineage, .. } => lineage,
            Standing::Ticket(open) => &open.ticket.lineage,
        }
    }

    /// The grants of the leaf.
    pub(super) fn grants(&self) -> &[Grant] {
        match &self.standing {
            Standing::Chain { chain, .. } => chain.leaf().map_or(&[], |leaf| leaf.claims.grants.as_slice()),
            Standing::Ticket(open) => &open.ticket.grants,
        }
    }

    /// base64url SHA-256 of the credential: of the chain's or the ticket's whole text.
    pub(super) fn credential_hash(&self) -> String {
        match &self.standing {
            Standing::Chain { chain, .. } => chain.hash(),
            Standing::Ticket(open) => open.hash.clone(),
        }
    }

    /// The chain as it was read, if it is one.
    pub(super) fn into_chain(self) -> Option<Chain> {
        match self.standing {
            Standing::Chain { chain, .. } => Some(chain),
            Standing::Ticket(_) => None,
        }
    }

    /// The session, if it is one.
    pub(super) fn session(&self) -> Option<&OpenTicket> {
        match &self.standing {
            Standing::Chain { .. } => None,
            Standing::Ticket(open) => Some(open),
        }
    }

    /// Whether more than reads may be signed for.
    pub(super) fn writes(&self) -> bool {
        match &self.standing {
            Standing::Chain { .. } => true,
            Standing::Ticket(open) => open.ticket.writes,
        }
    }

    /// Latest `nbf` and earliest `exp`, seconds.
    pub(super) fn times(&self) -> (i64, i64) {
        match &self.standing {
            Standing::Chain { chain, .. } => {
                let claims = || chain.links().iter().map(|link| &link.claims);
                (
                    claims().map(|claims| claims.nbf).max().unwrap_or(i64::MAX),
                    claims().map(|claims| claims.exp).min().unwrap_or(0),
                )
            }
            Standing::Ticket(open) => {
                let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
                (seconds(open.ticket.nbf), seconds(open.ticket.exp))
            }
        }
    }

    /// What has to be verified, in order: the links, then the request.
    pub(super) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.links.iter().chain(self.signature.iter().filter_map(|signature| signature.as_ref().ok()))
    }

    /// Steps 4 and 5. `verified` answers [`checks`](Self::checks) in order. After this the party is authenticated.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, `PROOF_INVALID`, `REPLAY`, `UNTRUSTED_ISSUER` in that order.
    pub(super) fn authenticate(
        &self,
        verified: &[bool],
        trust: &Trust,
        windows: &Windows,
        now_ms: u64,
        mode: Mode,
    ) -> Result<(), Error> {
        let mut verified = verified.iter();
        for index in 0..self.links.len() {
            if verified.next() != Some(&true) {
                return Err(chain::bad_signature(index));
            }
        }
        let forged = || Error::new(Code::ProofInvalid, "the signature of the request").at("signature");
        match &self.signature {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(_)) if verified.next() == Some(&true) => {}
            Some(Ok(_)) => return Err(forged()),
            None => {
                let Standing::Ticket(open) = &self.standing else {
                    return Err(forged());
                };
                let sequence = self.proof.authenticated_under(&open.ticket.session_id, &open.ticket.mac)?;
                if mode == Mode::First {
                    windows.check(&open.ticket.session_id, sequence, now_ms / 1_000)?;
                }
            }
        }
        match &self.standing {
            Standing::Chain { chain, .. } => chain.check_anchor(trust),
            Standing::Ticket(open) => {
                let root = open.ticket.lineage.links.first();
                let jkt = trust.anchor_jkt(open.ticket.lineage.anchor());
                // The anchor's key may have changed since the session was opened.
                if jkt.zip(root).is_some_and(|(jkt, root)| jkt == root.jkt) {
                    Ok(())
                } else {
                    Err(Error::new(Code::UntrustedIssuer, "the root's issuer is no anchor").in_link(0).at("iss"))
                }
            }
        }
    }

    /// Uses up the sequence number of a MAC that was found right. Once, when the decision is final.
    ///
    /// # Errors
    /// As [`Windows::take`].
    pub(super) fn consume(&self, windows: &mut Windows, now_ms: u64) -> Result<(), Error> {
        match (&self.standing, self.proof.sequence) {
            (Standing::Ticket(open), Some(sequence)) => {
                windows.take(open.ticket.session_id, sequence, self.proof.params.expires, now_ms / 1_000)
            }
            _ => Ok(()),
        }
    }

    /// Steps 6 and 7.
    ///
    /// # Errors
    /// `AUDIENCE_MISMATCH`, `NOT_YET_VALID`, `EXPIRED`.
    pub(super) fn check_place_and_time(&self, tenant: &str, aud: &str, now_ms: u64) -> Result<(), Error> {
        match &self.standing {
            Standing::Chain { chain, .. } => {
                chain.check_audience(aud)?;
                chain.check_time(i64::try_from(now_ms).unwrap_or(i64::MAX))
            }
            Standing::Ticket(open) => open.ticket.check(tenant, aud, now_ms),
        }
    }

    /// Step 8, what is revoked. `Ok(Some(items))`: these must be looked up first.
    ///
    /// # Errors
    /// `REVOKED`; `head.inconsistent` for answers to other questions.
    pub(super) fn check_revoked(
        &self,
        policy: &Policy,
        revocations: &Revocations,
        answers: &Answers,
    ) -> Result<Option<Vec<String>>, Error> {
        let lineage = self.lineage();
        if let Some(link) = policy.revoked(lineage) {
            return Err(revocation::revoked(link));
        }
        let checked = match &self.standing {
            Standing::Chain { .. } => revocations.check(lineage, &Items::of(lineage), answers),
            Standing::Ticket(open) => revocations.check(lineage, &open.items, answers),
        };
        match checked? {
            revocation::Verdict::Clear => Ok(None),
            revocation::Verdict::Lookup(items) => Ok(Some(items)),
            revocation::Verdict::Revoked(link) => Err(revocation::revoked(link)),
        }
    }

    /// Step 9, second half: a MAC proves nothing to a third party, so it is good for reads alone; and a session writes only
    /// when it was opened for that.
    ///
    /// # Errors
    /// `PROOF_INVALID`.
    pub(super) fn check_form(&self, class: Class) -> Result<(), Error> {
        if class == Class::Read {
            return Ok(());
        }
        match self.proof.form {
            Form::Signed => Ok(()),
            Form::SessionSigned if self.writes() => Ok(()),
            Form::SessionSigned => Err(Error::new(Code::ProofInvalid, "a session for reads").at("talos-ticket")),
            Form::SessionMac => Err(Error::new(Code::ProofInvalid, "a MAC above read").at("alg")),
        }
    }
}
