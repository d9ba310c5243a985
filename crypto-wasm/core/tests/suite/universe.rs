//! Containment against set inclusion, exhaustively over a small universe: sound everywhere, and exact in every cell of the
//! table that has a rule, so that no cell is stricter or laxer than the contract says.

use talos_core::contain::{contains, implies};
use talos_core::decide::{Args, Need, Resource, decide};
use talos_core::grant::{Atom, Class, Grant, Items, Scalar};
use talos_core::json::Value;
use talos_core::path::Pattern;

use crate::support::{grant, json};

const STRINGS: [&str; 9] = ["", "a", "b", "a/b", "a/b/c", "ab", "/a", "a//b", "/"];
const INTEGERS: std::ops::RangeInclusive<i64> = -1..=3;

/// Values of every type; among them whatever an atom of [`atoms`] can tell apart.
fn values() -> Vec<Value> {
    let mut values: Vec<Value> = STRINGS.into_iter().map(Value::str).collect();
    // Strings and integers that no atom names, and of every length that `maxlen` tells apart.
    values.extend(["zz", "z/z", "/z", "/a/zzz", "a/b/z", "ab/zzz", "abcd", "é", "abcdefghijklmnop"].map(Value::str));
    values.extend(INTEGERS.chain([99, -99]).map(Value::Int));
    values.extend(
        ["true", "false", "null", "1.5", "0.0", "{}", r#"["zz"]"#, "[99]", "[true]", r#"["a",1]"#, "[[]]", "[1.0]"]
            .map(json),
    );
    for mask in 0..8 {
        let strings = ["a", "b", "ab"].into_iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        values.push(Value::Arr(strings.map(|(_, text)| Value::str(text)).collect()));
        let integers = (0..3).filter(|bit| mask >> bit & 1 == 1);
        values.push(Value::Arr(integers.map(Value::Int).collect()));
    }
    values
}

fn subsets<T: Clone>(pool: &[T]) -> Vec<Vec<T>> {
    (1..1usize << pool.len())
        .map(|mask| {
            pool.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, item)| item.clone()).collect()
        })
        .collect()
}

fn strings(pool: &[&str]) -> Vec<Items> {
    let mut pool: Vec<String> = pool.iter().map(|text| (*text).to_owned()).collect();
    pool.sort_unstable();
    subsets(&pool).into_iter().map(Items::Strings).collect()
}

fn integers(pool: &[i64]) -> Vec<Items> {
    subsets(pool).into_iter().map(Items::Integers).collect()
}

fn atoms() -> Vec<Atom> {
    let mut atoms: Vec<Atom> = STRINGS.into_iter().map(|text| Atom::Eq(Scalar::Str(text.into()))).collect();
    atoms.extend(INTEGERS.map(|number| Atom::Eq(Scalar::Int(number))));
    atoms.extend([true, false].map(|truth| Atom::Eq(Scalar::Bool(truth))));
    let sets = || strings(&["", "a", "a/b", "a//b"]).into_iter().chain(integers(&[0, 1, 2]));
    atoms.extend(sets().map(Atom::In));
    atoms.extend(sets().map(Atom::NotIn));
    atoms.extend(INTEGERS.flat_map(|min| (min..=*INTEGERS.end()).map(move |max| Atom::Range { min, max })));
    atoms.push(Atom::Pat(Pattern::Any));
    for path in ["a", "a/b", "ab", "/a"] {
        atoms.push(Atom::Pat(Pattern::Prefix(path.into())));
        atoms.push(Atom::Pat(Pattern::Exact(path.into())));
    }
    atoms.push(Atom::Pat(Pattern::Prefix("/".into())));
    atoms.extend(strings(&["a", "b", "ab"]).into_iter().chain(integers(&[0, 1, 2])).map(Atom::Subset));
    atoms.extend([0, 1, 2, 3, 4].map(Atom::Maxlen));
    atoms
}

/// Whether the table has a rule for this pair, rather than `–`.
fn has_rule(child: &Atom, parent: &Atom) -> bool {
    match child.op() {
        "eq" | "in" => parent.op() != "subset",
        "range" => matches!(parent.op(), "eq" | "in" | "not_in" | "range"),
        "pat" => matches!(parent.op(), "eq" | "in" | "not_in" | "pat" | "maxlen"),
        own => own == parent.op(),
    }
}

#[test]
fn atoms_are_contained_exactly_when_their_values_are_and_the_table_has_a_rule() {
    let (atoms, values) = (atoms(), values());
    let members: Vec<Vec<bool>> =
        atoms.iter().map(|atom| values.iter().map(|value| atom.holds(value)).collect()).collect();
    let mut contained = 0;
    for (child, own) in atoms.iter().zip(&members) {
        assert!(own.contains(&true), "{child:?} holds of nothing, which proves nothing");
        for (parent, other) in atoms.iter().zip(&members) {
            let included = own.iter().zip(other).all(|(own, other)| !own || *other);
            assert_eq!(implies(child, parent), included && has_rule(child, parent), "{child:?} in {parent:?}");
            contained += usize::from(included);
        }
    }
    assert!(contained > 900, "{contained}");
}

/// Grants that differ in every member, with up to two atoms on one argument and up to two arguments.
fn grants() -> Vec<Grant> {
    let mut grants = Vec::new();
    let args = [
        "{}",
        r#"{"p":[{"op":"pat","type":"string","pattern":{"prefix":"a"}}]}"#,
        r#"{"p":[{"op":"maxlen","type":"string","bytes":3},{"op":"pat","type":"string","pattern":{"prefix":"a"}}]}"#,
        r#"{"p":[{"op":"eq","type":"string","value":"a/b"}]}"#,
        r#"{"p":[{"op":"maxlen","type":"string","bytes":3},{"op":"not_in","type":"string","values":["a","z"]}]}"#,
        r#"{"n":[{"op":"range","type":"integer","min":0,"max":1}]}"#,
        r#"{"n":[{"op":"in","type":"integer","values":[0,1,2]},{"op":"not_in","type":"integer","values":[2]}]}"#,
        r#"{"n":[{"op":"eq","type":"integer","value":1}],"p":[{"op":"maxlen","type":"string","bytes":3}]}"#,
    ];
    for args in args {
        for closed in [false, true] {
            grants.push(grant(&format!(r#"{{"args":{args},"closed":{closed}}}"#)));
        }
    }
    for classes in [r#"["read"]"#, r#"["read","write"]"#, r#"["write"]"#] {
        for actions in [r#""*""#, r#"["call"]"#, r#"["call","list"]"#, r#"["list"]"#] {
            for resource in [r#""any""#, r#"{"prefix":"a"}"#, r#"{"exact":"a"}"#, r#"{"exact":"a/b"}"#] {
                for tool in ["fs/read", "fs/write"] {
                    grants.push(grant(&format!(
                        r#"{{"tool":"{tool}","classes":{classes},"actions":{actions},"resource":{resource}}}"#
                    )));
                }
            }
        }
    }
    grants
}

#[test]
fn grants_are_contained_only_when_their_requests_are() {
    let arguments: Vec<Value> = [
        "{}",
        r#"{"p":"a"}"#,
        r#"{"p":"a/b"}"#,
        r#"{"p":"abcd"}"#,
        r#"{"p":1}"#,
        r#"{"p":"z"}"#,
        r#"{"n":0}"#,
        r#"{"n":1}"#,
        r#"{"n":2}"#,
        r#"{"n":"1"}"#,
        r#"{"n":1,"p":"a"}"#,
        r#"{"n":1,"p":"a/b"}"#,
        r#"{"p":"a/b","q":1}"#,
        r#"{"n":1,"p":"ab","q":null}"#,
        r#"{"q":1}"#,
        r#"{"n":1,"q":1}"#,
    ]
    .map(json)
    .into();
    let mut needs = Vec::new();
    for tool in ["fs/read", "fs/write", "fs/other"] {
        for class in [Class::Read, Class::Write, Class::Pay] {
            for action in ["call", "list", "other"] {
                for resource in
                    [Resource::None, Resource::Bad, Resource::Path("a"), Resource::Path("a/b"), Resource::Path("ab")]
                {
                    for args in &arguments {
                        needs.push(Need { tool, class, action, resource, args: Args::new(args.as_obj().unwrap()) });
                    }
                }
            }
        }
    }
    let grants = grants();
    let allowed: Vec<Vec<bool>> = grants
        .iter()
        .map(|grant| needs.iter().map(|need| decide(std::slice::from_ref(grant), need).is_ok()).collect())
        .collect();
    let mut accepted = 0;
    for (child, own) in grants.iter().zip(&allowed) {
        assert!(
            contains(std::slice::from_ref(child), std::slice::from_ref(child)).is_ok(),
            "{child:?} contains itself"
        );
        for (parent, other) in grants.iter().zip(&allowed) {
            if contains(std::slice::from_ref(parent), std::slice::from_ref(child)).is_ok() {
                accepted += 1;
                let widened = own.iter().zip(other).position(|(own, other)| *own && !other);
                assert!(widened.is_none(), "{child:?} in {parent:?} allows more: {:?}", needs[widened.unwrap_or(0)]);
            }
        }
    }
    assert!(accepted > 2 * grants.len(), "{accepted} of {} pairs", grants.len() * grants.len());
}
