//! Sealing: texts that only the gateway can read and that nobody can change.
//!
//! Every text has its own key, derived from a keyset key and 32 random bytes, so the nonce can be constant.
//!
//! Source: contracts/spec/session.md#sealing, contracts/spec/keys.md, RFC 8439, RFC 5869.

use core::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::contract::limits::{KEYSET_KEYS, KID_BYTES, MCP_SESSION_BYTES, TICKET_BYTES};
use crate::{Code, Error, b64};

/// Version of the form.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// What a keyring seals. A text sealed for one purpose does not open under another, even with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Tickets of sessions.
    Ticket,
    /// Outward MCP session ids.
    Mcp,
}

impl Purpose {
    /// The purpose called `name` in a keyset.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ticket" => Some(Self::Ticket),
            "mcp" => Some(Self::Mcp),
            _ => None,
        }
    }

    const fn info(self) -> &'static [u8] {
        match self {
            Self::Ticket => b"talos-ticket-1",
            Self::Mcp => b"talos-mcp-1",
        }
    }

    /// Characters of a sealed text at the most.
    const fn most_characters(self) -> usize {
        match self {
            Self::Ticket => TICKET_BYTES,
            Self::Mcp => MCP_SESSION_BYTES,
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Opens, never seals: it was handed out, but perhaps not everywhere yet.
    Staged,
    /// Opens and seals.
    Primary,
    /// Opens until `not_after`, seconds.
    Accept {
        /// From this moment on it opens nothing; `None` when the keyset sets no end.
        not_after: Option<u64>,
    },
}

/// One key of a keyring. Its bytes are wiped when it is dropped and never printed.
pub struct SealingKey {
    /// Its id, which travels in the clear.
    pub kid: String,
    /// What it may do.
    pub status: Status,
    /// The 32 secret bytes.
    pub key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SealingKey")
    }
}

/// The keys of one purpose.
pub struct Keyring {
    purpose: Purpose,
    keys: Vec<SealingKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Keyring")
    }
}

fn incomplete(detail: &'static str, field: &str) -> Error {
    Error::new(Code::ConfigIncomplete, detail).at(field)
}

impl Keyring {
    /// A keyring of `keys`.
    ///
    /// # Errors
    /// `config.incomplete` unless there is exactly one primary, at most eight keys, every key id is `[a-z0-9-]{1,64}`, and
    /// no two keys share an id or bytes.
    pub fn new(purpose: Purpose, keys: Vec<SealingKey>) -> Result<Self, Error> {
        if keys.len() > KEYSET_KEYS {
            return Err(incomplete("too many keys", "keys"));
        }
        if keys.iter().filter(|key| key.status == Status::Primary).count() != 1 {
            return Err(incomplete("not exactly one primary key", "status"));
        }
        for (at, key) in keys.iter().enumerate() {
            let plain = key.kid.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            if !plain || key.kid.is_empty() || key.kid.len() > KID_BYTES {
                return Err(incomplete("a bad key id", "kid"));
            }
            if keys.iter().take(at).any(|other| other.kid == key.kid) {
                return Err(incomplete("two keys with one id", "kid"));
            }
            if keys.iter().take(at).any(|other| *other.key == *key.key) {
                return Err(incomplete("two keys with the same bytes", "key"));
            }
        }
        Ok(Self { purpose, keys })
    }

    /// What the keyring seals.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Seal `plaintext` under the primary key.
    ///
    /// `salt`: 32 fresh random bytes. The same salt twice would use one key and nonce for two texts.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when the text would be longer than its purpose allows.
    pub fn seal(&self, salt: &[u8; SALT_BYTES], plaintext: &[u8]) -> Result<String, Error> {
        let primary = self.keys.iter().find(|key| key.status == Status::Primary);
        let primary = primary.ok_or_else(|| incomplete("no primary key", "status"))?;
        let kid_len = u8::try_from(primary.kid.len()).map_err(|_| incomplete("a bad key id", "kid"))?;
        let mut sealed = vec![VERSION, kid_len];
        sealed.extend_from_slice(primary.kid.as_bytes());
        sealed.extend_from_slice(salt);
        let ciphertext = cipher(self.purpose, &primary.key, salt)?
            .encrypt(&Nonce::default(), Payload { msg: plaintext, aad: &sealed })
            .map_err(|_| Error::limit("a plaintext that is too long"))?;
        sealed.extend_from_slice(&ciphertext);
        let text = b64::encode(&sealed);
        if text.len() > self.purpose.most_characters() {
            return Err(Error::limit("a sealed text that is too long"));
        }
        Ok(text)
    }

    /// Open `text`: the plaintext, wiped when it is dropped.
    ///
    /// # Errors
    /// `MALFORMED` for everything that does not open: no key of that id, one whose time is over, any changed bit.
    pub fn open(&self, text: &str, now_seconds: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bad = || Error::malformed("a text that does not open");
        if text.len() > self.purpose.most_characters() {
            return Err(bad());
        }
        let bytes = b64::decode(text).map_err(|_| bad())?;
        let (&[version, kid_len], rest) = bytes.split_first_chunk::<2>().ok_or_else(bad)?;
        let (kid, rest) = rest.split_at_checked(usize::from(kid_len)).ok_or_else(bad)?;
        let (salt, ciphertext) = rest.split_first_chunk::<SALT_BYTES>().ok_or_else(bad)?;
        if version != VERSION || ciphertext.len() < TAG_BYTES {
            return Err(bad());
        }
        let key = self.keys.iter().find(|key| key.kid.as_bytes() == kid).ok_or_else(bad)?;
        if let Status::Accept { not_after: Some(end) } = key.status
            && now_seconds >= end
        {
            return Err(bad());
        }
        let (aad, _) = bytes.split_at_checked(bytes.len() - ciphertext.len()).ok_or_else(bad)?;
        cipher(self.purpose, &key.key, salt)?
            .decrypt(&Nonce::default(), Payload { msg: ciphertext, aad })
            .map(Zeroizing::new)
            .map_err(|_| bad())
    }
}

/// The cipher of one text. chacha20poly1305 wipes its key when dropped.
fn cipher(purpose: Purpose, key: &[u8; 32], salt: &[u8; SALT_BYTES]) -> Result<ChaCha20Poly1305, Error> {
    let mut own = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(purpose.info(), own.as_mut_slice())
        .map_err(|_| Error::new(Code::Internal, "HKDF gives 32 bytes"))?;
    Ok(ChaCha20Poly1305::new(&Key::from(*own)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: [u8; 32] = [9; 32];

    fn key(kid: &str, byte: u8, status: Status) -> SealingKey {
        SealingKey { kid: kid.into(), status, key: Zeroizing::new([byte; 32]) }
    }

    fn ring(purpose: Purpose, keys: Vec<SealingKey>) -> Keyring {
        Keyring::new(purpose, keys).unwrap()
    }

    fn primary(kid: &str, byte: u8) -> Keyring {
        ring(Purpose::Ticket, vec![key(kid, byte, Status::Primary)])
    }

    #[test]
    fn any_flipped_bit_fails() {
        let ring = primary("dev-1", 1);
        let text = ring.seal(&SALT, b"a secret").unwrap();
        assert_eq!(ring.open(&text, 0).unwrap().as_slice(), b"a secret");
        let bytes = b64::decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ring.open(&b64::encode(&changed), 0).unwrap_err().code, Code::Malformed, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(ring.open(&b64::encode(&bytes[..length]), 0).is_err(), "{length} bytes");
        }
        assert!(ring.open(&format!("{text}AA"), 0).is_err());
    }

    #[test]
    fn the_form_is_the_one_of_the_page() {
        let text = primary("dev-1", 1).seal(&SALT, b"").unwrap();
        let bytes = b64::decode(&text).unwrap();
        assert_eq!(bytes[..7], *b"\x01\x05dev-1");
        assert_eq!(bytes[7..39], SALT);
        assert_eq!(bytes.len(), 39 + TAG_BYTES);
    }

    #[test]
    fn staged_primary_and_accepted_keys_open_and_only_the_primary_seals() {
        let old = primary("old", 1).seal(&SALT, b"old").unwrap();
        let next = primary("next", 3).seal(&SALT, b"next").unwrap();
        let now = ring(
            Purpose::Ticket,
            vec![
                key("next", 3, Status::Staged),
                key("now", 2, Status::Primary),
                key("old", 1, Status::Accept { not_after: Some(100) }),
            ],
        );
        assert_eq!(now.open(&next, 99).unwrap().as_slice(), b"next");
        assert_eq!(now.open(&old, 99).unwrap().as_slice(), b"old");
        assert_eq!(now.open(&old, 100).unwrap_err().code, Code::Malformed);
        let sealed = now.seal(&SALT, b"now").unwrap();
        assert_eq!(primary("now", 2).open(&sealed, 0).unwrap().as_slice(), b"now");
    }

    #[test]
    fn an_unknown_key_id_another_key_and_another_purpose_do_not_open() {
        let text = primary("a", 1).seal(&SALT, b"x").unwrap();
        assert_eq!(primary("b", 1).open(&text, 0).unwrap_err().code, Code::Malformed);
        assert_eq!(primary("a", 2).open(&text, 0).unwrap_err().code, Code::Malformed);
        let mcp = ring(Purpose::Mcp, vec![key("a", 1, Status::Primary)]);
        assert_eq!(mcp.open(&text, 0).unwrap_err().code, Code::Malformed);
    }

    #[test]
    fn a_keyring_that_is_not_whole_is_refused() {
        let refused = |keys: Vec<SealingKey>| {
            let error = Keyring::new(Purpose::Ticket, keys).unwrap_err();
            assert_eq!(error.code, Code::ConfigIncomplete);
            error.field.clone().unwrap()
        };
        assert_eq!(refused(vec![]), "status");
        assert_eq!(refused(vec![key("a", 1, Status::Staged)]), "status");
        assert_eq!(refused(vec![key("a", 1, Status::Primary), key("b", 2, Status::Primary)]), "status");
        assert_eq!(refused(vec![key("a", 1, Status::Primary), key("a", 2, Status::Staged)]), "kid");
        assert_eq!(refused(vec![key("a", 1, Status::Primary), key("b", 1, Status::Staged)]), "key");
        for kid in ["", "A", "a_b", &"a".repeat(65)] {
            assert_eq!(refused(vec![key(kid, 1, Status::Primary)]), "kid", "{kid}");
        }
        let mut many: Vec<_> = (0..8).map(|n| key(&format!("k{n}"), n, Status::Staged)).collect();
        many.push(key("p", 100, Status::Primary));
        assert_eq!(refused(many), "keys");
    }

    #[test]
    fn a_text_beyond_its_bound_is_neither_sealed_nor_opened() {
        let ring = primary("a", 1);
        assert_eq!(ring.seal(&SALT, &[0; 12_288]).unwrap_err().code, Code::LimitExceeded);
        assert_eq!(ring.open(&"A".repeat(12_289), 0).unwrap_err().code, Code::Malformed);
    }

    #[test]
    fn what_is_authentic_is_still_held_to_version_and_length() {
        let ring = primary("a", 1);
        let sealed = |version: u8, plaintext: &[u8]| {
            let mut bytes = vec![version, 1, b'a'];
            bytes.extend_from_slice(&SALT);
            let cipher = cipher(Purpose::Ticket, &[1; 32], &SALT).unwrap();
            let ciphertext = cipher.encrypt(&Nonce::default(), Payload { msg: plaintext, aad: &bytes }).unwrap();
            bytes.extend_from_slice(&ciphertext);
            b64::encode(&bytes)
        };
        assert_eq!(ring.open(&sealed(VERSION, b"x"), 0).unwrap().as_slice(), b"x");
        assert_eq!(ring.open(&sealed(VERSION + 1, b"x"), 0).unwrap_err().code, Code::Malformed);
        assert_eq!(ring.open(&sealed(VERSION, &[0; TICKET_BYTES]), 0).unwrap_err().code, Code::Malformed);
    }

    #[test]
    fn secrets_are_not_printed() {
        let ring = primary("a", 0x41);
        assert_eq!(format!("{ring:?}"), "Keyring");
        assert_eq!(format!("{:?}", ring.keys), "[SealingKey]");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(plaintext in prop::collection::vec(any::<u8>(), 0..2_000), salt: [u8; 32]) {
            let ring = primary("a", 1);
            let text = ring.seal(&salt, &plaintext).unwrap();
            let opened = ring.open(&text, 0).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        }

        #[test]
        fn no_text_panics(bytes: Vec<u8>, text in any::<String>()) {
            let ring = primary("a", 1);
            prop_assert!(ring.open(&text, 0).is_err());
            prop_assert!(ring.open(&b64::encode(&bytes), 0).is_err());
        }
    }
}
