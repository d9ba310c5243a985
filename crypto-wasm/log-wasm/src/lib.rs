//! The verifiable log as one WebAssembly module: thin, no rule of the log lives here.
//!
//! Every export answers or refuses with the text `CODE detail`, which `crypto-wasm/log.ts` turns into `TalosError`. Lists
//! cross as lines or as bytes one after another.
// wasm-bindgen's expansions are the only unsafe code of the project.
#![allow(unsafe_code)]
// What JavaScript hands over is owned.
#![allow(clippy::needless_pass_by_value, clippy::must_use_candidate)]
// Without std there is nothing that would print a panic: no panic is expected, and one traps.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use talos_log::checkpoint::Checkpoint;
use talos_log::edge::{Edge, edge_tiles};
use talos_log::frontier::Frontier;
use talos_log::hash::{self, HASH_BYTES, Hash};
use talos_log::note::{Key, Kind as KeyKind, Note};
use talos_log::policy::Policy;
use talos_log::proof_file::ProofFile;
use talos_log::submission::Submission;
use talos_log::text::push_decimal;
use talos_log::tile::{Kind, Plan, Tile, Tiles, push_entry};
use talos_log::verify::Pending;
use talos_log::{Code, Error, base64, proof, tile};
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

fn one_hash(bytes: &[u8], code: Code) -> Result<Hash, Error> {
    bytes.try_into().map_err(|_| Error::new(code, "not a hash"))
}

fn all_hashes(bytes: &[u8], code: Code) -> Result<Vec<Hash>, Error> {
    let whole = bytes.len().is_multiple_of(HASH_BYTES);
    if whole { Ok(hash::split(bytes).copied().collect()) } else { Err(Error::new(code, "not hashes")) }
}

fn lines(tiles: impl IntoIterator<Item = Tile>) -> String {
    let mut text = String::new();
    for tile in tiles {
        text.push_str(&tile.path());
        text.push('\n');
    }
    text
}

/// Names of the partial tiles of a tree of this size, a line each, lowest level first.
#[wasm_bindgen]
pub fn edge(size: u64) -> String {
    lines(edge_tiles(size))
}

/// Append leaf hashes to a right edge: the new root, then for each tile that changed its name's line and its hashes, with the
/// line's and the hashes' lengths before them (2 bytes each).
#[wasm_bindgen]
pub fn append(size: u64, edge: &[u8], leaves: &[u8]) -> Answer<Vec<u8>> {
    let append = || {
        let mut edge = Edge::new(size, edge)?;
        let written = edge.append(&all_hashes(leaves, Code::TileMalformed)?)?;
        let mut out = edge.root().to_vec();
        for written in written {
            push_entry(&mut out, written.tile.path().as_bytes())?;
            push_entry(&mut out, written.hashes.as_flattened())?;
        }
        Ok(out)
    };
    append().or_refuse()
}

/// The root of the tree with this right edge.
#[wasm_bindgen]
pub fn root(size: u64, edge: &[u8]) -> Answer<Vec<u8>> {
    Edge::new(size, edge).map(|edge| edge.root().to_vec()).or_refuse()
}

/// The frontier of the tree with this right edge.
#[wasm_bindgen]
pub fn subtrees(size: u64, edge: &[u8]) -> Answer<Vec<u8>> {
    Edge::new(size, edge).map(|edge| edge.subtrees().into_flattened()).or_refuse()
}

/// Append leaf hashes to a frontier: the new root, then the new frontier.
#[wasm_bindgen]
pub fn extend(size: u64, frontier: &[u8], leaves: &[u8]) -> Answer<Vec<u8>> {
    let extend = || {
        let mut frontier = Frontier::new(size, frontier)?;
        for leaf in all_hashes(leaves, Code::TileMalformed)? {
            frontier.append(&leaf)?;
        }
        Ok([&[frontier.root()], frontier.subtrees()].concat().into_flattened())
    };
    extend().or_refuse()
}

/// The tile or bundle (`entries`) that stands at a place of a tree of this size; empty where it has none.
#[wasm_bindgen]
pub fn tile_at(entries: bool, level: u32, index: u64, size: u64) -> String {
    let kind = if entries { Kind::Entries } else { Kind::Hashes(level) };
    Tile::of(kind, index, size).map(|tile| tile.path()).unwrap_or_default()
}

/// What a name names: `[level, index, width]`, the level of entries being -1.
#[wasm_bindgen]
pub fn parse_tile(path: &str) -> Answer<Vec<f64>> {
    let tile = Tile::parse(path).or_refuse()?;
    let level = if let Kind::Hashes(level) = tile.kind { f64::from(level) } else { -1.0 };
    Ok(vec![level, exact(tile.index), exact(tile.width)])
}

/// Below 2^53, so nothing is lost.
#[allow(clippy::cast_precision_loss)]
fn exact(value: u64) -> f64 {
    value as f64
}

/// The root over a full tile.
#[wasm_bindgen]
pub fn full_tile_root(tile: &[u8]) -> Answer<Vec<u8>> {
    tile::full_root(tile).map(|root| root.to_vec()).or_refuse()
}

type Made = Result<Vec<Hash>, Error>;

fn plan(size: u64, make: impl Fn(&mut dyn proof::Nodes) -> Made) -> Result<Plan, Error> {
    let mut plan = Plan::new(size);
    make(&mut plan)?;
    Ok(plan)
}

fn made(size: u64, tiles: &[u8], make: impl Fn(&mut dyn proof::Nodes) -> Made) -> Result<Vec<u8>, Error> {
    let plan = plan(size, &make)?;
    Ok(make(&mut Tiles::new(&plan, tiles)?)?.into_flattened())
}

/// Names of the tiles that a proof of inclusion needs, a line each.
#[wasm_bindgen]
pub fn inclusion_tiles(index: u64, size: u64) -> Answer<String> {
    plan(size, |nodes| proof::inclusion(nodes, index, size)).map(|plan| lines(plan.tiles)).or_refuse()
}

/// The hashes from the leaf's sibling to the root's child; `tiles` are those that `inclusion_tiles` names, in its order.
#[wasm_bindgen]
pub fn inclusion_proof(index: u64, size: u64, tiles: &[u8]) -> Answer<Vec<u8>> {
    made(size, tiles, |nodes| proof::inclusion(nodes, index, size)).or_refuse()
}

/// Names of the tiles that a proof of consistency needs, a line each.
#[wasm_bindgen]
pub fn consistency_tiles(old: u64, size: u64) -> Answer<String> {
    plan(size, |nodes| proof::consistency(nodes, old, size)).map(|plan| lines(plan.tiles)).or_refuse()
}

/// The hashes of a proof of consistency; `tiles` are those that `consistency_tiles` names, in its order.
#[wasm_bindgen]
pub fn consistency_proof(old: u64, size: u64, tiles: &[u8]) -> Answer<Vec<u8>> {
    made(size, tiles, |nodes| proof::consistency(nodes, old, size)).or_refuse()
}

/// Names of the tiles that the root of a tree needs, a line each.
#[wasm_bindgen]
pub fn root_tiles(size: u64) -> Answer<String> {
    plan(size, |nodes| proof::root(nodes, size).map(|root| vec![root])).map(|plan| lines(plan.tiles)).or_refuse()
}

/// The root of a tree out of the tiles that `root_tiles` names, in its order.
#[wasm_bindgen]
pub fn tiles_root(size: u64, tiles: &[u8]) -> Answer<Vec<u8>> {
    made(size, tiles, |nodes| proof::root(nodes, size).map(|root| vec![root])).or_refuse()
}

/// Refuses unless the leaf is at this index of the tree with this root.
#[wasm_bindgen]
pub fn check_inclusion(index: u64, size: u64, leaf: &[u8], hashes: &[u8], root: &[u8]) -> Answer<()> {
    let code = Code::InclusionInvalid;
    let check = || {
        let hashes = all_hashes(hashes, code)?;
        proof::check_inclusion(index, size, &one_hash(leaf, code)?, &hashes, &one_hash(root, code)?)
    };
    check().or_refuse()
}

/// Refuses unless the old tree is the beginning of the new one.
#[wasm_bindgen]
pub fn check_consistency(old: u64, size: u64, old_root: &[u8], root: &[u8], hashes: &[u8]) -> Answer<()> {
    let code = Code::ConsistencyInvalid;
    let check = || {
        let hashes = all_hashes(hashes, code)?;
        proof::check_consistency(old, size, &one_hash(old_root, code)?, &one_hash(root, code)?, &hashes)
    };
    check().or_refuse()
}

/// The leaf hash of an entry.
#[wasm_bindgen]
pub fn leaf(entry: &[u8]) -> Vec<u8> {
    hash::leaf(entry).to_vec()
}

/// A bundle of entries, which stand one after another in `entries` with these lengths.
#[wasm_bindgen]
pub fn bundle(entries: &[u8], lengths: &[u32]) -> Answer<Vec<u8>> {
    let bundle = || {
        let missing = Error::new(Code::TileMalformed, "lengths that are not those of the entries");
        let mut out = Vec::with_capacity(entries.len() + 2 * lengths.len());
        let mut rest = entries;
        for length in lengths {
            let (entry, after) =
                rest.split_at_checked(usize::try_from(*length).unwrap_or(usize::MAX)).ok_or(missing)?;
            push_entry(&mut out, entry)?;
            rest = after;
        }
        if rest.is_empty() { Ok(out) } else { Err(missing) }
    };
    bundle().or_refuse()
}

/// Leaf hashes of a bundle's entries, one after another.
#[wasm_bindgen]
pub fn bundle_leaves(bundle: &[u8]) -> Answer<Vec<u8>> {
    let leaves = tile::entries(bundle).map(|entries| entries.iter().map(|entry| hash::leaf(entry)).collect::<Vec<_>>());
    leaves.map(Vec::into_flattened).or_refuse()
}

/// Lengths of a bundle's entries.
#[wasm_bindgen]
pub fn bundle_lengths(bundle: &[u8]) -> Answer<Vec<u32>> {
    let length = |entry: &&[u8]| u32::try_from(entry.len()).unwrap_or(0); // at most 65,535
    tile::entries(bundle).map(|entries| entries.iter().map(length).collect()).or_refuse()
}

/// The text of a checkpoint, which its log signs.
#[wasm_bindgen]
pub fn checkpoint_text(origin: &str, size: u64, root: &[u8]) -> Answer<String> {
    let text = || {
        let text = Checkpoint { origin, size, root: one_hash(root, Code::CheckpointMalformed)? }.text();
        Checkpoint::parse(&text).map(|_| ())?;
        Ok(text)
    };
    text().or_refuse()
}

/// What a witness signs of a checkpoint's text.
#[wasm_bindgen]
pub fn cosigned_text(text: &str, time_seconds: u64) -> String {
    talos_log::note::cosigned(text, time_seconds)
}

fn key(name: &str, cosigns: bool, public: &[u8]) -> Result<Key, Error> {
    let kind = if cosigns { KeyKind::Cosignature } else { KeyKind::Ed25519 };
    Key::new(name, kind, public).ok_or(Error::new(Code::NoteMalformed, "a name that no key has, or no key"))
}

/// A key as policies write it.
#[wasm_bindgen]
pub fn verifier_key(name: &str, cosigns: bool, public: &[u8]) -> Answer<String> {
    key(name, cosigns, public).map(|key| key.text()).or_refuse()
}

/// The line that adds a signature to a note; a witness' signature has its time before it.
#[wasm_bindgen]
pub fn signature_line(name: &str, cosigns: bool, public: &[u8], signature: &[u8]) -> Answer<String> {
    key(name, cosigns, public).map(|key| key.line(signature)).or_refuse()
}

/// A proof file.
#[wasm_bindgen]
pub fn proof_file(index: u64, hashes: &[u8], checkpoint: &str) -> Answer<String> {
    let text = || {
        let hashes = all_hashes(hashes, Code::ProofMalformed)?;
        ProofFile { extra: None, index, hashes, checkpoint: checkpoint.as_bytes() }.text()
    };
    text().or_refuse()
}

/// What a proof file says, unverified: its index, and its checkpoint's text after a line feed.
#[wasm_bindgen]
pub fn read_proof_file(file: &[u8]) -> Answer<String> {
    let read = || {
        let file = ProofFile::parse(file)?;
        let mut text = String::new();
        push_decimal(&mut text, file.index);
        text.push('\n');
        text.push_str(core::str::from_utf8(file.checkpoint).unwrap_or_default()); // a file is UTF-8 as a whole
        Ok(text)
    };
    read().or_refuse()
}

/// With a leaf the file is a proof, without one it is a signed checkpoint.
fn pending<'a>(file: &'a [u8], leaf: &[u8], policy: &[u8]) -> Result<Pending<'a>, Error> {
    if leaf.is_empty() {
        return Pending::checkpoint(file, policy);
    }
    Pending::proof(file, &one_hash(leaf, Code::InclusionInvalid)?, policy)
}

/// The equations to answer, each: key (32 bytes), signature (64), length of the message (4), message.
#[wasm_bindgen]
pub fn begin(file: &[u8], leaf: &[u8], policy: &[u8]) -> Answer<Vec<u8>> {
    let begin = || {
        let pending = pending(file, leaf, policy)?;
        let mut out = Vec::new();
        for equation in pending.equations() {
            out.extend(equation.public);
            out.extend(equation.signature);
            // A note is at most 64 KiB.
            out.extend(u32::try_from(equation.message.len()).unwrap_or(0).to_be_bytes());
            out.extend(&equation.message);
        }
        Ok(out)
    };
    begin().or_refuse()
}

/// The verdict: lines of origin, size and base64 root, then a line `time name` for each witness. `answers` has a byte for
/// each equation that `begin` named for the same arguments, 1 where it holds.
#[wasm_bindgen]
pub fn finish(file: &[u8], leaf: &[u8], policy: &[u8], answers: &[u8]) -> Answer<String> {
    let finish = || {
        let answers: Vec<bool> = answers.iter().map(|answer| *answer == 1).collect();
        let verdict = pending(file, leaf, policy)?.finish(&answers)?;
        let mut text = verdict.origin;
        text.push('\n');
        push_decimal(&mut text, verdict.size);
        text.push('\n');
        base64::push(&mut text, &verdict.root);
        for (name, time) in verdict.witnesses {
            text.push('\n');
            push_decimal(&mut text, time);
            text.push(' ');
            text.push_str(&name);
        }
        Ok(text)
    };
    finish().or_refuse()
}

/// The keys of a policy: lines `log <key>` and `witness <key> <url>`, in its order; a url may be empty.
#[wasm_bindgen]
pub fn policy_keys(policy: &[u8]) -> Answer<String> {
    let keys = || {
        let policy = Policy::parse(policy)?;
        let mut text = String::new();
        for key in &policy.logs {
            for part in ["log ", &key.text(), "\n"] {
                text.push_str(part);
            }
        }
        for (key, url) in policy.witnesses.iter().zip(&policy.urls) {
            let url = core::str::from_utf8(url).map_err(|_| Error::new(Code::PolicyMalformed, "an address"))?;
            for part in ["witness ", &key.text(), " ", url, "\n"] {
                text.push_str(part);
            }
        }
        Ok(text)
    };
    keys().or_refuse()
}

/// What a witness is sent.
#[wasm_bindgen]
pub fn submission(old: u64, hashes: &[u8], note: &str) -> Answer<String> {
    let text = || {
        let hashes = all_hashes(hashes, Code::SubmissionMalformed)?;
        Submission { old, hashes, note: note.as_bytes() }.text()
    };
    text().or_refuse()
}

/// What a witness was sent: the old size (8 bytes), how many hashes (1), the hashes, length of the note's text (4), the note.
#[wasm_bindgen]
pub fn read_submission(body: &[u8]) -> Answer<Vec<u8>> {
    let read = || {
        let submission = Submission::parse(body)?;
        let note = Note::parse(submission.note)?;
        let mut out = submission.old.to_be_bytes().to_vec();
        out.push(u8::try_from(submission.hashes.len()).unwrap_or(0)); // at most 63
        out.extend(submission.hashes.as_flattened());
        out.extend(u32::try_from(note.text.len()).unwrap_or(0).to_be_bytes()); // at most 64 KiB
        out.extend(submission.note);
        Ok(out)
    };
    read().or_refuse()
}
