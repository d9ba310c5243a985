//! The verifier of proof bundles as one WebAssembly module: thin, no rule lives here.
//!
//! A refusal is the text `STEP CODE REASON DETAIL` (`-` without a reason), which `crypto-wasm/bundle.ts` reads; what holds is
//! lines.
// wasm-bindgen's expansions are the only unsafe code of the project.
#![allow(unsafe_code)]
// What JavaScript hands over is owned.
#![allow(clippy::needless_pass_by_value, clippy::must_use_candidate)]
// Without std there is nothing that would print a panic: no panic is expected, and one traps.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use talos_bundle::anchors::{Shown, check};
use talos_bundle::trust::Trust;
use talos_bundle::verify::{Pending, Placed, read};
use talos_bundle::{Error, Step};
use talos_log::base64;
use talos_log::text::{push_decimal, push_hex};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

fn refuse(error: Error) -> JsValue {
    let reason = error.reason.unwrap_or("-");
    JsValue::from_str(&[error.step.name(), error.step.code(), reason, error.detail].join(" "))
}

/// The equations to answer, each: key (32 bytes), signature (64), length of the message (4), message.
#[wasm_bindgen]
pub fn begin(file: &[u8], policy: &[u8]) -> Result<Vec<u8>, JsValue> {
    let begin = || {
        let bundle = read(file, policy)?;
        let mut out = Vec::new();
        for equation in Pending::new(&bundle, policy)?.equations() {
            out.extend(equation.public);
            out.extend(equation.signature);
            // A note is at most 64 KiB.
            out.extend(u32::try_from(equation.message.len()).unwrap_or(0).to_be_bytes());
            out.extend(&equation.message);
        }
        Ok(out)
    };
    begin().map_err(refuse)
}

/// What holds, a line each: `event` and the leaf, `log` and `meta` with index, size, root and origin, `witness` with time and
/// name, `evm`, `bitcoin` and `pending` for what anchors show. `trust` is what [`Trust::parse`] reads; `answers` has a byte for each equation that `begin` named for the same arguments, 1 where it holds.
#[wasm_bindgen]
pub fn finish(file: &[u8], policy: &[u8], answers: &[u8], trust: &str) -> Result<String, JsValue> {
    let finish = || {
        let bundle = read(file, policy)?;
        let answers: Vec<bool> = answers.iter().map(|answer| *answer == 1).collect();
        let proved = Pending::new(&bundle, policy)?.finish(&answers)?;
        let mut text = String::from("event ");
        text.push_str(&bundle.event);
        push_placed(&mut text, "log", &proved.log);
        if let Some(meta) = &proved.meta {
            push_placed(&mut text, "meta", meta);
        }
        let trust = Trust::parse(trust).ok_or(Error::new(Step::Anchor, "what is trusted cannot be read"))?;
        for shown in check(proved.meta.as_ref(), proved.anchors, &trust)? {
            push_shown(&mut text, &shown);
        }
        Ok(text)
    };
    finish().map_err(refuse)
}

fn push_placed(text: &mut String, name: &str, placed: &Placed<'_>) {
    text.push('\n');
    text.push_str(name);
    text.push(' ');
    push_decimal(text, placed.index);
    text.push(' ');
    push_decimal(text, placed.head.size);
    text.push(' ');
    base64::push(text, &placed.head.root);
    text.push(' ');
    text.push_str(&placed.head.origin);
    for (name, time) in &placed.head.witnesses {
        text.push_str("\nwitness ");
        push_decimal(text, *time);
        text.push(' ');
        text.push_str(name);
    }
}

fn push_shown(text: &mut String, shown: &Shown) {
    match shown {
        Shown::Evm { verified, chain_id, contract, publisher, number, hash, time } => {
            text.push_str(if *verified { "\nevm verified" } else { "\nevm unchecked" });
            for number in [chain_id, number, time] {
                text.push(' ');
                push_decimal(text, *number);
            }
            for bytes in [&hash[..], contract, publisher] {
                text.push_str(" 0x");
                push_hex(text, bytes);
            }
        }
        Shown::Bitcoin { height, block } => {
            text.push_str(if block.is_some() { "\nbitcoin verified " } else { "\nbitcoin unchecked " });
            push_decimal(text, *height);
            if let Some((hash, time)) = block {
                text.push(' ');
                push_decimal(text, u64::from(*time));
                text.push(' ');
                // As people write it: the last byte first.
                let mut hash = *hash;
                hash.reverse();
                push_hex(text, &hash);
            }
        }
        Shown::Pending(uri) => {
            text.push_str("\npending ");
            text.push_str(uri);
        }
    }
}
