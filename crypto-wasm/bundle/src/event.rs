//! The event that a leaf is: canonical, of a known kind, and what its own hash says.
//!
//! Source: contracts/spec/audit.md#event.

use talos_log::hash;

use crate::json::{self, Value};
use crate::limits::EVENT_BYTES;
use crate::{Error, Step};

const SCHEMA_ID: &str = "talos.audit_event";

const fn invalid(detail: &'static str) -> Error {
    Error::new(Step::Event, detail)
}

/// Refuses a leaf that is no event, or whose `event_hash` is not that of its other members.
///
/// # Errors
/// `bundle.event_invalid`.
pub fn check(leaf: &str) -> Result<(), Error> {
    if leaf.len() > EVENT_BYTES {
        return Err(invalid("an event that is too long"));
    }
    let event = json::parse(leaf).ok_or(invalid("an event that is not canonical"))?;
    let text = |name: &str| event.get(name).and_then(Value::text);
    if text("schema_id") != Some(SCHEMA_ID) || !matches!(text("schema_version"), Some("v1" | "v2")) {
        return Err(invalid("not an audit event"));
    }
    let claimed = text("event_hash").ok_or(invalid("an event without its hash"))?;
    let members = event.members();
    let at = members.iter().position(|member| member.name == "event_hash");
    let at = at.ok_or(invalid("an event without its hash"))?;
    let member = members.get(at).ok_or(invalid("an event without its hash"))?;
    // Without the member there is one comma less: the one after it, or after the last member the one before it.
    let last = at + 1 == members.len();
    let (start, end) = if last { (member.start.saturating_sub(1), member.end) } else { (member.start, member.end + 1) };
    let parts = (leaf.as_bytes().get(..start), leaf.as_bytes().get(end..));
    let (Some(before), Some(after)) = parts else { return Err(invalid("an event without its hash")) };
    let mut hex = alloc::string::String::new();
    talos_log::text::push_hex(&mut hex, &hash::of(&[before, after]));
    if hex == claimed { Ok(()) } else { Err(invalid("an event that its hash does not name")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn sealed(members: &[&str], name: &str) -> String {
        let mut hex = String::new();
        talos_log::text::push_hex(&mut hex, &hash::of(&[format!("{{{}}}", members.join(",")).as_bytes()]));
        let hash = format!("\"{name}\":\"{hex}\"");
        let mut all: alloc::vec::Vec<&str> = members.to_vec();
        all.push(&hash);
        all.sort_unstable();
        format!("{{{}}}", all.join(","))
    }

    const ID: &str = r#""schema_id":"talos.audit_event""#;
    const V2: &str = r#""schema_version":"v2""#;

    #[test]
    fn the_hash_is_of_the_others_wherever_it_stands() {
        assert_eq!(check(&sealed(&[r#""a":1"#, ID, V2], "event_hash")), Ok(()));
        assert_eq!(check(&sealed(&[ID, V2], "event_hash")), Ok(()), "first");
        assert_eq!(check(&sealed(&[ID, r#""schema_version":"v1""#], "event_hash")), Ok(()));
    }

    #[test]
    fn every_bit_of_an_event_matters() {
        let event = sealed(&[r#""a":"x\ny""#, r#""n":[1,{"t":true}]"#, ID, V2], "event_hash").into_bytes();
        for at in 0..event.len() {
            for bit in 0..8 {
                let mut changed = event.clone();
                changed[at] ^= 1 << bit;
                assert!(!String::from_utf8(changed).is_ok_and(|text| check(&text).is_ok()), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let detail = |text: &str| check(text).unwrap_err().detail;
        assert_eq!(detail("{}"), "not an audit event");
        assert_eq!(detail("[]"), "not an audit event");
        assert_eq!(detail(&sealed(&[ID, r#""schema_version":"v3""#], "event_hash")), "not an audit event");
        assert_eq!(detail(&sealed(&[r#""schema_id":"talos.policy""#, V2], "event_hash")), "not an audit event");
        assert_eq!(detail(&sealed(&[ID, V2], "event_hasx")), "an event without its hash");
        assert_eq!(detail(&format!("{{{ID},{V2}}}")), "an event without its hash");
        assert_eq!(
            detail(&format!(r#"{{"event_hash":"{}",{ID},{V2}}}"#, "0".repeat(64))),
            "an event that its hash does not name"
        );
        assert_eq!(detail(&format!(r#"{{"a":null,{ID},{V2}}}"#)), "an event that is not canonical");
        assert_eq!(detail(&format!("{{{ID}, {V2}}}")), "an event that is not canonical");
        let long = sealed(&[&format!("\"a\":\"{}\"", "x".repeat(EVENT_BYTES)), ID, V2], "event_hash");
        assert_eq!(detail(&long), "an event that is too long");
    }
}
