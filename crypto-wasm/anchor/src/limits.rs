//! What bounds the library. Source: contracts/spec/anchors.md#bounds.

/// Bytes of a block's header: a bloom filter of 256 and some twenty short fields.
pub const HEADER_BYTES: usize = 1_536;
/// Fields of a block's header: 15 at first, one or two more with every second upgrade.
pub const HEADER_FIELDS: usize = 32;
/// Bytes of a trie's node: a branch has 16 hashes, 532 bytes.
pub const NODE_BYTES: usize = 1_536;
/// Nodes of a proof: a key has 64 digits.
pub const PROOF_NODES: usize = 64;

/// The largest number that is read: it stays exact in JavaScript.
pub const NUMBER: u64 = (1 << 53) - 1;

/// Bytes of a file of OpenTimestamps; two calendars' complete answers take 2,000.
pub const OTS_BYTES: usize = 24 * 1024;
/// Operations of a file. Each makes a message of at most [`OTS_MESSAGE`] bytes, so this bounds the work.
pub const OTS_OPERATIONS: usize = 4_096;
/// Operations from the file's digest to an attestation.
pub const OTS_DEPTH: usize = 256;
/// Attestations of a file.
pub const OTS_ATTESTATIONS: usize = 64;
/// Bytes of a message on the way, as the format has it.
pub const OTS_MESSAGE: usize = 4_096;
/// Bytes of what an attestation says, as the format has it.
pub const OTS_PAYLOAD: usize = 8_192;
/// Bytes of a calendar's address, as the format has it.
pub const OTS_URI: usize = 1_000;
/// Calendars that one file is submitted to.
pub const OTS_CALENDARS: usize = 8;
