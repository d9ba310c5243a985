//! Canonical JSON, the long way: read by another reader, printed, compared.

use serde_json::Value;
use talos_bundle::limits::{DEPTH, SAFE_INTEGER};

/// Whether `text` is the canonical form of a value that may be signed.
pub fn is_canonical(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let mut printed = String::new();
    print(&value, 0, &mut printed).is_some() && printed == text
}

/// The canonical form of an object's members that are already strings.
pub fn object(members: &[(&str, Value)]) -> String {
    let object = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut printed = String::new();
    print(&Value::Object(object), 0, &mut printed).expect("members that may be signed");
    printed
}

fn print(value: &Value, open: usize, out: &mut String) -> Option<()> {
    let deeper = |open| (open < DEPTH).then_some(open + 1);
    match value {
        Value::Null => return None,
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs))?;
            (size <= SAFE_INTEGER).then(|| out.push_str(&number.to_string()))?;
        }
        Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            let open = deeper(open)?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                print(item, open, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let open = deeper(open)?;
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            out.push('{');
            for (at, (name, item)) in members.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                print(item, open, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}
