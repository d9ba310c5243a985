//! Whole requests: two ways to a decision that must be one, and verdicts that belong to one request alone.

use talos_core::Error;
use talos_core::authorize::{
    self, Began, Decided, Facts, Finished, Kind, Memory, Mode, Opening, Site, Verdicts, filter_list, open_session,
};
use talos_core::decide::Decision;
use talos_core::ed25519::Check;
use talos_core::frame::Request;
use talos_core::json;
use talos_core::revocation::{self, Answers, Revocations};
use talos_core::seal::Purpose;
use talos_core::ticket::Ticket;

use super::asked::{SESSION, frame_of};
use super::policy::with_policy;
use super::ticket::{CORE, ring};
use super::world::{NOW, TENANT, seed};

/// A request, as [`frame_of`] reads it.
pub fn run(data: &[u8]) {
    let Some(frame) = frame_of(data) else { return };
    let ring = ring(Purpose::Ticket);
    let revocations = revocations();
    with_policy(|policy| {
        let site = Site { policy, tickets: (1, &ring), core: CORE };
        let bench = Bench { frame: &frame, site: &site, revocations: &revocations };
        bench.same_both_ways(data);
        bench.lists_and_sessions();
    });
}

pub fn revocations() -> Revocations {
    let (body, hash) = revocation::build(TENANT, 1, &[]).expect("a body");
    Revocations::parse(body.as_bytes(), TENANT, &hash).expect("a filter")
}

struct Bench<'a> {
    frame: &'a [u8],
    site: &'a Site<'a>,
    revocations: &'a Revocations,
}

impl Bench<'_> {
    fn finish(&self, memory: &mut Memory, verdicts: Verdicts<'_>, mode: Mode) -> Result<Finished<'_>, Error> {
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
                let Ok(Finished::Decided(decided)) = pure else { panic!("no decision after {decision:?}") };
                assert!(!decision.allow() && decided.decision == decision && decided.facts.is_none());
                return;
            }
            Ok(Began::Checks(checks, _)) => checks,
        };
        let answers: Vec<bool> = checks.iter().map(Check::verify).collect();
        let printed = |answers: &[bool]| -> Vec<u8> {
            let mut records = Vec::new();
            for (check, ok) in checks.iter().zip(answers) {
                authorize::print_check(check, &mut records);
                records.push(u8::from(*ok));
            }
            records
        };
        let split = self.finish(&mut Memory::default(), Verdicts::Given(&printed(&answers)), Mode::First);
        assert_eq!(printed_answer(&pure), printed_answer(&split));

        if !answers.is_empty() {
            // A verdict less or more is no verdict; a signature that does not hold allows nothing, whichever it is.
            let fewer = printed(&answers[1..]);
            assert!(self.finish(&mut Memory::default(), Verdicts::Given(&fewer), Mode::First).is_err());
            let more = [printed(&answers), printed(&answers[..1])].concat();
            assert!(self.finish(&mut Memory::default(), Verdicts::Given(&more), Mode::First).is_err());
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

fn allows(finished: &Result<Finished<'_>, Error>) -> bool {
    matches!(finished, Ok(Finished::Decided(Decided { decision, .. })) if decision.allow())
}

/// How many of the checks belong to reports of a third party, at the most: these do not decide about the caller.
fn reported(finished: &Result<Finished<'_>, Error>) -> usize {
    match finished {
        Ok(Finished::Decided(Decided { inner, .. })) if !inner.is_empty() => usize::MAX,
        _ => 0,
    }
}

/// Everything that an answer says.
pub fn printed_answer(finished: &Result<Finished<'_>, Error>) -> String {
    let one = |decision: &Decision, facts: Option<&Facts<'_>>| {
        format!("{} {:?}", json::print(&decision.value(true)), facts.map(|facts| json::print(&facts.value())))
    };
    match finished {
        Err(error) => format!("{error:?}"),
        Ok(Finished::Lookup(items)) => format!("look up {items:?}"),
        Ok(Finished::Decided(Decided { decision, facts, inner })) => {
            let inner: Vec<String> = inner.iter().map(|(decision, facts)| one(decision, facts.as_deref())).collect();
            format!("{} {inner:?}", one(decision, facts.as_deref()))
        }
    }
}
