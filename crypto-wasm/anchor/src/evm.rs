//! The evidence of the registry on an EVM chain: the state of one contract at one block.
//!
//! Source: contracts/spec/anchors.md#evm.

use crate::error::{Code, Error};
use crate::hash::{Hash, keccak256};
use crate::limits::{HEADER_BYTES, HEADER_FIELDS};
use crate::rlp::Item;
use crate::trie;

/// An account of the chain.
pub type Address = [u8; 20];

/// What a block's header says that a verifier of evidence needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the whole header: what a verifier compares with a hash that it trusts.
    pub hash: Hash,
    /// Of every account after the block.
    pub state_root: Hash,
    /// How many blocks were before.
    pub number: u64,
    /// Seconds since the Unix epoch, as the block's author named them.
    pub time: u64,
}

impl Header {
    /// The header that these bytes are. Fields that later upgrades append are covered by the hash and mean nothing here.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > HEADER_BYTES {
            return Err(Error::new(Code::Malformed, "a header beyond its bound"));
        }
        let fields = Item::only(bytes)?.items(HEADER_FIELDS)?;
        let [parent, uncles, author, state, transactions, receipts, bloom, _, number, _, _, time, _, mix, nonce, ..] =
            fields.as_slice()
        else {
            return Err(Error::new(Code::Malformed, "not a header"));
        };
        for hash in [parent, uncles, transactions, receipts, mix] {
            hash.exactly::<32>()?;
        }
        author.exactly::<20>()?;
        bloom.exactly::<256>()?;
        nonce.exactly::<8>()?;
        Ok(Self {
            hash: keccak256(&[bytes]),
            state_root: state.exactly()?,
            number: number.integer()?,
            time: time.integer()?,
        })
    }
}

/// The evidence, and what it is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// A block's header.
    pub header: &'a [u8],
    /// Nodes from the block's state to the contract's account.
    pub account_proof: &'a [&'a [u8]],
    /// Nodes from the contract's storage to the slot.
    pub storage_proof: &'a [&'a [u8]],
    /// The registry.
    pub contract: &'a Address,
    /// Keccak-256 of the code that makes a contract the registry.
    pub code_hash: &'a Hash,
    /// The account that anchored.
    pub publisher: &'a Address,
    /// SHA-256 of the log's origin.
    pub log_id: &'a Hash,
    /// SHA-256 of the checkpoint's text.
    pub digest: &'a Hash,
}

impl Evidence<'_> {
    /// That the registry held this checkpoint for this publisher and log when the block ended.
    ///
    /// The header is believed: whether its hash is one of the chain is for whoever asks.
    pub fn verify(&self) -> Result<Header, Error> {
        let header = Header::parse(self.header)?;
        let account = trie::value(&header.state_root, self.contract, self.account_proof)?;
        let account = Item::only(account)?.items(4)?;
        let [_nonce, _balance, storage, code] = account.as_slice() else {
            return Err(Error::new(Code::Malformed, "not an account"));
        };
        if code.exactly()? != *self.code_hash {
            return Err(Error::new(Code::ContractUnknown, "other code"));
        }
        let slot = checkpoint_slot(self.publisher, self.log_id);
        let value = trie::value(&storage.exactly()?, &slot, self.storage_proof)?;
        let held = Item::only(value)?.bytes()?;
        // A word is stored without its leading zeros.
        let zeros = self.digest.iter().take_while(|byte| **byte == 0).count();
        if self.digest.get(zeros..) != Some(held) {
            return Err(Error::new(Code::CheckpointMissing, "another checkpoint"));
        }
        Ok(header)
    }
}

/// Where the registry keeps the hash of a publisher's newest checkpoint of a log: the first word of
/// `heads[publisher][logId]`, `heads` being the contract's variable 0.
#[must_use]
pub fn checkpoint_slot(publisher: &Address, log_id: &Hash) -> Hash {
    let logs = keccak256(&[&[0; 12], publisher, &[0; 32]]);
    keccak256(&[log_id, &logs])
}
