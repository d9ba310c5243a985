use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use talos_core::chain::Chain;
use talos_core::contain::contains;
use talos_core::decide::decide;
use talos_core::grant::Grant;
use talos_core::json::{self, Value};
use talos_core::{b64, did, jws, path, scope};

use crate::generate::{Source, grant, grants, narrower, request};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn what_a_contained_child_allows_its_parent_allows() {
    let (pairs, contained, allowed) = (Cell::new(0u32), Cell::new(0u32), Cell::new(0u32));
    let outcome = runner(20_000).run(&any::<u64>(), |seed| {
        let mut source = Source::new(seed);
        let parent = grants(&mut source);
        // Mostly narrowed, some unrelated: what is refused by mistake must not hide what is accepted by mistake.
        let child = if source.chance(90) { narrower(&mut source, &parent) } else { grants(&mut source) };
        pairs.set(pairs.get() + 1);
        if contains(&parent, &child).is_err() {
            return Ok(());
        }
        contained.set(contained.get() + 1);
        for _ in 0..20 {
            let request = request(&mut source, &child);
            let need = request.need();
            if decide(&child, &need).is_ok() {
                allowed.set(allowed.get() + 1);
                prop_assert!(decide(&parent, &need).is_ok(), "{parent:#?} contains {child:#?}, and yet {request:?}");
            }
        }
        Ok(())
    });
    outcome.unwrap();
    println!(
        "{} pairs, {} contained, {} requests allowed by a contained child",
        pairs.get(),
        contained.get(),
        allowed.get()
    );
    assert!(pairs.get() >= 10_000 && contained.get() >= 4_000 && allowed.get() >= 20_000);
}

#[test]
fn a_contained_pair_stays_contained_when_a_third_contains_the_parent() {
    let seen = Cell::new(0u32);
    runner(10_000)
        .run(&any::<u64>(), |seed| {
            let mut source = Source::new(seed);
            let top = grants(&mut source);
            let middle = narrower(&mut source, &top);
            let bottom = narrower(&mut source, &middle);
            prop_assert!(contains(&top, &top).is_ok());
            if contains(&top, &middle).is_ok() && contains(&middle, &bottom).is_ok() {
                seen.set(seen.get() + 1);
                // Sound by inclusion; structurally too, so that no order of narrowing is refused that another allows.
                for _ in 0..10 {
                    let request = request(&mut source, &bottom);
                    let need = request.need();
                    prop_assert!(decide(&bottom, &need).is_err() || decide(&top, &need).is_ok());
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.get() >= 1_000, "{}", seen.get());
}

#[test]
fn a_grant_is_read_as_it_is_printed() {
    runner(5_000)
        .run(&any::<u64>(), |seed| {
            let grant = grant(&mut Source::new(seed));
            let text = json::print(&grant.value());
            let value = json::parse(text.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(Grant::parse(&value), Ok(grant));
            Ok(())
        })
        .unwrap();
}

#[test]
fn scope_strings_and_grants_are_one_to_one() {
    let seen = Cell::new(0u32);
    runner(5_000)
        .run(&(any::<u64>(), "[ -~é😀/]{1,20}"), |(seed, text)| {
            let mut grant = grant(&mut Source::new(seed));
            grant.args.clear();
            if path::is_path(&text) {
                grant.resource = path::Pattern::Exact(text);
                seen.set(seen.get() + 1);
            }
            let printed = scope::print(&grant).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e); // RFC 6749 §3.3
            prop_assert!(printed.bytes().all(allowed), "{}", printed);
            prop_assert_eq!(scope::parse(&printed), Ok(grant));
            Ok(())
        })
        .unwrap();
    assert!(seen.get() > 200);
}

#[test]
fn whatever_reads_as_a_scope_is_printed_the_same() {
    let pieces = prop::sample::select(vec![
        "fs/read", "read", "write", "call", ":", ":", ":", "+", "*", "=", "^", "/a", "%20", "%C3%A9", "%2f", "closed",
        "%", "a", "~",
    ]);
    let seen = Cell::new(0u32);
    let scopes = (prop::collection::vec(pieces.clone(), 0..12), prop::collection::vec(pieces, 1..4), any::<bool>());
    runner(20_000)
        .run(&scopes, |(loose, tail, framed)| {
            let text = if framed { format!("fs/read:read:call:={}", tail.concat()) } else { loose.concat() };
            if let Ok(grant) = scope::parse(&text) {
                seen.set(seen.get() + 1);
                prop_assert_eq!(scope::print(&grant), Ok(text));
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.get() > 500, "{}", seen.get());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Str),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let members = prop::collection::btree_map(any::<String>(), inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::Arr),
            members.prop_map(|members| Value::Obj(members.into_iter().collect())),
        ]
    })
}

/// Equal as JSON: a float is equal to what its canonical form reads as.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Arr(left), Value::Arr(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Obj(left), Value::Obj(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.iter().any(|(other, own)| name == other && same(value, own)))
        }
        #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
        (Value::Float(left), Value::Int(right)) => *left == *right as f64,
        (left, right) => left == right,
    }
}

#[test]
fn the_canonical_form_reads_as_the_value_and_prints_as_itself() {
    runner(3_000)
        .run(&values(), |value| {
            let text = json::print(&value);
            match json::parse(text.as_bytes()) {
                Ok(read) => {
                    prop_assert!(same(&value, &read), "{:?} became {:?}", value, read);
                    prop_assert_eq!(json::print(&read), text);
                }
                // RFC 8785 prints 2^53 and above without exponent up to 1e21, and such an integer literal is refused.
                Err(_) => prop_assert!(has_large_float(&value), "{}", text),
            }
            Ok(())
        })
        .unwrap();
}

fn has_large_float(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.abs() > 9_007_199_254_740_991.0 && number.abs() < 1e21,
        Value::Arr(items) => items.iter().any(has_large_float),
        Value::Obj(members) => members.iter().any(|(_, value)| has_large_float(value)),
        _ => false,
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let soup = prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\u0e-.tfn19~Aa/%+*="#.to_vec())],
        0..200,
    );
    runner(20_000)
        .run(&soup, |bytes| {
            let value = json::parse(&bytes);
            if let Ok(value) = &value {
                let _ = (Grant::parse(value), talos_core::link::Link::parse(value), talos_core::jwk::parse(value));
                prop_assert!(!json::print(value).is_empty());
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ = (
                jws::parse(&text),
                Chain::parse(&text),
                did::key_of(&text),
                scope::parse(&text),
                path::from_uri(&text),
            );
            for method in ["did:key:z", "did:jwk:", "did:web:"] {
                let _ = did::key_of(&format!("{method}{text}"));
            }
            if let Ok(read) = b64::decode(&text) {
                prop_assert_eq!(b64::encode(&read), text);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_byte_string_has_its_text() {
    runner(2_000)
        .run(&prop::collection::vec(any::<u8>(), 0..100), |bytes| {
            prop_assert_eq!(b64::decode(&b64::encode(&bytes)), Ok(bytes));
            Ok(())
        })
        .unwrap();
}

#[test]
fn changed_bytes_of_a_link_are_refused_and_never_panic() {
    let text = crate::support::root(2, vec![crate::support::grant("{}")]);
    runner(3_000)
        .run(&(0..text.len(), any::<u8>()), |(at, byte)| {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] == byte {
                return Ok(());
            }
            bytes[at] = byte;
            let changed = String::from_utf8_lossy(&bytes);
            let verified = Chain::parse(&changed)
                .and_then(|chain| chain.verify(crate::support::AUD, crate::support::NOW_MS, &crate::support::trust()));
            prop_assert!(verified.is_err());
            Ok(())
        })
        .unwrap();
}
