//! Authorizing whole requests: the order of the checks, verdicts from outside, sessions, batches, third parties, lists. Each
//! check stands here with a request that only this check refuses.

use talos_core::attenuate::attenuate;
use talos_core::authorize::{Kind, Memory, Mode, Site, Verdicts, filter_list};
use talos_core::json;
use talos_core::revocation::Answers;
use talos_core::window::Windows;
use talos_core::{Code, tickets::OpenTickets};

use crate::support::{AUD, OTHER_AUD, did_of, grant, json, key, narrowed, root, root_claims};
use crate::world::{
    AGENT, ANCHOR, CORE, Came, NOW, Open, STRANGER, SUB, Sent, World, chain, grants, jkt, report, revocations,
};

const A: &str = r#"{"path":"data/a"}"#;

fn read() -> Sent {
    Sent::call("read", A)
}

fn below() -> String {
    attenuate(&[AGENT; 32], &chain(), &narrowed(SUB, grants())).unwrap()
}

/// A chain with one bit of the last signature's S changed.
fn forged(chain: &str) -> String {
    let at = chain.len() - 20;
    let other = if chain.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &chain[..at], &chain[at + 1..])
}

fn anchors(seed: u8) -> String {
    format!(
        r#"{{"anchors":[{{"did":"{}","jwk":{}}}]}}"#,
        did_of(seed),
        json::print(&talos_core::jwk::value(&key(seed)))
    )
}

#[test]
fn each_check_of_the_order_has_its_code() {
    let mut world = World::new();
    let good = read().by(&chain(), AGENT);
    assert_eq!(world.code(&good), Code::Ok);
    assert_eq!(world.code(&read().by(&below(), SUB)), Code::Ok);
    assert_eq!(world.code(&read()), Code::NoCapability);
    let long = Some("k".repeat(2_049));
    assert_eq!(world.code(&Sent { idempotency_key: long, ..good.clone() }), Code::LimitExceeded);
    let both = Sent { ticket: Some("x".into()), ..good.clone() };
    assert_eq!(world.code(&both), Code::Malformed);
    assert_eq!(world.code(&Sent { now_ms: NOW + 60_000, ..good.clone() }), Code::ProofInvalid);
    assert_eq!(world.code(&Sent { body: b"{}".into(), ..good.clone() }), Code::ProofInvalid);
    assert_eq!(world.code(&read().by(&chain(), STRANGER)), Code::ProofInvalid);
    assert_eq!(world.code(&read().by(&forged(&chain()), AGENT)), Code::SignatureInvalid);
    assert_eq!(World::under(&anchors(STRANGER)).code(&good), Code::UntrustedIssuer);
    assert_eq!(world.code(&Sent { aud: format!("{AUD}x"), ..good.clone() }), Code::AudienceMismatch);
    let limited = |change: &dyn Fn(&mut talos_core::link::Link)| {
        let mut claims = root_claims(AGENT, grants());
        change(&mut claims);
        read().by(&talos_core::attenuate::issue(&[ANCHOR; 32], &claims).unwrap(), AGENT)
    };
    assert_eq!(world.code(&limited(&|claims| claims.nbf = 1_501)), Code::NotYetValid);
    assert_eq!(world.code(&limited(&|claims| claims.exp = 1_500)), Code::Expired);
    assert_eq!(world.code(&limited(&|claims| claims.aud = vec![OTHER_AUD.into()])), Code::AudienceMismatch);
    let revoking = format!(r#"{{"revoked_keys":["{}"]}}"#, jkt(AGENT));
    assert_eq!(World::under(&revoking).code(&good), Code::Revoked);
    let aged = |sent: &Sent, age: u64| Sent { head_as_of_ms: Some(NOW - age), ..sent.clone() };
    assert_eq!(world.code(&aged(&good, 120_001)), Code::RevocationStale);
    let write = Sent::call("write", "{}").by(&chain(), AGENT);
    assert_eq!(world.code(&aged(&write, 30_001)), Code::RevocationStale);
    assert_eq!(world.code(&write), Code::Ok);
    assert_eq!(world.code(&Sent::call("nothing", "{}").by(&chain(), AGENT)), Code::UnknownTool);
    assert_eq!(world.code(&Sent::call("read", r#"{"path":"other"}"#).by(&chain(), AGENT)), Code::ScopeMismatch);
    let only = root(AGENT, vec![grant(r#"{"tool":"fs/write"}"#)]);
    assert_eq!(world.code(&read().by(&only, AGENT)), Code::ScopeMismatch);
    assert_eq!(world.code(&Sent::call("write", "{}").by(&only, AGENT)), Code::ClassMismatch);
    assert_eq!(World::under(r#"{"bindings":[]}"#).code(&good), Code::RoleDenied);
    let rule = r#"{"forbids":[{"id":"f","principal":"*","tool":"fs/read","classes":["read"],"reason":"r"}]}"#;
    assert_eq!(World::under(rule).code(&good), Code::Forbidden);
}

#[test]
fn what_is_larger_than_the_contract_says_is_refused_before_it_is_read() {
    let mut world = World::new();
    let refused = |sent: &Sent, world: &mut World| {
        let decision = world.decision(sent);
        (decision.code, decision.field.unwrap_or_default())
    };
    let mut long = read().by(&chain(), AGENT);
    long.headers.as_mut().unwrap().signature.push_str(&"A".repeat(300));
    assert_eq!(refused(&long, &mut world), (Code::LimitExceeded, "signature".into()));
    let mut long = read().by(&chain(), AGENT);
    long.headers.as_mut().unwrap().content_digest.push_str(&"A".repeat(300));
    assert_eq!(refused(&long, &mut world), (Code::LimitExceeded, "content-digest".into()));
    let long = Sent { body: vec![b' '; talos_core::limits::BODY_BYTES + 1], ..read().by(&chain(), AGENT) };
    assert_eq!(refused(&long, &mut world), (Code::LimitExceeded, "body".into()));
}

#[test]
fn a_child_that_is_wider_than_its_parent_is_refused_although_its_signatures_are_right() {
    let mut world = World::new();
    let parent = root(AGENT, vec![grant(r#"{"resource":{"prefix":"data/in"}}"#)]);
    let id = talos_core::hash::sha256_b64(parent.as_bytes());
    let child = |resource: &str, exp: i64| {
        let mut claims = root_claims(SUB, vec![grant(&format!(r#"{{"resource":{{"prefix":"{resource}"}}}}"#))]);
        (claims.iss, claims.par, claims.depth, claims.exp) = (did_of(AGENT), Some(id.clone()), 1, exp);
        let header = talos_core::jws::header(talos_core::link::TYP, []);
        let text = talos_core::jws::sign(&[AGENT; 32], &header, json::print(&claims.value()).as_bytes());
        Sent::call("read", r#"{"path":"data/in/x"}"#).by(&format!("{parent}~{text}"), SUB)
    };
    assert_eq!(world.code(&child("data/in", 2_000)), Code::Ok);
    for wider in [child("data", 2_000), child("data/in", 2_001)] {
        let decision = world.decision(&wider);
        assert_eq!((decision.code, decision.link), (Code::DelegationInvalid, Some(1)));
    }
}

#[test]
fn a_refusal_of_steps_1_to_5_says_nothing_of_the_request_and_every_later_one_does() {
    let mut world = World::new();
    for sent in [read().by(&chain(), STRANGER), read().by(&forged(&chain()), AGENT)] {
        assert!(world.decided(&sent).facts.is_none());
    }
    assert!(world.decided(&Sent::call("nothing", "{}").by(&chain(), AGENT)).facts.is_some());
}

#[test]
fn the_policy_and_the_revocations_are_the_tenants() {
    let good = read().by(&chain(), AGENT).frame();
    let mut world = World::new();
    world.revocations = revocations("acme", 1, &[]);
    assert_eq!(world.try_finish(&good, Verdicts::Own, Mode::First).unwrap_err().code, Code::Internal);
    let other = Sent { tenant: "acme".into(), ..read().by(&chain(), AGENT) }.frame();
    // Also when the revocations are that tenant's: what is missing is the policy.
    assert_eq!(world.try_finish(&other, Verdicts::Own, Mode::First).unwrap_err().code, Code::Internal);
    let mut known = World::new();
    known.policy.tenant = "acme".into();
    known.revocations = revocations("acme", 1, &[]);
    assert!(known.try_finish(&other, Verdicts::Own, Mode::First).is_ok());
}

#[test]
fn verdicts_are_the_answers_to_exactly_these_checks() {
    let mut world = World::new();
    let mine = read().by(&below(), SUB);
    let own = world.verdicts(&mine);
    let foreign = world.verdicts(&Sent::call("read", r#"{"path":"data/b"}"#).by(&below(), SUB));
    assert_eq!(own.len(), 3);
    let mut finish = |given: &[u8]| match world.try_finish(&mine.frame(), Verdicts::Given(given), Mode::First) {
        Ok(Came::Said(decided)) => decided.decision.code,
        Ok(Came::Lookup(_)) => panic!("look-up"),
        Err(error) => error.code,
    };
    assert_eq!(finish(&own.concat()), Code::Ok);
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut given = own.concat();
        change(&mut given);
        given
    };
    let end = own.concat().len() - 1;
    for (index, given) in [
        Vec::new(),
        own[..2].concat(),
        [own[1].as_slice(), &own[0], &own[2]].concat(),
        [own.concat(), own[2].clone()].concat(),
        [own.concat(), vec![1]].concat(),
        [own[0].as_slice(), &own[1], &foreign[2]].concat(),
        changed(&|given| given[end] = 2),
        // One bit of the last message, of a key, of a signature, of a length.
        changed(&|given| given[end - 1] ^= 1),
        changed(&|given| given[0] ^= 1),
        changed(&|given| given[32] ^= 1),
        changed(&|given| given[96] ^= 1),
        foreign.concat(),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(finish(given), Code::Internal, "{index}");
    }
    let denied = |at: usize| {
        let mut some = own.clone();
        *some[at].last_mut().unwrap() = 0;
        some.concat()
    };
    assert_eq!(finish(&denied(0)), Code::SignatureInvalid);
    assert_eq!(finish(&denied(1)), Code::SignatureInvalid);
    assert_eq!(finish(&denied(2)), Code::ProofInvalid);
}

#[test]
fn bytes_that_no_verifier_may_see_are_never_asked_about() {
    let mut world = World::new();
    let mut sent = read().by(&chain(), AGENT);
    // S of all ones is no less than L: the request's own signature is refused, whatever a verifier would say of it.
    let signature = talos_core::structured::print_signature(&[&[7; 32][..], &[0xff; 32]].concat());
    sent.headers.as_mut().unwrap().signature = signature;
    assert_eq!(world.verdicts(&sent).len(), 1, "the link's alone");
    assert_eq!(world.code(&sent), Code::ProofInvalid);
    let links = world.verdicts(&sent).concat();
    let finished = world.try_finish(&sent.frame(), Verdicts::Given(&links), Mode::First).unwrap();
    assert!(matches!(finished, Came::Said(decided) if decided.decision.code == Code::ProofInvalid));
}

#[test]
fn a_filter_hit_is_looked_up_and_consumes_nothing() {
    let mut world = World::new();
    let open = world.open(&chain(), AGENT, false);
    let link = format!("link:{}", talos_core::hash::sha256_b64(chain().as_bytes()));
    world.revocations = revocations("default", 2, std::slice::from_ref(&link));
    let frame = read().maced(&open, 7).frame();
    let mut finish = |rev_seq: u64, entries: &[&String]| {
        let entries = entries.iter().map(|entry| (*entry).clone()).collect();
        world.answers = Answers { rev_seq, items: vec![(link.clone(), entries)] };
        match world.try_finish(&frame, Verdicts::Own, Mode::First) {
            Ok(Came::Said(decided)) => decided.decision.code.as_str().to_owned(),
            Ok(Came::Lookup(items)) => items.concat(),
            Err(error) => error.code.as_str().to_owned(),
        }
    };
    assert_eq!(finish(1, &[]), link, "an older answer is none");
    assert_eq!(finish(2, &[&link]), "REVOKED");
    assert_eq!(finish(2, &[]), "REPLAY", "an authenticated refusal used the number up");
}

#[test]
fn a_mac_is_used_once_and_a_proof_that_was_accepted_is_judged_again() {
    let mut world = World::new();
    let open = world.open(&chain(), AGENT, false);
    let request = read().maced(&open, 1);
    assert_eq!(world.code(&request), Code::Ok);
    assert_eq!(world.code(&request), Code::Replay);
    // For an open stream the proof's time and number are left aside, the session's end and the MAC are not.
    let later = |ms: u64| Sent { now_ms: NOW + ms, head_as_of_ms: Some(NOW + ms), ..request.clone() };
    assert_eq!(world.again(&later(300_000)), Code::Ok);
    assert_eq!(world.again(&later(300_000)), Code::Ok);
    assert_eq!(world.code(&later(300_000)), Code::ProofInvalid);
    assert_eq!(world.again(&later(600_000)), Code::Expired);
    let mut forged = later(1_000);
    forged.headers.as_mut().unwrap().signature = talos_core::structured::print_signature(&[7; 32]);
    assert_eq!(world.again(&forged), Code::ProofInvalid);
    assert_eq!(world.code(&read().maced(&open, 2)), Code::Ok, "judging again used no number");
}

#[test]
fn a_replay_is_told_before_what_is_checked_later() {
    let mut world = World::new();
    let open = world.open(&chain(), AGENT, false);
    let request = read().maced(&open, 1);
    assert_eq!(world.code(&request), Code::Ok);
    world.policy = World::policy(&anchors(STRANGER));
    assert_eq!(world.code(&request), Code::Replay);
    assert_eq!(world.code(&read().maced(&open, 2)), Code::UntrustedIssuer);
}

#[test]
fn a_mac_speaks_for_its_own_session_alone() {
    let mut world = World::new();
    let (one, two) = (world.open(&chain(), AGENT, false), world.open(&chain(), AGENT, false));
    let request = read().maced(&one, 5);
    let mut swapped = request.clone();
    swapped.ticket = Some(two.ticket.clone());
    assert_eq!(world.code(&swapped), Code::ProofInvalid);
    assert_eq!(world.code(&read().in_session(&one, STRANGER)), Code::ProofInvalid);
    assert_eq!(world.code(&read().in_session(&one, AGENT)), Code::Ok);
    assert_eq!(world.code(&request), Code::Ok);
}

#[test]
fn an_isolate_serves_no_more_sessions_than_it_has_windows_for() {
    let mut world = World::new();
    world.memory = Memory { tickets: OpenTickets::new(9), windows: Windows::new(1), ..Memory::default() };
    let (one, two) = (world.open(&chain(), AGENT, false), world.open(&chain(), AGENT, false));
    assert_eq!(world.code(&read().maced(&one, 1)), Code::Ok);
    assert_eq!(world.code(&read().maced(&two, 1)), Code::LimitExceeded);
    assert_eq!(world.code(&read().maced(&one, 1)), Code::Replay);
}

#[test]
fn what_is_above_read_needs_a_signature_and_a_session_opened_for_it() {
    let mut world = World::new();
    let (reading, writing) = (world.open(&chain(), AGENT, false), world.open(&chain(), AGENT, true));
    let write = || Sent::call("write", "{}");
    assert_eq!(world.code(&write().in_session(&writing, AGENT)), Code::Ok);
    assert_eq!(world.code(&write().maced(&writing, 1)), Code::ProofInvalid);
    assert_eq!(world.code(&write().in_session(&reading, AGENT)), Code::ProofInvalid);
    assert_eq!(world.code(&Sent::call("delete", "{}").maced(&writing, 2)), Code::ProofInvalid);
    assert_eq!(world.code(&read().in_session(&reading, AGENT)), Code::Ok);
}

#[test]
fn a_session_is_held_against_what_is_in_force_at_every_request() {
    let mut world = World::new();
    let open = world.open(&chain(), AGENT, false);
    let mut sequence = 0;
    let mut under = |world: &mut World, over: &str, change: &dyn Fn(&mut Sent)| {
        sequence += 1;
        world.policy = World::policy(over);
        let mut sent = read().maced(&open, sequence);
        change(&mut sent);
        world.code(&sent)
    };
    let same = |_: &mut Sent| ();
    assert_eq!(under(&mut world, "{}", &same), Code::Ok);
    assert_eq!(under(&mut world, &anchors(STRANGER), &same), Code::UntrustedIssuer);
    assert_eq!(under(&mut world, r#"{"bindings":[]}"#, &same), Code::RoleDenied);
    assert_eq!(under(&mut world, &format!(r#"{{"revoked_keys":["{}"]}}"#, jkt(ANCHOR)), &same), Code::Revoked);
    assert_eq!(under(&mut world, "{}", &|sent| sent.aud = OTHER_AUD.into()), Code::AudienceMismatch);
    assert_eq!(under(&mut world, "{}", &|sent| sent.head_as_of_ms = None), Code::RevocationStale);
    world.core = "B".repeat(43);
    assert_eq!(under(&mut world, "{}", &same), Code::Ok, "opened by the core that sealed it, and remembered");
    world.memory = Memory::default();
    assert_eq!(under(&mut world, "{}", &same), Code::Expired);
}

#[test]
fn an_anchor_whose_key_has_changed_is_another_anchor() {
    let web = "did:web:a.example";
    let anchor = |seed: u8| {
        format!(r#"{{"anchors":[{{"did":"{web}","jwk":{}}}]}}"#, json::print(&talos_core::jwk::value(&key(seed))))
    };
    let mut claims = root_claims(AGENT, grants());
    claims.iss = web.into();
    let chain = talos_core::attenuate::issue(&[ANCHOR; 32], &claims).unwrap();
    let mut world = World::under(&anchor(ANCHOR));
    let open = world.open(&chain, AGENT, false);
    assert_eq!(world.code(&read().maced(&open, 1)), Code::Ok);
    world.policy = World::policy(&anchor(STRANGER));
    assert_eq!(world.code(&read().maced(&open, 2)), Code::UntrustedIssuer);
}

#[test]
fn a_did_web_holder_must_still_be_listed_in_a_session() {
    let web = "did:web:h.example";
    let listed = |seed: u8| format!(r#"{{"dids":[{{"did":"{web}","jkt":"{}"}}]}}"#, jkt(seed));
    let mut claims = root_claims(AGENT, grants());
    claims.sub = web.into();
    let chain = talos_core::attenuate::issue(&[ANCHOR; 32], &claims).unwrap();
    let mut world = World::under(&listed(AGENT));
    let open = world.open(&chain, AGENT, false);
    assert_eq!(world.code(&read().maced(&open, 1)), Code::Ok);
    for over in [listed(STRANGER), "{}".to_owned()] {
        world.policy = World::policy(&over);
        assert_eq!(world.code(&read().maced(&open, 2)), Code::DelegationInvalid);
        assert_eq!(world.code(&read().by(&chain, AGENT)), Code::DelegationInvalid);
    }
}

#[test]
fn a_session_ends_with_the_shortest_link_and_is_opened_by_an_allowed_chain_alone() {
    let mut world = World::new();
    let mut short = narrowed(SUB, grants());
    short.exp = 1_550;
    let short = attenuate(&[AGENT; 32], &chain(), &short).unwrap();
    assert_eq!(world.open(&short, SUB, false).expires_at, 1_550);
    let mut long = root_claims(AGENT, grants());
    long.exp = 9_000;
    let long = talos_core::attenuate::issue(&[ANCHOR; 32], &long).unwrap();
    assert_eq!(world.open(&long, AGENT, false).expires_at, 1_500 + 600, "ten minutes");
    let code = |result: Result<Open, talos_core::Error>| result.err().map(|error| error.code);
    assert_eq!(code(world.try_open(&chain(), STRANGER, false, [7; 32])), Some(Code::ProofInvalid));
    world.policy = World::policy(&format!(r#"{{"revoked_keys":["{}"]}}"#, jkt(AGENT)));
    assert_eq!(code(world.try_open(&chain(), AGENT, false, [7; 32])), Some(Code::Revoked));
    world.policy = World::policy("{}");
    let open = world.open(&chain(), AGENT, false);
    let body = format!(r#"{{"share":"{}","writes":false}}"#, "A".repeat(43));
    assert_eq!(code(world.try_open_with(&body)), Some(Code::ProofInvalid), "a share of small order");
    let ask = Sent::post("sessions.open", "/v1/sessions", &body).in_session(&open, AGENT);
    assert_eq!(world.code(&ask), Code::ProofInvalid, "no session out of a session");
    let everything = r#"{"forbids":[{"id":"f","principal":"*","tool":"*","classes":["read"],"reason":"r"}]}"#;
    assert_eq!(code(World::under(everything).try_open(&chain(), AGENT, false, [7; 32])), Some(Code::Forbidden));
}

#[test]
fn an_opened_ticket_is_forgotten_when_its_room_is_needed_and_never_taken_for_another() {
    let mut world = World::new();
    world.memory = Memory { tickets: OpenTickets::new(2), windows: Windows::new(9), ..Memory::default() };
    let opened: Vec<Open> = (0..3).map(|_| world.open(&chain(), AGENT, false)).collect();
    // A text with the same end is another text: this one does not even open.
    let mut altered = world.open(&chain(), AGENT, false);
    altered.ticket.clone_from(&opened[0].ticket);
    assert_eq!(world.code(&read().in_session(&altered, AGENT)), Code::Ok);
    let middle = altered.ticket.len() / 2;
    let other = if altered.ticket.as_bytes()[middle] == b'A' { "B" } else { "A" };
    altered.ticket.replace_range(middle..=middle, other);
    assert_eq!(world.code(&read().in_session(&altered, AGENT)), Code::Malformed);
    // The third takes the place of the second, which was not used for longest.
    for (of, sequence) in [(0, 1), (1, 1), (0, 2), (2, 1)] {
        assert_eq!(world.code(&read().maced(&opened[of], sequence)), Code::Ok, "{of}");
        assert!(world.memory.tickets.len() <= 2);
    }
    // The first is remembered, so a keyring without its key still knows it under the same number and not under another.
    let key = talos_core::seal::SealingKey {
        kid: "t-2".into(),
        status: talos_core::seal::Status::Primary,
        key: [8; 32].into(),
    };
    world.ring = talos_core::seal::Keyring::new(talos_core::seal::Purpose::Ticket, vec![key]).unwrap();
    assert_eq!(world.code(&read().maced(&opened[0], 50)), Code::Ok);
    assert_eq!(world.code(&read().maced(&opened[1], 50)), Code::Malformed, "it gave way");
    world.ring_number = 2;
    assert_eq!(world.code(&read().maced(&opened[0], 51)), Code::Malformed, "another keyring");
}

#[test]
fn roles_are_asked_of_the_roots_holder() {
    let bound = |seed: u8| {
        let scope = r#"{"type":"global"}"#;
        format!(r#"{{"bindings":[{{"id":"b","role":"all","principal":"{}","scope":{scope}}}]}}"#, did_of(seed))
    };
    assert_eq!(World::under(&bound(AGENT)).code(&read().by(&below(), SUB)), Code::Ok);
    assert_eq!(World::under(&bound(SUB)).code(&read().by(&below(), SUB)), Code::RoleDenied);
    let narrow = r#"{"roles":[{"id":"all","grants":[{"tool":"fs/list","classes":["read"],"actions":"*","resource":"any","args":{},"closed":false}]}]}"#;
    assert_eq!(World::under(narrow).code(&read().by(&chain(), AGENT)), Code::RoleDenied);
    assert_eq!(World::under(narrow).code(&Sent::call("list", "{}").by(&chain(), AGENT)), Code::Ok);
}

#[test]
fn an_unlisted_tool_is_unknown_or_destructive_and_an_unlisted_action_unknown() {
    let call = || Sent::call("other", "{}");
    let every = root(AGENT, vec![grant(r#"{"tool":"fs/other","classes":["read","write","destructive"]}"#)]);
    let roles = r#"{"unregistered":"destructive","roles":[{"id":"all","grants":[{"tool":"fs/other","classes":["destructive"],"actions":"*","resource":"any","args":{},"closed":false}]}]}"#;
    assert_eq!(World::new().code(&call().by(&every, AGENT)), Code::UnknownTool);
    assert_eq!(World::under(roles).code(&call().by(&every, AGENT)), Code::Ok);
    let reads = root(AGENT, vec![grant(r#"{"tool":"fs/other"}"#)]);
    assert_eq!(World::under(roles).code(&call().by(&reads, AGENT)), Code::ClassMismatch);
    let ask = |tool: &str, action: &str| {
        let body = format!(r#"{{"tool":"{tool}","action":"{action}"}}"#);
        World::under(r#"{"unregistered":"destructive"}"#)
            .code(&Sent::post("authorize", "/v1/authorize", &body).by(&chain(), AGENT))
    };
    assert_eq!(ask("nowhere/x", "call"), Code::UnknownTool, "an unlisted server has no tools");
    assert_eq!(ask("fs/list", "get"), Code::UnknownTool);
    assert_eq!(ask("fs/list", "call"), Code::Ok);
}

#[test]
fn a_resource_is_looked_for_where_the_registry_says() {
    let mut world = World::new();
    let mut ask = |body: &str| world.code(&Sent::post("authorize", "/v1/authorize", body).by(&chain(), AGENT));
    assert_eq!(ask(r#"{"tool":"fs/read","args":{"path":"data/a"}}"#), Code::Ok);
    assert_eq!(ask(r#"{"tool":"fs/read","args":{"path":"data/../x"}}"#), Code::ScopeMismatch);
    assert_eq!(ask(r#"{"tool":"fs/read"}"#), Code::ScopeMismatch);
    // Named beside the arguments, where this tool's resource is not.
    assert_eq!(ask(r#"{"tool":"fs/read","args":{"path":"data/a"},"resource":"data/a"}"#), Code::ScopeMismatch);
    assert_eq!(ask(r#"{"tool":"fs/list","resource":"data/a"}"#), Code::ScopeMismatch);
    assert_eq!(ask(r#"{"tool":"fs/@resource","action":"read","resource":"file/-/a"}"#), Code::Ok);
    assert_eq!(ask(r#"{"tool":"fs/@resource","action":"read","resource":"file/../a"}"#), Code::ScopeMismatch);
}

#[test]
fn a_message_to_a_server_needs_a_grant_a_role_and_no_rule() {
    let list = || Sent::mcp(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let good = list().by(&chain(), AGENT);
    assert_eq!(World::new().code(&good), Code::Ok);
    let elsewhere = root(AGENT, vec![grant(r#"{"tool":"fsx/read"}"#)]);
    assert_eq!(World::new().code(&list().by(&elsewhere, AGENT)), Code::ScopeMismatch);
    assert_eq!(World::under(r#"{"bindings":[]}"#).code(&good), Code::RoleDenied);
    let unlisted = r#"{"servers":[{"name":"mail","url":"http://127.0.0.1:1/mcp"}],"tools":[],"peps":[]}"#;
    assert_eq!(World::under(unlisted).code(&good), Code::UnknownTool);
    let rule = |tool: &str| {
        let rule = r#"{"id":"f","principal":"*","classes":["read"],"reason":"r""#;
        format!(r#"{{"forbids":[{rule},"tool":"{tool}"}}]}}"#)
    };
    assert_eq!(World::under(&rule("fs/*")).code(&good), Code::Forbidden);
    assert_eq!(World::under(&rule("fs/read")).code(&good), Code::Ok);
    assert_eq!(
        World::new().code(&Sent::mcp(r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#).by(&chain(), AGENT)),
        Code::UnknownTool
    );
}

#[test]
fn a_batch_is_decided_item_by_item_and_its_proof_must_do_for_all() {
    let mut world = World::new();
    let body = r#"{"items":[{"tool":"fs/read","args":{"path":"data/a"}},{"tool":"fs/write"},{"tool":"fs/none"}]}"#;
    let batch = || Sent::post("authorize.batch", "/v1/authorize/batch", body);
    let decided = world.decided(&batch().by(&chain(), AGENT));
    assert_eq!(decided.decision.code, Code::Ok);
    let facts = json::print(&decided.facts.unwrap());
    assert_eq!(facts.matches(r#""code":"OK""#).count(), 2);
    assert_eq!(facts.matches(r#""code":"UNKNOWN_TOOL""#).count(), 1);
    let open = world.open(&chain(), AGENT, true);
    assert_eq!(world.code(&batch().maced(&open, 1)), Code::ProofInvalid);
    let aged = Sent { head_as_of_ms: Some(NOW - 30_001), ..batch().by(&chain(), AGENT) };
    assert_eq!(world.code(&aged), Code::RevocationStale, "the gravest item says how old a head may be");
}

#[test]
fn a_third_party_learns_of_its_places_and_servers_alone() {
    let place = "https://pep.example/tools/x";
    let call = |tool: &str| format!(r#"{{"tool":"{tool}","args":{A}}}"#);
    let ask = |body: &json::Value| Sent::post("authorize", "/v1/authorize", &json::print(body)).by(&chain(), AGENT);
    let inner = |world: &mut World, body: &json::Value| {
        let decided = world.decided(&ask(body));
        let (decision, facts) = decided.inner.into_iter().next().unwrap();
        (decision.code, facts.is_some())
    };
    let mut world = World::new();
    assert_eq!(inner(&mut world, &report(&call("fs/read"), place, &chain(), AGENT)), (Code::Ok, true));
    assert_eq!(inner(&mut world, &report(&call("fs/read"), place, &below(), SUB)), (Code::Ok, true));
    let elsewhere = report(&call("fs/read"), "https://pep.example/tool", &chain(), AGENT);
    assert_eq!(inner(&mut world, &elsewhere), (Code::Forbidden, true));
    let mail = report(&call("mail/read"), place, &chain(), AGENT);
    assert_eq!(inner(&mut world, &mail), (Code::Forbidden, true));
    assert_eq!(inner(&mut world, &report(&call("fs/read"), place, &chain(), STRANGER)), (Code::ProofInvalid, false));
    assert_eq!(
        inner(&mut world, &report(&call("fs/read"), place, &forged(&chain()), AGENT)),
        (Code::SignatureInvalid, false)
    );
    let mut dead = root_claims(AGENT, grants());
    dead.exp = 1_400;
    let dead = talos_core::attenuate::issue(&[ANCHOR; 32], &dead).unwrap();
    assert_eq!(inner(&mut world, &report(&call("fs/read"), place, &dead, AGENT)), (Code::Expired, true));
    let good = report(&call("fs/read"), place, &chain(), AGENT);
    let unlisted = World::under(r#"{"peps":[]}"#).decided(&ask(&good));
    assert_eq!((unlisted.decision.code, unlisted.inner.len()), (Code::RoleDenied, 0));
    let roleless = World::under(r#"{"bindings":[]}"#).decided(&ask(&good));
    assert_eq!(
        (roleless.decision.code, roleless.inner.len()),
        (Code::RoleDenied, 0),
        "it may not ask, so it learns nothing"
    );
}

#[test]
fn authzen_says_the_same_thing_twice_or_is_no_request() {
    let place = "https://pep.example/tools/x";
    let talos = report(&format!(r#"{{"tool":"fs/read","args":{A}}}"#), place, &chain(), AGENT);
    let context = talos.get("context").and_then(|context| context.get("talos")).unwrap().clone();
    let json::Value::Obj(mut members) = context else { panic!() };
    members.extend([("tool".into(), json::Value::str("fs/read")), ("args".into(), json(A))]);
    let talos = json::print(&json::Value::Obj(members));
    let ask = |sub: &str, action: &str, tool: &str| {
        let body = format!(
            r#"{{"subject":{{"type":"agent","id":"{sub}"}},"action":{{"name":"{action}"}},
            "resource":{{"type":"tool","id":"{tool}"}},"context":{{"talos":{talos}}}}}"#
        );
        let sent = Sent::post("authzen.evaluation", "/access/v1/evaluation", &body).by(&chain(), AGENT);
        match World::new().try_finish(&sent.frame(), Verdicts::Own, Mode::First) {
            Ok(Came::Said(decided)) => decided.inner.first().unwrap().0.code,
            Ok(Came::Lookup(_)) => panic!("look-up"),
            Err(error) => error.code,
        }
    };
    assert_eq!(ask(&did_of(AGENT), "call", "fs/read"), Code::Ok);
    assert_eq!(ask(&did_of(SUB), "call", "fs/read"), Code::ContractInvalid);
    assert_eq!(ask(&did_of(AGENT), "read", "fs/read"), Code::ContractInvalid);
    assert_eq!(ask(&did_of(AGENT), "call", "fs/write"), Code::ContractInvalid);
}

#[test]
fn a_list_shows_what_capability_and_role_name_and_no_rule_forbids() {
    let sent = Sent::mcp(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let list = |over: &str, chain: &str, seed: u8| {
        let mut world = World::under(over);
        let site = Site { policy: &world.policy, tickets: (1, &world.ring), core: CORE };
        let frame = sent.clone().by(chain, seed).frame();
        let names = ["read", "write", "nothing", "@resource"];
        filter_list(&frame, &site, &mut world.memory, Verdicts::Own, Kind::Tools, &names)
            .map(|shown| shown.into_iter().map(|(shown, _)| shown).collect::<Vec<_>>())
            .map_err(|error| error.code)
    };
    let reader = root(AGENT, vec![grant("{}")]);
    assert_eq!(list("{}", &chain(), AGENT), Ok(vec![true, true, false, false]));
    assert_eq!(list("{}", &reader, AGENT), Ok(vec![true, false, false, false]));
    let rule = r#"{"forbids":[{"id":"f","principal":"*","tool":"fs/read","classes":["read"],"reason":"r"}]}"#;
    assert_eq!(list(rule, &chain(), AGENT), Ok(vec![false, true, false, false]));
    assert_eq!(list(r#"{"bindings":[]}"#, &chain(), AGENT), Ok(vec![false; 4]));
    assert_eq!(list("{}", &chain(), STRANGER), Err(Code::ProofInvalid));
}
