//! Reads of a session, without a copy on the way in: JavaScript writes the frame into this memory, calls, and reads the
//! answer from this memory before anything else runs. Nothing is kept from one call to the next but the two buffers.
//! Layouts: `crypto-wasm/read.ts`.

use std::cell::RefCell;

use talos_core::authorize::{self, Read};
use talos_core::need::{self, Kept};
use talos_core::{Error, b64};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::capability::read_grants;
use crate::refusal::{Answer, OrRefuse, refusal};
use crate::request::print_finished;
use crate::store::{self, with_site};

#[derive(Default)]
struct Buffers {
    frame: Vec<u8>,
    answer: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::default());
}

/// What an answer is; its first byte.
const SHORT: u8 = 0;
const JSON: u8 = 1;
const REFUSAL: u8 = 2;

/// Where to write a frame of at most `bytes` bytes. The address stands until the next call of this function.
#[wasm_bindgen]
pub fn frame_room(bytes: usize) -> usize {
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.frame.len() < bytes {
            buffers.frame.resize(bytes.next_power_of_two(), 0);
        }
        buffers.frame.as_ptr().addr()
    })
}

/// Runs `run` on the frame of `length` bytes; the answer is `u32` length, one byte what it is, and its bytes. A refusal is
/// one too, so that nothing is thrown on this path.
fn answer(length: usize, run: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), Error>) -> usize {
    BUFFERS.with_borrow_mut(|Buffers { frame, answer }| {
        answer.clear();
        answer.extend([0, 0, 0, 0, SHORT]);
        // More than there is room for is no frame: an empty one is refused by its reader.
        if let Err(error) = run(frame.get(..length).unwrap_or_default(), answer) {
            answer.truncate(4);
            answer.push(REFUSAL);
            answer.extend_from_slice(refusal(error).as_bytes());
        }
        let length = u32::try_from(answer.len().saturating_sub(5)).unwrap_or_default().to_le_bytes();
        if let Some(first) = answer.first_chunk_mut() {
            *first = length;
        }
        answer.as_ptr().addr()
    })
}

fn long(out: &mut Vec<u8>, text: &str) {
    out.truncate(4);
    out.push(JSON);
    out.extend_from_slice(text.as_bytes());
}

/// The decision about a read under a MAC. With `record` the proof's hash is among the facts.
#[wasm_bindgen]
pub fn decide_read(length: usize, policy: u32, filter: u32, tickets: u32, record: bool) -> usize {
    answer(length, |frame, out| {
        let revocations = store::filter(filter)?;
        with_site(policy, tickets, |site, memory| {
            if let Read::Long(finished) = authorize::read(frame, site, &revocations, memory, record, out)? {
                long(out, &print_finished(finished));
            }
            Ok(())
        })
    })
}

/// Keeps grants under a handle.
#[wasm_bindgen]
pub fn leaf_load(grants: &str) -> Answer<u32> {
    read_grants(grants).and_then(store::hold_leaf).or_refuse()
}

/// What a handle that stands for nothing of its kind is answered with.
const NO_HANDLE: u32 = u32::MAX;

/// Leaf evaluation alone: of the need in the frame of `length` bytes, answered as `need::answer` says.
#[wasm_bindgen]
pub fn decide_leaf(leaf: u32, length: usize) -> u32 {
    BUFFERS.with_borrow(|Buffers { frame, .. }| {
        store::with_leaf(leaf, |grants| need::decide(grants, frame.get(..length).unwrap_or_default()))
            .unwrap_or(NO_HANDLE)
    })
}

/// Keeps the need in the frame of `length` bytes under a handle.
#[wasm_bindgen]
pub fn need_load(length: usize) -> Answer<u32> {
    BUFFERS.with_borrow(|Buffers { frame, .. }| {
        let kept = frame.get(..length).and_then(Kept::new);
        kept.ok_or_else(|| Error::malformed("not the frame of a need")).and_then(store::hold_need).or_refuse()
    })
}

/// As [`decide_leaf`], for a need that is kept.
#[wasm_bindgen]
pub fn decide_kept(leaf: u32, need: u32) -> u32 {
    store::with_kept(leaf, need, |grants, need| need.decide(grants)).unwrap_or(NO_HANDLE)
}

/// What the requests of an open session have in common; empty when it is no longer open.
#[wasm_bindgen]
pub fn session_facts(serial: u32) -> Vec<u8> {
    store::with_memory(|memory| {
        let mut out = Vec::new();
        if let Some(open) = memory.tickets.by_serial(serial) {
            authorize::write_session(open, &mut out);
        }
        out
    })
}

/// The leaf of a read's event: 64 `event_hash`, 43 `leaf_hash`, then the body.
#[wasm_bindgen]
pub fn seal_read(length: usize) -> usize {
    answer(length, |frame, out| {
        let sealed = authorize::seal_read(frame, &store::core())?;
        out.extend_from_slice(sealed.event_hash.as_bytes());
        out.extend_from_slice(b64::encode(&sealed.leaf_hash).as_bytes());
        out.extend_from_slice(sealed.body.as_bytes());
        Ok(())
    })
}
