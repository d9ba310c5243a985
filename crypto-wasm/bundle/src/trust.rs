//! What a caller takes for true about chains, as lines.
//!
//! `code <hex>`, `easiest <decimal>`, `block <chain> <number> <hex>`, `registry <chain> <hex> <hex>`, `header <height> <hex>`,
//! `require evm|ots`. Written by `crypto-wasm/bundle.ts` alone.

use alloc::vec::Vec;

use talos_anchor::Hash;
use talos_anchor::evm::Address;
use talos_log::text::decimal;

/// What is known of chains, and what is demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Keccak-256 of the registry's code.
    pub code: Hash,
    /// The easiest target of a Bitcoin header.
    pub easiest: u32,
    /// Blocks of EVM chains.
    pub blocks: Vec<Block>,
    /// Registries that may anchor; any where there is none.
    pub registries: Vec<Registry>,
    /// Bitcoin headers by height.
    pub headers: Vec<(u64, Vec<u8>)>,
    /// An EVM anchor must be verified.
    pub evm: bool,
    /// An OpenTimestamps anchor must be verified.
    pub ots: bool,
}

/// A block that the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// EIP-155.
    pub chain_id: u64,
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A registry with a publisher that the caller trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// EIP-155.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// Who anchors.
    pub publisher: Address,
}

impl Trust {
    /// What the lines say, or none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut trust = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["code", hash] => trust.code = hex(hash)?.try_into().ok()?,
                ["easiest", bits] => trust.easiest = u32::try_from(decimal(bits)?).ok()?,
                ["block", chain, number, hash] => trust.blocks.push(Block {
                    chain_id: decimal(chain)?,
                    number: decimal(number)?,
                    hash: hex(hash)?.try_into().ok()?,
                }),
                ["registry", chain, contract, publisher] => trust.registries.push(Registry {
                    chain_id: decimal(chain)?,
                    contract: hex(contract)?.try_into().ok()?,
                    publisher: hex(publisher)?.try_into().ok()?,
                }),
                ["header", height, header] => trust.headers.push((decimal(height)?, hex(header)?)),
                ["require", "evm"] => trust.evm = true,
                ["require", "ots"] => trust.ots = true,
                _ => return None,
            }
        }
        Some(trust)
    }
}

/// The bytes of lower-case hex.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}
