//! Opening a session for a request that was decided.
//!
//! Source: contracts/spec/session.md#opening.

use super::{Finished, Memory, Mode, Site, Verdicts, finish, prepare};
use crate::contract::limits;
use crate::revocation::{Answers, Revocations};
use crate::session::{self, Binding, Response};
use crate::ticket::Ticket;
use crate::{Code, Error};

/// What the gateway brings to a new session. The random bytes are used once.
pub struct Opening<'a> {
    /// The primary `receipt` key: kid and seed.
    pub receipt: (&'a str, &'a [u8; 32]),
    /// The gateway's DID.
    pub gateway: &'a str,
    /// 16 random bytes.
    pub session_id: &'a [u8; 16],
    /// 32 random bytes.
    pub server_secret: &'a [u8; 32],
    /// 32 random bytes.
    pub salt: &'a [u8; 32],
}

/// Decides the request to `sessions.open` once more and, if it is allowed, answers it.
///
/// # Errors
/// The decision's code when it is refused, `REVOCATION_STALE` when a look-up is missing; `PROOF_INVALID` for a
/// share of small order; `LIMIT_EXCEEDED` when grants and links make the ticket too long.
pub fn open_session(
    frame: &[u8],
    site: &Site<'_>,
    revocations: &Revocations,
    memory: &mut Memory,
    verdicts: Verdicts<'_>,
    answers: &Answers,
    opening: &Opening<'_>,
) -> Result<Response, Error> {
    match finish(frame, site, revocations, memory, verdicts, answers, Mode::Again)? {
        Finished::Decided(decided) if decided.decision.allow() => {}
        Finished::Decided(decided) => {
            return Err(Error::new(decided.decision.code, "no session for a refused request"));
        }
        Finished::Lookup(_) => return Err(Error::new(Code::RevocationStale, "a look-up is missing")),
    }
    let prepared = prepare(frame, site, memory, Mode::Again)?;
    let (request, party) = (&prepared.request, &prepared.party);
    let (client_share, writes) =
        prepared.asked.session.ok_or_else(|| Error::new(Code::Internal, "not sessions.open"))?;
    let (nbf, exp) = party.times();
    let lineage = party.lineage();
    let leaf = lineage.links.last().ok_or_else(|| Error::new(Code::Internal, "a chain without links"))?;
    let now = request.now_ms / 1_000;
    let life = u64::try_from(limits::SESSION_LIFE_SECONDS).unwrap_or_default();
    let expires_at = u64::try_from(exp).unwrap_or_default().min(now.saturating_add(life));
    let share = session::share(opening.server_secret);
    let binding = Binding {
        session_id: opening.session_id,
        client_share: &client_share,
        server_share: &share,
        link: &leaf.id,
        gateway: opening.gateway,
        aud: request.aud,
    };
    let ticket = Ticket {
        session_id: *opening.session_id,
        tenant: request.tenant.to_owned(),
        aud: request.aud.to_owned(),
        nbf: u64::try_from(nbf).unwrap_or_default(),
        exp: expires_at,
        lineage: lineage.clone(),
        writes,
        grants: party.grants().to_vec(),
        core: site.core.to_owned(),
        mac: session::mac_key(opening.server_secret, &client_share, &binding)?,
    };
    let ticket = ticket.seal(site.tickets.1, opening.salt)?;
    let (kid, seed) = opening.receipt;
    let statement = session::state(seed, kid, &binding, &ticket, expires_at);
    Ok(Response { session_id: *opening.session_id, ticket, share, expires_at, writes, statement })
}
