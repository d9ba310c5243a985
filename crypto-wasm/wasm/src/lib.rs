//! The Talos core as one WebAssembly module: thin, no rule of the protocol lives here.
//!
//! Every export answers or refuses with the text `CODE` or `CODE {"detail":…}`, which `crypto-wasm/core.ts` turns into
//! `TalosError`. Secrets come in as owned bytes and are overwritten before their memory is given back.
// wasm-bindgen's expansions are the only unsafe code of the project.
#![allow(unsafe_code)]
// What JavaScript hands over is owned.
#![allow(clippy::needless_pass_by_value, clippy::must_use_candidate)]

mod audit;
mod capability;
mod encoding;
mod identity;
mod in_force;
mod proof;
mod read;
mod refusal;
mod request;
mod store;

use wasm_bindgen::prelude::wasm_bindgen;

/// Tell the core the hash of the file that it was loaded from, which tickets and receipts name. Once, at load.
/// @returns the hash of the contracts that it was built from
#[wasm_bindgen]
pub fn start(core_hash: String) -> String {
    store::name_core(core_hash);
    talos_core::contract::CONTRACT_HASH.to_owned()
}
