//! What bounds a bundle; equal to contracts/limits.json (a test compares). Source: contracts/spec/log.md#proof-bundle.

/// Bytes of a bundle.
pub const BUNDLE_BYTES: usize = 524_288;
/// Anchors of a bundle.
pub const ANCHORS: usize = 8;
/// Characters of an OpenTimestamps file in base64.
pub const FILE_CHARS: usize = 32_768;
/// Characters of a header or a trie's node in base64.
pub const PIECE_CHARS: usize = 2_048;
/// Nodes of a trie's path.
pub const NODES: usize = 64;
/// Bytes of a leaf.
pub const EVENT_BYTES: usize = 16_384;
/// Containers that are open at once.
pub const DEPTH: usize = 32;
/// The largest integer that every reader of JSON reads alike.
pub const SAFE_INTEGER: u64 = (1 << 53) - 1;
