//! The strict reader against a lax one of other hands, and the canonical form.

use talos_core::json::{self, Value};

/// The input is a text of JSON, or not.
pub fn run(data: &[u8]) {
    let lax: Result<serde_json::Value, _> = serde_json::from_slice(data);
    let value = match json::parse(data) {
        Ok(value) => value,
        Err(error) => {
            // Stricter only where the contract is: what else is refused, the other refuses too.
            let ours = ["JSON nested too deep", "a duplicate member name", "an integer beyond 2^53-1"];
            assert!(lax.is_err() || ours.contains(&error.detail), "{error}");
            return;
        }
    };
    let lax = lax.expect("what the strict reader takes, every reader takes");
    assert!(agree(&value, &lax), "{value:?} is not {lax:?}");
    assert_eq!(json::parse_signed(data).is_ok(), !value.has_float());

    let printed = json::print(&value);
    match json::parse(printed.as_bytes()) {
        Ok(again) => {
            assert!(agree(&again, &lax), "{again:?} is not {lax:?}");
            assert_eq!(json::print(&again), printed);
        }
        // RFC 8785 prints 2^53 and above without exponent up to 1e21, and such an integer literal is refused.
        Err(_) => assert!(has_large_float(&value), "{printed}"),
    }
    if let Some(text) = value.as_str() {
        assert_eq!(json::print_str(text), printed);
    }
}

/// Equal as JSON. An integer may be the canonical form of a float.
#[allow(clippy::cast_precision_loss, clippy::float_cmp)]
pub fn agree(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Lax;
    match (ours, theirs) {
        (Value::Null, Lax::Null) => true,
        (Value::Bool(ours), Lax::Bool(theirs)) => ours == theirs,
        (Value::Int(ours), Lax::Number(theirs)) => {
            theirs.as_i64() == Some(*ours) || theirs.as_f64() == Some(*ours as f64)
        }
        (Value::Float(ours), Lax::Number(theirs)) => theirs.as_f64() == Some(*ours),
        (Value::Str(ours), Lax::String(theirs)) => ours == theirs,
        (Value::Arr(ours), Lax::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agree(ours, theirs))
        }
        (Value::Obj(ours), Lax::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, own)| theirs.get(name).is_some_and(|other| agree(own, other)))
        }
        _ => false,
    }
}

fn has_large_float(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.abs() > 9_007_199_254_740_991.0 && number.abs() < 1e21,
        Value::Arr(items) => items.iter().any(has_large_float),
        Value::Obj(members) => members.iter().any(|(_, value)| has_large_float(value)),
        _ => false,
    }
}
