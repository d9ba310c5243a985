//! Outward MCP session ids: the upstream's id, sealed to whom it was given.
//!
//! Source: contracts/spec/session.md#mcp-session-ids.

use crate::contract::limits::{MCP_SESSION_LIFE_SECONDS, UPSTREAM_SESSION_BYTES};
use crate::json::{self, Fields, Value};
use crate::limits::MAX_SAFE_INTEGER;
use crate::seal::Keyring;
use crate::{Code, Error};

/// A session id lives at most this long, seconds.
pub const LIFE_SECONDS: u64 = MCP_SESSION_LIFE_SECONDS.unsigned_abs();

/// Whose session it is: all of it must be the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The leaf's `sub`.
    pub principal: &'a str,
    /// Thumbprint of the holder.
    pub jkt: &'a str,
    /// The MCP server.
    pub server: &'a str,
}

fn unknown(detail: &'static str) -> Error {
    Error::new(Code::McpSessionUnknown, detail)
}

/// Seal the upstream's session id to `owner`, until `exp` (seconds); `salt` is 32 fresh random bytes.
///
/// # Errors
/// `LIMIT_EXCEEDED` when `exp` is more than 24 h after `now_seconds`, or the upstream's id is empty, longer than 512 bytes
/// or not visible ASCII (it goes into a header).
pub fn seal(
    keyring: &Keyring,
    salt: &[u8; 32],
    owner: &Owner<'_>,
    upstream: &str,
    exp: u64,
    now_seconds: u64,
) -> Result<String, Error> {
    if exp > now_seconds.saturating_add(LIFE_SECONDS) {
        return Err(Error::limit("a session id that would live too long").at("exp"));
    }
    if !(1..=UPSTREAM_SESSION_BYTES).contains(&upstream.len()) || !upstream.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Error::limit("a session id that we do not carry").at("upstream"));
    }
    let plaintext = json::print(&Value::obj([
        ("v", Value::Int(1)),
        ("tenant", Value::str(owner.tenant)),
        ("principal", Value::str(owner.principal)),
        ("jkt", Value::str(owner.jkt)),
        ("server", Value::str(owner.server)),
        ("upstream", Value::str(upstream)),
        ("exp", Value::Int(i64::try_from(exp).unwrap_or(MAX_SAFE_INTEGER))),
    ]));
    keyring.seal(salt, plaintext.as_bytes())
}

/// The upstream's session id in `text`, if `owner` may use it now.
///
/// # Errors
/// `mcp.session_unknown`, whatever the reason: another owner's id looks like one that never was.
pub fn open(keyring: &Keyring, text: &str, owner: &Owner<'_>, now_seconds: u64) -> Result<String, Error> {
    let plaintext = keyring.open(text, now_seconds).map_err(|_| unknown("it does not open"))?;
    let (found, upstream, exp) = read(&plaintext).map_err(|_| unknown("it holds something else"))?;
    let found = Owner { tenant: &found[0], principal: &found[1], jkt: &found[2], server: &found[3] };
    if found != *owner {
        return Err(unknown("it is another's"));
    }
    if now_seconds >= exp {
        return Err(unknown("it is over"));
    }
    Ok(upstream)
}

fn read(plaintext: &[u8]) -> Result<([String; 4], String, u64), Error> {
    let value = json::parse_signed(plaintext)?;
    let mut fields = Fields::new(&value)?;
    fields.int("v", 1, 1)?;
    let mut owner = [const { String::new() }; 4];
    for (to, name) in owner.iter_mut().zip(["tenant", "principal", "jkt", "server"]) {
        fields.str(name)?.clone_into(to);
    }
    let upstream = fields.str("upstream")?.to_owned();
    let exp = fields.int("exp", 0, MAX_SAFE_INTEGER)?.unsigned_abs();
    fields.finish()?;
    Ok((owner, upstream, exp))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::seal::{Purpose, SealingKey, Status};

    const OWNER: Owner<'_> = Owner { tenant: "t", principal: "did:key:a", jkt: "thumb", server: "files" };

    fn ring() -> Keyring {
        let key = SealingKey { kid: "dev-m".into(), status: Status::Primary, key: Zeroizing::new([4; 32]) };
        Keyring::new(Purpose::Mcp, vec![key]).unwrap()
    }

    fn code(owner: &Owner<'_>, text: &str, now: u64) -> Code {
        open(&ring(), text, owner, now).unwrap_err().code
    }

    #[test]
    fn its_owner_gets_the_upstreams_id_until_it_ends() {
        let text = seal(&ring(), &[1; 32], &OWNER, "up-1", 200, 100).unwrap();
        assert_eq!(open(&ring(), &text, &OWNER, 199).unwrap(), "up-1");
        assert_eq!(code(&OWNER, &text, 200), Code::McpSessionUnknown);
    }

    #[test]
    fn anothers_id_looks_like_one_that_never_was() {
        let text = seal(&ring(), &[1; 32], &OWNER, "up-1", 200, 100).unwrap();
        for other in [
            Owner { tenant: "u", ..OWNER },
            Owner { principal: "did:key:b", ..OWNER },
            Owner { jkt: "other", ..OWNER },
            Owner { server: "mail", ..OWNER },
        ] {
            assert_eq!(code(&other, &text, 100), Code::McpSessionUnknown);
        }
        assert_eq!(code(&OWNER, "nothing", 100), Code::McpSessionUnknown);
        let foreign = ring().seal(&[1; 32], b"{}").unwrap();
        assert_eq!(code(&OWNER, &foreign, 100), Code::McpSessionUnknown);
    }

    #[test]
    fn what_we_do_not_carry_is_not_sealed() {
        let refused = |upstream: &str, exp| seal(&ring(), &[1; 32], &OWNER, upstream, exp, 100).unwrap_err().code;
        assert_eq!(refused("up", 100 + LIFE_SECONDS + 1), Code::LimitExceeded);
        for upstream in ["", "a b", "a\r\nx: y", "é", &"a".repeat(513)] {
            assert_eq!(refused(upstream, 200), Code::LimitExceeded, "{upstream}");
        }
    }
}
