//! Reads of a session on bytes: the same answers as the long way, and the event that is sealed from them.

use talos_core::authorize::{self, Finished, Memory, Mode, Read, Site, Verdicts, seal_read, write_session};
use talos_core::event;
use talos_core::json;
use talos_core::revocation::Answers;
use talos_core::seal::Purpose;

use super::asked::frame_of;
use super::frame::{printed_answer, revocations};
use super::policy::with_policy;
use super::ticket::{CORE, ring};
use super::world::{JTI, TENANT};

/// A request, as [`frame_of`] reads it; or, after `!`, the frame of an event, whole.
pub fn run(data: &[u8]) {
    if let Some(frame) = data.strip_prefix(b"!") {
        seal(frame);
        return;
    }
    let Some(frame) = frame_of(data) else { return };
    let ring = ring(Purpose::Ticket);
    let revocations = revocations();
    with_policy(|policy| {
        let site = Site { policy, tickets: (1, &ring), core: CORE };
        let (mut memory, mut other) = (Memory::default(), Memory::default());
        let mut out = Vec::new();
        let none = Answers::default();
        let long = authorize::finish(&frame, &site, &revocations, &mut other, Verdicts::Given(&[]), &none, Mode::First);
        match authorize::read(&frame, &site, &revocations, &mut memory, true, &mut out) {
            Ok(Read::Short) => {
                let Ok(Finished::Decided(decided)) = &long else { panic!("{}", printed_answer(&long)) };
                let facts = decided.facts.as_ref().expect("authenticated").value();
                let fields = fields(out.get(24..).unwrap_or_default());
                let refused = (!decided.decision.allow()).then(|| json::print(&decided.decision.value(true)));
                assert_eq!(fields[0].as_deref(), refused.as_deref().map(str::as_bytes));
                for (name, at) in [("nonce", 6), ("proof_hash", 7), ("request_hash", 8)] {
                    let said = facts.get(name).and_then(json::Value::as_str).map(str::as_bytes);
                    assert_eq!(fields[at].as_deref(), said, "{name}");
                }
                let serial = u32::from_le_bytes(*out[4..].first_chunk().expect("four bytes"));
                let mut session = Vec::new();
                write_session(memory.tickets.by_serial(serial).expect("it was just opened"), &mut session);
                seal(&event_frame(data, refused.as_deref(), &session, &out));
            }
            Ok(Read::Long(answer)) => {
                assert!(out.is_empty(), "half an answer");
                assert_eq!(printed_answer(&Ok(answer)), printed_answer(&long));
            }
            Err(error) => assert_eq!(Some(&error), long.as_ref().err()),
        }
        // What was decided once is a replay, whichever way it is asked again.
        out.clear();
        if let Ok(Read::Short) = authorize::read(&frame, &site, &revocations, &mut memory, true, &mut out) {
            assert!(fields(&out[24..])[0].is_some(), "a sequence was used twice");
        }
    });
}

fn fields(mut rest: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut fields = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        if length == u32::MAX {
            fields.push(None);
            rest = more;
            continue;
        }
        let (bytes, more) = more.split_at(usize::try_from(length).expect("a length"));
        fields.push(Some(bytes.to_vec()));
        rest = more;
    }
    fields
}

fn put(frame: &mut Vec<u8>, field: Option<&[u8]>) {
    let length = field.map_or(u32::MAX, |field| u32::try_from(field.len()).expect("short"));
    frame.extend(length.to_le_bytes());
    frame.extend(field.unwrap_or_default());
}

/// The frame of an event about the read, as crypto-wasm/read.ts writes it.
fn event_frame(data: &[u8], refused: Option<&str>, session: &[u8], facts: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    for text in ["authorize", TENANT, JTI, "2026-01-01T00:00:00.000Z", "request"] {
        put(&mut frame, Some(text.as_bytes()));
    }
    put(&mut frame, Some(&200u64.to_le_bytes()));
    for text in [None, None, Some("hash")] {
        put(&mut frame, text.map(str::as_bytes));
    }
    for number in [1u64, 2, u64::try_from(data.len()).expect("short")] {
        put(&mut frame, Some(&number.to_le_bytes()));
    }
    put(&mut frame, refused.map(str::as_bytes));
    put(&mut frame, None);
    put(&mut frame, Some(session));
    put(&mut frame, Some(facts));
    frame
}

/// Whatever is sealed is the one form of its event, and its hashes are those of its bytes.
fn seal(frame: &[u8]) {
    let Ok(sealed) = seal_read(frame, CORE) else { return };
    let event = json::parse_signed(sealed.body.as_bytes()).expect("an event is strict JSON");
    assert_eq!(json::print(&event), sealed.body);
    assert_eq!(event::leaf_hash(sealed.body.as_bytes()), sealed.leaf_hash);
    assert_eq!(event::event_hash(&event).as_deref(), Ok(sealed.event_hash.as_str()));
    let json::Value::Obj(mut members) = event else { panic!("no object") };
    members.retain(|(name, _)| name != "event_hash");
    let again = event::seal(&json::Value::Obj(members)).map(|again| again.body);
    assert_eq!(again.as_deref(), Ok(sealed.body.as_str()));
}
