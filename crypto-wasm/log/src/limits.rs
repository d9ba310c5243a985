//! What bounds the library. Source: contracts/spec/log.md#bounds.

/// Hashes of a proof: a tree of at most 2^63 leaves is no deeper.
pub const PROOF_HASHES: usize = 64;
/// Bytes of a signed note; a cosignature of the post-quantum kind takes 3,300.
pub const NOTE_BYTES: usize = 64 * 1024;
/// Signatures of a note. C2SP demands at least 16.
pub const NOTE_SIGNATURES: usize = 64;
/// Bytes of a proof file: its note, its hashes, its extra data.
pub const PROOF_BYTES: usize = 128 * 1024;
/// Hashes of a proof that a witness is sent.
pub const SUBMISSION_HASHES: usize = 63;
/// Bytes of what a witness is sent: a note, and a line for each hash.
pub const SUBMISSION_BYTES: usize = NOTE_BYTES + 4 * 1024;
/// Bytes of a policy file.
pub const POLICY_BYTES: usize = 256 * 1024;
/// Logs, witnesses and groups of a policy, each. C2SP recommends at least 32.
pub const POLICY_ITEMS: usize = 64;
/// Bytes of a log's or key's name.
pub const NAME_BYTES: usize = 255;
/// Bytes of an entry: its length is written in 16 bits.
pub const ENTRY_BYTES: usize = 65_535;
/// The largest tree, exclusive: sizes stay exact in a JavaScript number.
pub const TREE_SIZE: u64 = 1 << 53;
