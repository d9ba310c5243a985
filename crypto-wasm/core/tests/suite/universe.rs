//! Containment against set inclusion, exhaustively over a small universe: sound everywhere, and exact in every cell of the
//! table that has a rule, so that no cell is stricter or laxer than the contract says.

use talos_core::contain::{contains, implies};
use talos_core::decide::{Args, Need, Resource, decide};
use talos_core::grant::{Actions, Atom, Class, Classes, Grant, Items, Scalar};
use talos_core::json::Value;
use talos_core::path::Pattern;

use crate::support::{atom, grant, json};

const STRINGS: [&str; 10] = ["", "a", "b", "a/b", "a/b/c", "ab", "/a", "a//b", "/", "é"];
const INTEGERS: std::ops::RangeInclusive<i64> = -1..=3;

/// Values of every type; among them whatever an atom of [`atoms`] can tell apart.
fn values() -> Vec<Value> {
    let mut values: Vec<Value> = STRINGS.into_iter().map(Value::str).collect();
    // Strings and integers that no atom names, and of every length that `maxlen` tells apart.
    values.extend(
        ["zz", "z/z", "/z", "/a/zzz", "a/b/z", "ab/zzz", "abcd", "éa", "é/zzz", "abcdefghijklmnop"].map(Value::str),
    );
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
    for path in ["a", "a/b", "ab", "/a", "é"] {
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
    println!("universe: {} pairs compared (atoms, {} values), {contained} included", atoms.len().pow(2), values.len());
    assert!(contained > 900, "{contained}");
}

/// A set of requests, one bit each.
type Bits = Vec<u64>;

fn bits(answers: impl Iterator<Item = bool>) -> Bits {
    let answers: Vec<bool> = answers.collect();
    let word = |chunk: &[bool]| chunk.iter().enumerate().fold(0, |word, (at, yes)| word | u64::from(*yes) << at);
    answers.chunks(64).map(word).collect()
}

fn included(small: &Bits, large: &Bits) -> bool {
    small.iter().zip(large).all(|(small, large)| small & !large == 0)
}

fn one_in_one(parent: &Grant, child: &Grant) -> bool {
    contains(std::slice::from_ref(parent), std::slice::from_ref(child)).is_ok()
}

/// Every combination of tool, classes, actions, resource and `closed`, without arguments.
fn scopes() -> Vec<Grant> {
    let classes = subsets(&[Class::Read, Class::Write, Class::Destructive, Class::Pay]);
    let mut actions: Vec<Actions> =
        subsets(&["call".to_owned(), "list".to_owned()]).into_iter().map(Actions::Set).collect();
    actions.push(Actions::Any);
    let mut resources = vec![Pattern::Any, Pattern::Prefix("/".into())];
    for path in ["a", "a/b", "ab", "/a"] {
        resources.push(Pattern::Prefix(path.into()));
        resources.push(Pattern::Exact(path.into()));
    }
    let mut grants = Vec::new();
    for tool in ["fs/read", "fs/write"] {
        for classes in &classes {
            for actions in &actions {
                for resource in &resources {
                    for closed in [false, true] {
                        grants.push(Grant {
                            tool: tool.into(),
                            classes: Classes::of(classes),
                            actions: actions.clone(),
                            resource: resource.clone(),
                            args: Vec::new(),
                            closed,
                        });
                    }
                }
            }
        }
    }
    grants
}

#[test]
fn grants_without_arguments_are_contained_exactly_when_their_requests_are() {
    let paths = ["a", "a/b", "a/b/c", "ab", "ab/z", "/a", "/a/b", "/z", "z"];
    let resources: Vec<Resource<'_>> =
        [Resource::None, Resource::Bad].into_iter().chain(paths.map(Resource::Path)).collect();
    let arguments = ["{}", r#"{"q":1}"#].map(json);
    let mut needs = Vec::new();
    for tool in ["fs/read", "fs/write", "fs/other"] {
        for class in Class::ALL {
            for action in ["call", "list", "other"] {
                for resource in &resources {
                    for args in &arguments {
                        let args = Args::new(args.as_obj().unwrap());
                        needs.push(Need { tool, class, action, resource: *resource, args });
                    }
                }
            }
        }
    }
    let grants = scopes();
    let allowed: Vec<Bits> = grants
        .iter()
        .map(|grant| bits(needs.iter().map(|need| decide(std::slice::from_ref(grant), need).is_ok())))
        .collect();
    let (mut pairs, mut accepted) = (0, 0);
    for (child, own) in grants.iter().zip(&allowed) {
        for (parent, other) in grants.iter().zip(&allowed) {
            let contained = one_in_one(parent, child);
            assert_eq!(contained, included(own, other), "{child:?} in {parent:?}");
            pairs += 1;
            accepted += usize::from(contained);
        }
    }
    println!(
        "universe: {pairs} pairs compared (grants without arguments, {} requests), {accepted} contained",
        needs.len()
    );
    assert!(pairs > 1_000_000 && accepted > 50_000, "{accepted} of {pairs}");
}

/// Atoms on one argument of every kind and type, few enough to be paired with each other.
fn few_atoms() -> Vec<Atom> {
    [
        r#"{"op":"eq","type":"string","value":"a/b"}"#,
        r#"{"op":"eq","type":"integer","value":1}"#,
        r#"{"op":"eq","type":"boolean","value":true}"#,
        r#"{"op":"in","type":"string","values":["a","a//b","a/b"]}"#,
        r#"{"op":"in","type":"integer","values":[0,1]}"#,
        r#"{"op":"maxlen","type":"string","bytes":1}"#,
        r#"{"op":"maxlen","type":"string","bytes":3}"#,
        r#"{"op":"not_in","type":"string","values":["a"]}"#,
        r#"{"op":"not_in","type":"string","values":["a","ab"]}"#,
        r#"{"op":"not_in","type":"integer","values":[1]}"#,
        r#"{"op":"pat","type":"string","pattern":"any"}"#,
        r#"{"op":"pat","type":"string","pattern":{"prefix":"a"}}"#,
        r#"{"op":"pat","type":"string","pattern":{"exact":"a/b"}}"#,
        r#"{"op":"range","type":"integer","min":0,"max":1}"#,
        r#"{"op":"range","type":"integer","min":1,"max":1}"#,
        r#"{"op":"subset","type":"list","of":"string","values":["a"]}"#,
        r#"{"op":"subset","type":"list","of":"string","values":["a","b"]}"#,
        r#"{"op":"subset","type":"list","of":"integer","values":[0,1]}"#,
    ]
    .map(atom)
    .into()
}

/// Nothing, one atom, or two of different kinds, in the order of the contract.
fn meets() -> Vec<Vec<Atom>> {
    let atoms = few_atoms();
    let mut meets: Vec<Vec<Atom>> = vec![Vec::new()];
    meets.extend(atoms.iter().map(|atom| vec![atom.clone()]));
    for first in &atoms {
        meets.extend(
            atoms.iter().filter(|second| first.op() < second.op()).map(|second| vec![first.clone(), second.clone()]),
        );
    }
    meets
}

fn with_args(args: &[(&str, &Vec<Atom>)], closed: bool) -> Grant {
    let named = args.iter().filter(|(_, atoms)| !atoms.is_empty());
    Grant { args: named.map(|(name, atoms)| ((*name).to_owned(), (*atoms).clone())).collect(), closed, ..grant("{}") }
}

fn needs_of(arguments: &[Value]) -> Vec<Need<'_>> {
    let args = arguments.iter().map(|args| Args::new(args.as_obj().unwrap()));
    args.map(|args| Need { tool: "fs/read", class: Class::Read, action: "call", resource: Resource::None, args })
        .collect()
}

/// Compares every pair of `grants` on every one of `needs`: sound everywhere, and exact where no argument has two atoms.
/// Gives the numbers of pairs, of contained ones, and of included ones (of children that allow anything) that are refused.
fn compare(grants: &[Grant], needs: &[Need<'_>]) -> (usize, usize, usize) {
    let allowed: Vec<Bits> = grants
        .iter()
        .map(|grant| bits(needs.iter().map(|need| decide(std::slice::from_ref(grant), need).is_ok())))
        .collect();
    let plain: Vec<bool> = grants.iter().map(|grant| grant.args.iter().all(|(_, atoms)| atoms.len() == 1)).collect();
    let (mut pairs, mut contained, mut refused) = (0, 0, 0);
    for (index, child) in grants.iter().enumerate() {
        for (other, parent) in grants.iter().enumerate() {
            let (is, should) = (one_in_one(parent, child), included(&allowed[index], &allowed[other]));
            assert!(!is || should, "{child:?} in {parent:?} allows more");
            if plain[index] && plain[other] {
                let ruled = parent
                    .args
                    .iter()
                    .all(|(name, atoms)| child.atoms(name).is_some_and(|own| has_rule(&own[0], &atoms[0])));
                assert_eq!(is, should && ruled, "{child:?} in {parent:?}");
            }
            pairs += 1;
            contained += usize::from(is);
            refused += usize::from(should && !is && allowed[index].iter().any(|word| *word != 0));
        }
    }
    (pairs, contained, refused)
}

#[test]
fn two_atoms_on_one_argument_are_contained_only_when_their_values_are() {
    let mut arguments = vec![json("{}"), json(r#"{"q":1}"#)];
    for value in values() {
        arguments.push(Value::obj([("p", value.clone())]));
        arguments.push(Value::obj([("p", value), ("q", Value::Null)]));
    }
    let grants: Vec<Grant> =
        meets().iter().flat_map(|meet| [false, true].map(|closed| with_args(&[("p", meet)], closed))).collect();
    let (pairs, contained, refused) = compare(&grants, &needs_of(&arguments));
    println!(
        "universe: {pairs} pairs compared (two atoms on one argument), {contained} contained, {refused} included and refused"
    );
    assert!(pairs > 80_000 && contained > 3_000, "{contained} of {pairs}");
}

#[test]
fn two_arguments_are_contained_only_when_their_values_are() {
    let pool = |texts: &[&str]| -> Vec<Vec<Atom>> {
        let atoms: Vec<Atom> = texts.iter().map(|text| atom(text)).collect();
        let pairs = vec![atoms[0].clone(), atoms[1].clone()];
        std::iter::once(Vec::new()).chain(atoms.into_iter().map(|atom| vec![atom])).chain([pairs]).collect()
    };
    let on_p = pool(&[
        r#"{"op":"maxlen","type":"string","bytes":3}"#,
        r#"{"op":"pat","type":"string","pattern":{"prefix":"a"}}"#,
        r#"{"op":"in","type":"string","values":["a","a/b"]}"#,
        r#"{"op":"eq","type":"string","value":"a/b"}"#,
    ]);
    let on_n = pool(&[
        r#"{"op":"not_in","type":"integer","values":[1]}"#,
        r#"{"op":"range","type":"integer","min":0,"max":2}"#,
        r#"{"op":"range","type":"integer","min":0,"max":0}"#,
        r#"{"op":"eq","type":"integer","value":1}"#,
    ]);
    let values = [
        None,
        Some("\"a\""),
        Some("\"a/b\""),
        Some("\"a/bcd\""),
        Some("\"z\""),
        Some("0"),
        Some("1"),
        Some("2"),
        Some("3"),
    ];
    let mut arguments = Vec::new();
    for p in values {
        for n in values {
            for q in [None, Some("null")] {
                let members = [("n", n), ("p", p), ("q", q)];
                arguments.push(Value::obj(members.into_iter().filter_map(|(name, text)| Some((name, json(text?))))));
            }
        }
    }
    let mut grants = Vec::new();
    for n in &on_n {
        for p in &on_p {
            grants.extend([false, true].map(|closed| with_args(&[("n", n), ("p", p)], closed)));
        }
    }
    let (pairs, contained, refused) = compare(&grants, &needs_of(&arguments));
    println!("universe: {pairs} pairs compared (two arguments), {contained} contained, {refused} included and refused");
    assert!(pairs > 5_000 && contained > 500, "{contained} of {pairs}");
}

#[test]
fn grants_that_differ_in_every_member_are_contained_only_when_their_requests_are() {
    let arguments = [
        "{}",
        r#"{"p":"a"}"#,
        r#"{"p":"a/b"}"#,
        r#"{"p":"a/bcd"}"#,
        r#"{"p":1}"#,
        r#"{"p":"a","q":1}"#,
        r#"{"p":"a/b","q":1}"#,
        r#"{"q":1}"#,
    ];
    let arguments = arguments.map(json);
    let mut needs = Vec::new();
    for tool in ["fs/read", "fs/write"] {
        for class in [Class::Read, Class::Write] {
            for action in ["call", "list", "other"] {
                for resource in [Resource::None, Resource::Path("a"), Resource::Path("a/b"), Resource::Path("z")] {
                    for args in &arguments {
                        needs.push(Need { tool, class, action, resource, args: Args::new(args.as_obj().unwrap()) });
                    }
                }
            }
        }
    }
    let args = [
        "{}",
        r#"{"p":[{"op":"pat","type":"string","pattern":{"prefix":"a"}}]}"#,
        r#"{"p":[{"op":"maxlen","type":"string","bytes":3},{"op":"pat","type":"string","pattern":{"prefix":"a"}}]}"#,
        r#"{"p":[{"op":"eq","type":"string","value":"a/b"}]}"#,
        r#"{"p":[{"op":"maxlen","type":"string","bytes":3},{"op":"not_in","type":"string","values":["a","z"]}]}"#,
    ];
    let mut grants = Vec::new();
    for tool in ["fs/read", "fs/write"] {
        for classes in [r#"["read"]"#, r#"["read","write"]"#] {
            for actions in [r#""*""#, r#"["call"]"#, r#"["call","list"]"#] {
                for resource in [r#""any""#, r#"{"prefix":"a"}"#, r#"{"exact":"a/b"}"#] {
                    for args in args {
                        for closed in [false, true] {
                            grants.push(grant(&format!(
                                r#"{{"tool":"{tool}","classes":{classes},"actions":{actions},"resource":{resource},"args":{args},"closed":{closed}}}"#
                            )));
                        }
                    }
                }
            }
        }
    }
    let (pairs, contained, refused) = compare(&grants, &needs);
    println!("universe: {pairs} pairs compared (every member), {contained} contained, {refused} included and refused");
    assert!(pairs > 100_000 && contained > 2_000, "{contained} of {pairs}");
}

#[test]
fn grants_together_contain_what_one_of_them_contains() {
    let pool: Vec<Grant> = [
        "{}",
        r#"{"classes":["read","write"]}"#,
        r#"{"actions":"*"}"#,
        r#"{"resource":{"prefix":"a"}}"#,
        r#"{"closed":true}"#,
        r#"{"args":{"p":[{"op":"eq","type":"integer","value":1}]}}"#,
        r#"{"tool":"fs/write"}"#,
    ]
    .map(grant)
    .into();
    let leaves: Vec<Vec<Grant>> = subsets(&pool);
    let mut pairs = 0;
    for parent in &leaves {
        for child in &leaves {
            let each = child.iter().all(|child| parent.iter().any(|parent| one_in_one(parent, child)));
            assert_eq!(contains(parent, child).is_ok(), each, "{child:?} in {parent:?}");
            pairs += 1;
        }
    }
    println!("universe: {pairs} pairs compared (several grants)");
    assert!(contains(&[], &pool).is_err(), "nothing contains something");
}
