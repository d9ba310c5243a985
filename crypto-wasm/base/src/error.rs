//! One error for the whole core, with a code that the contract names.

use core::fmt;
use core::ops::Deref;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A code of contracts/errors.json, or `OK`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, in the order of their declaration.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),+ }
            }
        }
    };
}

codes! {
    /// The request is allowed.
    Ok = "OK",
    /// No credential header.
    NoCapability = "NO_CAPABILITY",
    /// `now ≥ exp` at some link.
    Expired = "EXPIRED",
    /// `now < nbf` at some link.
    NotYetValid = "NOT_YET_VALID",
    /// A link, key or epoch of the chain is revoked.
    Revoked = "REVOKED",
    /// What is in force is too old for this class.
    RevocationStale = "REVOCATION_STALE",
    /// The signature of a link or artefact is wrong.
    SignatureInvalid = "SIGNATURE_INVALID",
    /// The proof of possession is wrong.
    ProofInvalid = "PROOF_INVALID",
    /// Nonce or sequence already used.
    Replay = "REPLAY",
    /// The tenant's audience is missing at some link.
    AudienceMismatch = "AUDIENCE_MISMATCH",
    /// The root's issuer is no anchor of the tenant.
    UntrustedIssuer = "UNTRUSTED_ISSUER",
    /// A link exceeds its parent or breaks the chain.
    DelegationInvalid = "DELEGATION_INVALID",
    /// No grant fits tool, action and resource.
    ScopeMismatch = "SCOPE_MISMATCH",
    /// No grant fits the arguments.
    ArgumentMismatch = "ARGUMENT_MISMATCH",
    /// No grant fits the tool's class.
    ClassMismatch = "CLASS_MISMATCH",
    /// The registry does not know the tool.
    UnknownTool = "UNKNOWN_TOOL",
    /// No role of the principal allows it.
    RoleDenied = "ROLE_DENIED",
    /// A rule forbids it.
    Forbidden = "FORBIDDEN",
    /// Bytes that are not what they claim to be.
    Malformed = "MALFORMED",
    /// More, deeper or longer than the contract allows.
    LimitExceeded = "LIMIT_EXCEEDED",
    /// A value that its contract refuses.
    ContractInvalid = "contract.invalid",
    /// A request that no surface can read.
    RequestMalformed = "request.malformed",
    /// The path names an unlisted tenant.
    TenantUnknown = "tenant.unknown",
    /// The path names a server that the snapshot does not list.
    ServerUnknown = "server.unknown",
    /// A session id that was not sealed for this principal.
    McpSessionUnknown = "mcp.session_unknown",
    /// Header and body of an MCP request disagree.
    McpHeaderMismatch = "mcp.header_mismatch",
    /// A head of another tenant, with a bad signature, or one number with two hashes.
    HeadInconsistent = "head.inconsistent",
    /// A head older than one already seen.
    HeadRolledBack = "head.rolled_back",
    /// A policy snapshot that cannot be put in force.
    PolicyInvalid = "policy.invalid",
    /// A policy snapshot with an unexpected number.
    PolicyVersionConflict = "policy.version_conflict",
    /// The signer of a revocation has no authority over what it names.
    RevocationNotAuthorized = "revocation.not_authorized",
    /// Too many live revocations under one root.
    RevocationLimit = "revocation.limit",
    /// One event id with two contents.
    AuditEventConflict = "audit.event_conflict",
    /// A page cursor that this log did not print.
    AuditCursorInvalid = "audit.cursor_invalid",
    /// Keys or configuration are missing.
    ConfigIncomplete = "config.incomplete",
    /// A defect of the core's caller.
    Internal = "internal",
}

/// A refusal. `field`, `link` and `grant` say where, as in contracts/spec/capability.md#decision; `detail` is for logs.
///
/// One pointer wide: it travels through every `?` of the crate, and refusing is rare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Refusal>);

/// What an [`Error`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What went wrong.
    pub code: Code,
    /// The member or header that is at fault.
    pub field: Option<String>,
    /// The index of the offending link, root first.
    pub link: Option<usize>,
    /// The index of the offending grant in its link.
    pub grant: Option<usize>,
    /// One phrase for logs. Never shown to a caller.
    pub detail: &'static str,
}

impl Deref for Error {
    type Target = Refusal;

    fn deref(&self) -> &Refusal {
        &self.0
    }
}

impl Error {
    /// An error with a code and a phrase for logs.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn new(code: Code, detail: &'static str) -> Self {
        Self(Box::new(Refusal { code, field: None, link: None, grant: None, detail }))
    }

    /// `MALFORMED` with a phrase for logs.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn malformed(detail: &'static str) -> Self {
        Self::new(Code::Malformed, detail)
    }

    /// `LIMIT_EXCEEDED` with a phrase for logs.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn limit(detail: &'static str) -> Self {
        Self::new(Code::LimitExceeded, detail)
    }

    /// Says which member is at fault.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        self.in_field(field.into())
    }

    #[cold]
    #[inline(never)]
    fn in_field(mut self, field: String) -> Self {
        self.0.field = Some(field);
        self
    }

    /// Says which link is at fault.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn in_link(mut self, index: usize) -> Self {
        self.0.link = Some(index);
        self
    }

    /// Says which grant is at fault.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn in_grant(mut self, index: usize) -> Self {
        self.0.grant = Some(index);
        self
    }

    /// The same place under another code, for callers whose contract names the failure differently.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn with_code(mut self, code: Code) -> Self {
        self.0.code = code;
        self
    }

    /// What it says, for whoever passes it on.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        *self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.as_str(), self.detail)?;
        if let Some(field) = &self.field {
            write!(out, " (field {field})")?;
        }
        if let Some(link) = self.link {
            write!(out, " (link {link})")?;
        }
        Ok(())
    }
}

impl core::error::Error for Error {}
