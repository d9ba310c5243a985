//! The bounds that this crate keeps. Source: contracts/limits.json.

/// Bytes of a whole chain.
pub const CHAIN_BYTES: usize = 16_384;
/// Bytes of one link in compact form.
pub const LINK_BYTES: usize = 4_096;
/// Links of a chain.
pub const CHAIN_LINKS: usize = 8;
/// Delegations that a link may leave below it.
pub const DEPTH: i64 = 7;
/// Grants of a link.
pub const GRANTS: usize = 64;
/// Named arguments of a grant.
pub const GRANT_ARGS: usize = 16;
/// Atoms of one argument.
pub const ARG_ATOMS: usize = 4;
/// Values of one atom.
pub const ATOM_VALUES: usize = 256;
/// UTF-8 bytes of a string in an atom.
pub const ATOM_STRING_BYTES: usize = 1_024;
/// Actions that a grant names.
pub const GRANT_ACTIONS: usize = 16;
/// UTF-8 bytes of a path.
pub const PATH_BYTES: usize = 1_024;
/// Segments of a path.
pub const PATH_SEGMENTS: usize = 64;
/// Audiences of a link.
pub const AUD_ENTRIES: usize = 8;
/// Bytes of one audience.
pub const AUD_BYTES: usize = 448;
/// Bytes of a DID.
pub const DID_BYTES: usize = 256;
/// Seconds between `nbf` and `exp` of a link: 400 days.
pub const CAPABILITY_LIFE_SECONDS: i64 = 34_560_000;
/// Containers that may be open at once in a JSON text.
pub const JSON_DEPTH: usize = 32;
/// Largest integer of a JSON text: 2^53 − 1 (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
/// Bytes of a scope string.
pub const SCOPE_BYTES: usize = 4_608;
/// Bytes of a request body, and of the longest string that an atom can speak of.
pub const BODY_BYTES: i64 = 1_048_576;
/// The latest moment that a contract names, Unix seconds: the year 2100.
pub const MAX_SECONDS: i64 = 4_102_444_800;
/// Bytes of a tool's or prompt's name.
pub const TOOL_NAME_BYTES: usize = 128;
/// Bytes of a JSON-RPC id.
pub const MCP_REQUEST_ID_BYTES: usize = 256;
