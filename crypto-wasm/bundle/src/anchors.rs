//! The anchors of a bundle: each must show the meta-log's checkpoint, and is verified only by a block that the caller knows.
//!
//! Source: contracts/spec/log.md#proof-bundle, contracts/spec/anchors.md.

use alloc::string::String;
use alloc::vec::Vec;

use talos_anchor::Hash;
use talos_anchor::bitcoin::Header;
use talos_anchor::evm::{Address, Evidence};
use talos_anchor::ots::{Claim, File};

use crate::bundle::{Anchor, Evm};
use crate::trust::Trust;
use crate::verify::{Placed, anchored_digest, log_id};
use crate::{Error, Step};

/// What one anchor, or one attestation of it, shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The registry held the checkpoint when this block ended.
    Evm {
        /// Whether the caller knows the block.
        verified: bool,
        /// As the anchor says.
        chain_id: u64,
        /// The registry.
        contract: Address,
        /// Who anchored.
        publisher: Address,
        /// Of the block.
        number: u64,
        /// Of the block.
        hash: Hash,
        /// Of the block, seconds.
        time: u64,
    },
    /// The checkpoint was there before a Bitcoin block of this height.
    Bitcoin {
        /// As the file says.
        height: u64,
        /// The block's hash and time (seconds), where the caller knows the block.
        block: Option<(Hash, u32)>,
    },
    /// A calendar promises an attestation.
    Pending(String),
}

/// Check the anchors of the meta-log's checkpoint.
///
/// # Errors
/// `bundle.anchor_invalid`; `bundle.anchor_missing` when a kind is demanded of which none is verified.
pub fn check(meta: Option<&Placed<'_>>, anchors: &[Anchor], trust: &Trust) -> Result<Vec<Shown>, Error> {
    let mut shown = Vec::new();
    if let Some(meta) = meta {
        let digest = anchored_digest(meta);
        for anchor in anchors {
            match anchor {
                Anchor::Evm(evm) => shown.push(check_evm(evm, &log_id(meta), &digest, trust)?),
                Anchor::Ots(file) => check_ots(file, &digest, trust, &mut shown)?,
            }
        }
    }
    let evm = shown.iter().any(|shown| matches!(shown, Shown::Evm { verified: true, .. }));
    let ots = shown.iter().any(|shown| matches!(shown, Shown::Bitcoin { block: Some(_), .. }));
    if (trust.evm && !evm) || (trust.ots && !ots) {
        return Err(Error::new(Step::AnchorMissing, "a demanded anchor is not there, or its block is not known"));
    }
    Ok(shown)
}

fn check_evm(anchor: &Evm, log_id: &Hash, digest: &Hash, trust: &Trust) -> Result<Shown, Error> {
    let Evm { chain_id, contract, publisher, header, account_proof, storage_proof } = anchor;
    let account_proof: Vec<&[u8]> = account_proof.iter().map(Vec::as_slice).collect();
    let storage_proof: Vec<&[u8]> = storage_proof.iter().map(Vec::as_slice).collect();
    let evidence = Evidence {
        header,
        account_proof: &account_proof,
        storage_proof: &storage_proof,
        contract,
        code_hash: &trust.code,
        publisher,
        log_id,
        digest,
    };
    let block = evidence.verify().map_err(Error::anchor)?;
    let listed = |known: &crate::trust::Registry| {
        known.chain_id == *chain_id && known.contract == *contract && known.publisher == *publisher
    };
    if !trust.registries.is_empty() && !trust.registries.iter().any(listed) {
        return Err(Error::new(Step::Anchor, "a registry or a publisher that is not trusted"));
    }
    let mut there = trust.blocks.iter().filter(|known| known.chain_id == *chain_id && known.number == block.number);
    let known = there.clone().next().is_some();
    let verified = there.any(|known| known.hash == block.hash);
    if known && !verified {
        return Err(Error::new(Step::Anchor, "another block than the chain has at this number"));
    }
    Ok(Shown::Evm {
        verified,
        chain_id: *chain_id,
        contract: *contract,
        publisher: *publisher,
        number: block.number,
        hash: block.hash,
        time: block.time,
    })
}

fn check_ots(file: &[u8], digest: &Hash, trust: &Trust, shown: &mut Vec<Shown>) -> Result<(), Error> {
    let file = File::read(file).map_err(Error::anchor)?;
    if file.digest != *digest {
        return Err(Error::new(Step::Anchor, "a file of another checkpoint"));
    }
    for made in file.attestations {
        match made.claim {
            Claim::Bitcoin { height, merkle_root } => {
                let mut block = None;
                for (_, header) in trust.headers.iter().filter(|(at, _)| *at == height) {
                    let header = Header::parse(header, trust.easiest).map_err(Error::anchor)?;
                    if header.merkle_root != merkle_root {
                        return Err(Error::new(Step::Anchor, "another block than the chain has at this height"));
                    }
                    block = Some((header.hash, header.time));
                }
                shown.push(Shown::Bitcoin { height, block });
            }
            Claim::Pending { uri } => shown.push(Shown::Pending(uri)),
            Claim::Unknown { .. } => {}
        }
    }
    Ok(())
}
