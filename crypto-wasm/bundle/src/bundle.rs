//! The file: its parts, out of the one spelling that they have.
//!
//! Source: contracts/spec/log.md#proof-bundle.

use alloc::string::String;
use alloc::vec::Vec;

use talos_log::base64;
use talos_log::limits::PROOF_BYTES;

use crate::json::{self, Member, Value};
use crate::limits::{ANCHORS, BUNDLE_BYTES, FILE_CHARS, NODES, PIECE_CHARS};
use crate::trust::hex;
use crate::{Error, Step};

/// A bundle; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The leaf.
    pub event: String,
    /// Proof file of the leaf in its log.
    pub log_proof: String,
    /// Proof file of the log's checkpoint in the meta-log.
    pub meta_proof: Option<String>,
    /// Evidence for the meta-log's checkpoint.
    pub anchors: Vec<Anchor>,
}

/// Evidence that a chain knew a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The registry's slot in a block's state.
    Evm(Evm),
    /// An OpenTimestamps file.
    Ots(Vec<u8>),
}

/// An EVM anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evm {
    /// EIP-155.
    pub chain_id: u64,
    /// The registry.
    pub contract: [u8; 20],
    /// Who anchored.
    pub publisher: [u8; 20],
    /// RLP of the block's header.
    pub header: Vec<u8>,
    /// Nodes of the state trie.
    pub account_proof: Vec<Vec<u8>>,
    /// Nodes of the registry's storage trie.
    pub storage_proof: Vec<Vec<u8>>,
}

impl Bundle {
    /// The bundle in `bytes`.
    ///
    /// # Errors
    /// `bundle.malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |detail| Error::new(Step::Bundle, detail);
        if bytes.len() > BUNDLE_BYTES {
            return Err(malformed("a bundle that is too long"));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| malformed("a bundle that is not UTF-8"))?;
        let value = json::parse(text).ok_or(malformed("a bundle that is not canonical JSON"))?;
        Self::read(&value).ok_or(malformed("no bundle, or not of this version"))
    }

    fn read(value: &Value) -> Option<Self> {
        let mut members = value.members().iter();
        let anchors = items(named(members.next(), "anchors")?, 0, ANCHORS)?;
        let anchors = anchors.iter().map(anchor).collect::<Option<Vec<_>>>()?;
        let event = text(named(members.next(), "event")?, usize::MAX)?;
        let log_proof = text(named(members.next(), "log_proof")?, PROOF_BYTES)?;
        let mut next = members.next();
        let mut meta_proof = None;
        if let Some(value) = named(next, "meta_proof") {
            meta_proof = Some(text(value, PROOF_BYTES)?);
            next = members.next();
        }
        let known = text(named(next, "schema_id")?, 64)? == "talos.audit_proof"
            && text(named(members.next(), "schema_version")?, 64)? == "v1";
        // An anchor is of the meta-log's checkpoint.
        let founded = meta_proof.is_some() || anchors.is_empty();
        let whole = known && founded && members.next().is_none();
        whole.then_some(Self { event, log_proof, meta_proof, anchors })
    }
}

/// The value of the member that is next, if it is called so: canonical order is alphabetical.
fn named<'a>(member: Option<&'a Member>, name: &str) -> Option<&'a Value> {
    member.filter(|member| member.name == name).map(|member| &member.value)
}

fn text(value: &Value, most: usize) -> Option<String> {
    value.text().filter(|text| (1..=most).contains(&text.len())).map(String::from)
}

fn items(value: &Value, least: usize, most: usize) -> Option<&[Value]> {
    let Value::List(items) = value else { return None };
    (least..=most).contains(&items.len()).then_some(items)
}

fn bytes(value: &Value, most: usize) -> Option<Vec<u8>> {
    base64::decode(value.text().filter(|text| (4..=most).contains(&text.len()))?)
}

fn nodes(value: &Value) -> Option<Vec<Vec<u8>>> {
    items(value, 1, NODES)?.iter().map(|node| bytes(node, PIECE_CHARS)).collect()
}

fn address(value: &Value) -> Option<[u8; 20]> {
    hex(value.text()?.strip_prefix("0x")?)?.try_into().ok()
}

fn anchor(value: &Value) -> Option<Anchor> {
    let mut members = value.members().iter();
    let read = match value.get("kind")?.text()? {
        "ots" => {
            let file = bytes(named(members.next(), "file")?, FILE_CHARS)?;
            named(members.next(), "kind")?;
            Anchor::Ots(file)
        }
        "evm" => {
            let account_proof = nodes(named(members.next(), "account_proof")?)?;
            let &Value::Int(chain_id) = named(members.next(), "chain_id")? else { return None };
            let contract = address(named(members.next(), "contract")?)?;
            let header = bytes(named(members.next(), "header")?, PIECE_CHARS)?;
            named(members.next(), "kind")?;
            let publisher = address(named(members.next(), "publisher")?)?;
            let storage_proof = nodes(named(members.next(), "storage_proof")?)?;
            let chain_id = u64::try_from(chain_id).ok().filter(|id| *id > 0)?;
            Anchor::Evm(Evm { chain_id, contract, publisher, header, account_proof, storage_proof })
        }
        _ => return None,
    };
    members.next().is_none().then_some(read)
}
