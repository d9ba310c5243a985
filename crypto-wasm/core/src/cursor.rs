//! Page cursors of the record: base64url(`<unix ms>:<event id>`), in one spelling.
//!
//! Source: contracts/spec/audit.md#projection-and-cursors.

use crate::contract::limits::CURSOR_BYTES;
use crate::structured::parse_integer;
use crate::{Code, Error, b64, uuidv7};

/// The first digits of a time that a double can no longer carry.
const MAX_MS: u64 = 9_007_199_254_740_991;

/// A place in the record: strictly older events follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Milliseconds.
    pub ts_ms: u64,
    /// The last event of the page.
    pub event_id: String,
}

impl Cursor {
    /// The cursor's text.
    #[must_use]
    pub fn print(&self) -> String {
        b64::encode(format!("{}:{}", self.ts_ms, self.event_id).as_bytes())
    }

    /// A cursor from its text.
    ///
    /// # Errors
    /// `audit.cursor_invalid` for every text that [`Cursor::print`] does not give.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::new(Code::AuditCursorInvalid, "not a cursor");
        if text.len() > CURSOR_BYTES {
            return Err(bad());
        }
        let bytes = b64::decode(text).map_err(|_| bad())?;
        let plain = core::str::from_utf8(&bytes).map_err(|_| bad())?;
        let (time, event_id) = plain.split_once(':').ok_or_else(bad)?;
        let ts_ms = parse_integer(time).filter(|time| *time <= MAX_MS).ok_or_else(bad)?;
        if uuidv7::valid(event_id) { Ok(Self { ts_ms, event_id: event_id.to_owned() }) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0190a5e0-7c3a-7000-8000-000000000001";

    #[test]
    fn other_spellings_are_refused() {
        let refused = |plain: &str| {
            assert_eq!(Cursor::parse(&b64::encode(plain.as_bytes())).unwrap_err().code, Code::AuditCursorInvalid);
        };
        for time in ["", "01", "+1", "-1", "1.0", " 1", "9007199254740992"] {
            refused(&format!("{time}:{ID}"));
        }
        refused(&format!("1:{}", ID.to_uppercase()));
        refused(&format!("1:{ID} "));
        refused(&format!("1{ID}"));
        refused("1:");
        for text in ["", "=", "MTo", &format!("{}=", b64::encode(format!("1:{ID}").as_bytes())), &"A".repeat(81)] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_goes_round(ts_ms in 0..=MAX_MS) {
            let cursor = Cursor { ts_ms, event_id: ID.into() };
            prop_assert_eq!(Cursor::parse(&cursor.print()).unwrap(), cursor);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert!(Cursor::parse(&text).is_err());
        }
    }
}
