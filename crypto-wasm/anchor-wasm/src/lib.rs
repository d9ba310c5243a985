//! The evidence of anchors as one WebAssembly module: thin, no rule of it lives here.
//!
//! Every export answers or refuses with the text `CODE detail`, which `crypto-wasm/anchor.ts` turns into `TalosError`. Lists of
//! bytes cross as one buffer, each after its length in four bytes, big-endian; answers are lines.
// wasm-bindgen's expansions are the only unsafe code of the project.
#![allow(unsafe_code)]
// What JavaScript hands over is owned.
#![allow(clippy::needless_pass_by_value, clippy::must_use_candidate)]
// Without std there is nothing that would print a panic: no panic is expected, and one traps.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use talos_anchor::bitcoin;
use talos_anchor::evm::{Evidence, checkpoint_slot as slot};
use talos_anchor::hash::{keccak256 as keccak, sha256 as sha};
use talos_anchor::ots::{self, Claim, File};
use talos_anchor::{Code, Error};
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

type Answer<T> = Result<T, JsValue>;

fn refuse(error: Error) -> JsValue {
    let mut text = String::from(error.code.as_str());
    text.push(' ');
    text.push_str(error.detail);
    JsValue::from_str(&text)
}

trait OrRefuse<T> {
    fn or_refuse(self) -> Answer<T>;
}

impl<T> OrRefuse<T> for Result<T, Error> {
    fn or_refuse(self) -> Answer<T> {
        self.map_err(refuse)
    }
}

fn exact<const N: usize>(bytes: &[u8], code: Code) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::new(code, "bytes of another length"))
}

/// Bytes after their lengths.
fn parts(mut bytes: &[u8], code: Code) -> Result<Vec<&[u8]>, Error> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let cut = || Error::new(code, "a list is cut");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut)?;
        parts.push(part);
        bytes = rest;
    }
    Ok(parts)
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        out.extend(char::from_digit(u32::from(digit), 16));
    }
}

fn push_decimal(out: &mut String, value: u64) {
    if value >= 10 {
        push_decimal(out, value / 10);
    }
    out.extend(char::from_digit(u32::try_from(value % 10).unwrap_or_default(), 10));
}

/// SHA-256.
#[wasm_bindgen]
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    sha(&[bytes]).to_vec()
}

/// Keccak-256.
#[wasm_bindgen]
pub fn keccak256(bytes: &[u8]) -> Vec<u8> {
    keccak(&[bytes]).to_vec()
}

/// Where the registry keeps a publisher's newest checkpoint of a log.
#[wasm_bindgen]
pub fn checkpoint_slot(publisher: &[u8], log_id: &[u8]) -> Answer<Vec<u8>> {
    let slot = || {
        let publisher = exact(publisher, Code::Malformed)?;
        Ok(slot(&publisher, &exact(log_id, Code::Malformed)?).to_vec())
    };
    slot().or_refuse()
}

/// Verify the registry's evidence. `ask` is six parts: contract, hash of its code, publisher, log id, digest, header.
///
/// The block's hash, state root, number and time, a line each.
#[wasm_bindgen]
pub fn verify_evm(ask: &[u8], account_proof: &[u8], storage_proof: &[u8]) -> Answer<String> {
    let verify = || {
        let bad = Code::Malformed;
        let ask = parts(ask, bad)?;
        let [contract, code_hash, publisher, log_id, digest, header] = ask.as_slice() else {
            return Err(Error::new(bad, "not six parts"));
        };
        let evidence = Evidence {
            header,
            account_proof: &parts(account_proof, bad)?,
            storage_proof: &parts(storage_proof, bad)?,
            contract: &exact(contract, bad)?,
            code_hash: &exact(code_hash, bad)?,
            publisher: &exact(publisher, bad)?,
            log_id: &exact(log_id, bad)?,
            digest: &exact(digest, bad)?,
        };
        let header = evidence.verify()?;
        let mut out = String::new();
        push_hex(&mut out, &header.hash);
        out.push('\n');
        push_hex(&mut out, &header.state_root);
        out.push('\n');
        push_decimal(&mut out, header.number);
        out.push('\n');
        push_decimal(&mut out, header.time);
        Ok(out)
    };
    verify().or_refuse()
}

/// A file of OpenTimestamps: its digest, then a line for each attestation: `bitcoin HEIGHT ROOT`, `pending COMMITMENT URI`,
/// `unknown TAG`; bytes are hex.
#[wasm_bindgen]
pub fn read_ots(file: &[u8]) -> Answer<String> {
    let file = File::read(file).or_refuse()?;
    let mut out = String::new();
    push_hex(&mut out, &file.digest);
    for made in file.attestations {
        match made.claim {
            Claim::Bitcoin { height, merkle_root } => {
                out.push_str("\nbitcoin ");
                push_decimal(&mut out, height);
                out.push(' ');
                push_hex(&mut out, &merkle_root);
            }
            Claim::Pending { uri } => {
                out.push_str("\npending ");
                push_hex(&mut out, &made.message);
                out.push(' ');
                out.push_str(&uri);
            }
            Claim::Unknown { tag } => {
                out.push_str("\nunknown ");
                push_hex(&mut out, &tag);
            }
        }
    }
    Ok(out)
}

/// What calendars are asked to attest.
#[wasm_bindgen]
pub fn ots_commitment(digest: &[u8], nonce: &[u8]) -> Answer<Vec<u8>> {
    let commitment = || {
        let digest = exact(digest, Code::OtsMalformed)?;
        Ok(ots::commitment(&digest, &exact(nonce, Code::OtsMalformed)?).to_vec())
    };
    commitment().or_refuse()
}

/// The file of a digest out of calendars' answers.
#[wasm_bindgen]
pub fn ots_file(digest: &[u8], nonce: &[u8], answers: &[u8]) -> Answer<Vec<u8>> {
    let file = || {
        let bad = Code::OtsMalformed;
        ots::file(&exact(digest, bad)?, &exact(nonce, bad)?, &parts(answers, bad)?)
    };
    file().or_refuse()
}

/// The file cut down to the way to its earliest block.
#[wasm_bindgen]
pub fn ots_to_block(file: &[u8]) -> Answer<Vec<u8>> {
    ots::to_block(file).or_refuse()
}

/// The file with a calendar's answer in place of what it left pending.
#[wasm_bindgen]
pub fn upgrade_ots(file: &[u8], uri: &str, commitment: &[u8], answer: &[u8]) -> Answer<Vec<u8>> {
    ots::upgrade(file, uri, commitment, answer).or_refuse()
}

/// A Bitcoin header with the work that it claims: hash (reversed, as people write it), root of its transactions (as it
/// stands) and time, a line each.
#[wasm_bindgen]
pub fn check_header(header: &[u8], easiest: u32) -> Answer<String> {
    let header = bitcoin::Header::parse(header, easiest).or_refuse()?;
    let mut hash = header.hash;
    hash.reverse();
    let mut out = String::new();
    push_hex(&mut out, &hash);
    out.push('\n');
    push_hex(&mut out, &header.merkle_root);
    out.push('\n');
    push_decimal(&mut out, u64::from(header.time));
    Ok(out)
}
