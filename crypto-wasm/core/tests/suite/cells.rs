//! The containment table of contracts/spec/capability.md#containment, cell by cell: what is implied, and just not.

use talos_core::contain::implies;

use crate::support::atom;

/// The shorthand `op type rest` of an atom.
fn short(text: &str) -> talos_core::grant::Atom {
    let (op, rest) = text.split_once(' ').unwrap();
    let list = |values: &str| {
        let quoted: Vec<String> = values.split(',').map(|value| format!("\"{value}\"")).collect();
        if values.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
            ("integer", format!("[{values}]"))
        } else {
            ("string", format!("[{}]", quoted.join(",")))
        }
    };
    let pattern = |text: &str| match text.split_once(' ') {
        Some((form, path)) => format!(r#"{{"{form}":"{path}"}}"#),
        None => format!("\"{text}\""),
    };
    let (kind, values) = list(rest);
    atom(&match op {
        "eq" if rest == "true" || rest == "false" => format!(r#"{{"op":"eq","type":"boolean","value":{rest}}}"#),
        "eq" => format!(r#"{{"op":"eq","type":"{kind}","value":{}}}"#, &values[1..values.len() - 1]),
        "in" | "not_in" => format!(r#"{{"op":"{op}","type":"{kind}","values":{values}}}"#),
        "subset" => format!(r#"{{"op":"subset","type":"list","of":"{kind}","values":{values}}}"#),
        "range" => {
            let (min, max) = rest.split_once("..").unwrap();
            format!(r#"{{"op":"range","type":"integer","min":{min},"max":{max}}}"#)
        }
        "pat" => format!(r#"{{"op":"pat","type":"string","pattern":{}}}"#, pattern(rest)),
        "maxlen" => format!(r#"{{"op":"maxlen","type":"string","bytes":{rest}}}"#),
        _ => panic!("{text}"),
    })
}

#[track_caller]
fn cell(implied: &[(&str, &str)], not: &[(&str, &str)]) {
    for (child, parent) in implied {
        assert!(implies(&short(child), &short(parent)), "{child} must imply {parent}");
    }
    for (child, parent) in not {
        assert!(!implies(&short(child), &short(parent)), "{child} must not imply {parent}");
    }
}

#[test]
fn eq_in_eq() {
    cell(
        &[("eq a", "eq a"), ("eq 1", "eq 1"), ("eq true", "eq true")],
        &[("eq a", "eq b"), ("eq 1", "eq 2"), ("eq true", "eq false")],
    );
}

#[test]
fn eq_in_in() {
    cell(&[("eq a", "in a,b"), ("eq 2", "in 1,2")], &[("eq c", "in a,b"), ("eq 3", "in 1,2")]);
}

#[test]
fn eq_in_not_in() {
    cell(&[("eq c", "not_in a,b"), ("eq 3", "not_in 1,2")], &[("eq a", "not_in a,b"), ("eq 2", "not_in 1,2")]);
}

#[test]
fn eq_in_range() {
    cell(&[("eq 1", "range 1..3"), ("eq 3", "range 1..3")], &[("eq 0", "range 1..3"), ("eq 4", "range 1..3")]);
}

#[test]
fn eq_in_pat() {
    cell(
        &[("eq /a/b", "pat prefix /a"), ("eq /a", "pat exact /a"), ("eq x", "pat any")],
        &[
            ("eq /ab", "pat prefix /a"),
            ("eq /b", "pat exact /a"),
            ("eq a/../b", "pat any"),
            ("eq /a/../b", "pat prefix /a"),
        ],
    );
}

#[test]
fn eq_in_maxlen() {
    cell(&[("eq ab", "maxlen 2"), ("eq é", "maxlen 2")], &[("eq abc", "maxlen 2"), ("eq éa", "maxlen 2")]);
}

#[test]
fn in_in_eq() {
    cell(&[("in a", "eq a"), ("in 1", "eq 1")], &[("in a,b", "eq a"), ("in b", "eq a"), ("in 1,2", "eq 2")]);
}

#[test]
fn in_in_in() {
    cell(&[("in a,b", "in a,b,c"), ("in 1,3", "in 1,2,3")], &[("in a,d", "in a,b,c"), ("in 1,2,3", "in 1,3")]);
}

#[test]
fn in_in_not_in() {
    cell(&[("in a,b", "not_in c"), ("in 1,3", "not_in 2,4")], &[("in a,b", "not_in b"), ("in 1,2", "not_in 2,4")]);
}

#[test]
fn in_in_range() {
    cell(&[("in 1,3", "range 1..3")], &[("in 0,2", "range 1..3"), ("in 2,4", "range 1..3")]);
}

#[test]
fn in_in_pat() {
    cell(
        &[("in /a,/a/b", "pat prefix /a"), ("in a,b", "pat any"), ("in /a", "pat exact /a")],
        &[("in /a,/b", "pat prefix /a"), ("in /a,a//b", "pat any"), ("in /a,/a/b", "pat exact /a")],
    );
}

#[test]
fn in_in_maxlen() {
    cell(&[("in a,ab", "maxlen 2")], &[("in a,abc", "maxlen 2")]);
}

#[test]
fn not_in_in_not_in() {
    cell(
        &[("not_in a,b", "not_in a"), ("not_in a", "not_in a"), ("not_in 1,2", "not_in 2")],
        &[("not_in a", "not_in a,b"), ("not_in b", "not_in a"), ("not_in 1", "not_in 1,2")],
    );
}

#[test]
fn range_in_eq() {
    cell(&[("range 2..2", "eq 2")], &[("range 2..3", "eq 2"), ("range 1..2", "eq 2"), ("range 3..3", "eq 2")]);
}

#[test]
fn range_in_in() {
    cell(
        &[("range 1..3", "in 1,2,3"), ("range 2..3", "in 1,2,3")],
        &[("range 1..3", "in 1,3"), ("range 0..1", "in 1,2"), ("range 2..3", "in 1,2")],
    );
    // A span that no set can hold is refused without walking it.
    let widest = short("range -9007199254740991..9007199254740991");
    assert!(!implies(&widest, &short("in 1,2")));
    let all: Vec<String> = (0..256).map(|number| number.to_string()).collect();
    cell(&[("range 0..255", &format!("in {}", all.join(",")))], &[("range 0..256", &format!("in {}", all.join(",")))]);
}

#[test]
fn range_in_not_in() {
    cell(
        &[("range 1..3", "not_in 0,4")],
        &[("range 1..3", "not_in 1"), ("range 1..3", "not_in 3"), ("range 1..3", "not_in 0,2")],
    );
}

#[test]
fn range_in_range() {
    cell(
        &[("range 1..3", "range 1..3"), ("range 2..2", "range 1..3")],
        &[("range 0..3", "range 1..3"), ("range 1..4", "range 1..3"), ("range 5..6", "range 1..3")],
    );
}

#[test]
fn pat_in_eq() {
    cell(&[("pat exact /a", "eq /a")], &[("pat exact /a", "eq /b"), ("pat prefix /a", "eq /a"), ("pat any", "eq /a")]);
}

#[test]
fn pat_in_in() {
    cell(&[("pat exact a", "in a,b")], &[("pat exact c", "in a,b"), ("pat prefix a", "in a,b"), ("pat any", "in a,b")]);
}

#[test]
fn pat_in_not_in() {
    cell(
        &[
            ("pat exact /c", "not_in /a,/b"),
            ("pat prefix /a", "not_in /ab,/b"),
            ("pat any", "not_in /,a//b"),
            ("pat prefix a", "not_in /a/b"),
        ],
        &[
            ("pat exact /a", "not_in /a,/b"),
            ("pat prefix /a", "not_in /a"),
            ("pat prefix /a", "not_in /a/b"),
            ("pat any", "not_in x"),
        ],
    );
}

#[test]
fn pat_in_pat() {
    cell(
        &[
            ("pat prefix /a/b", "pat prefix /a"),
            ("pat exact /a", "pat prefix /a"),
            ("pat exact /a", "pat any"),
            ("pat any", "pat any"),
        ],
        &[
            ("pat prefix /a", "pat prefix /a/b"),
            ("pat prefix /a", "pat exact /a"),
            ("pat any", "pat prefix /"),
            ("pat prefix /ab", "pat prefix /a"),
        ],
    );
}

#[test]
fn pat_in_maxlen() {
    cell(
        &[("pat exact /a", "maxlen 2")],
        &[("pat exact /ab", "maxlen 2"), ("pat prefix /a", "maxlen 2"), ("pat prefix /a", "maxlen 1024")],
    );
}

#[test]
fn subset_in_subset() {
    cell(
        &[("subset a,b", "subset a,b,c"), ("subset 1", "subset 1,2")],
        &[("subset a,b", "subset a"), ("subset 1,2", "subset 1"), ("subset a", "subset 1"), ("subset 1", "subset a")],
    );
}

#[test]
fn maxlen_in_maxlen() {
    cell(&[("maxlen 2", "maxlen 2"), ("maxlen 1", "maxlen 2")], &[("maxlen 3", "maxlen 2")]);
}

#[test]
fn the_cells_that_are_never() {
    // Also where the values would allow it: `maxlen 0` holds only of the empty string, and yet is no `eq`.
    cell(
        &[],
        &[
            ("eq a", "subset a"),
            ("in a", "subset a"),
            ("not_in a", "eq b"),
            ("not_in a", "in b"),
            ("not_in 1", "range 2..3"),
            ("not_in a", "pat any"),
            ("not_in a", "subset b"),
            ("not_in a", "maxlen 9"),
            ("range 1..1", "subset 1"),
            ("subset a", "eq a"),
            ("subset a", "in a"),
            ("subset a", "not_in b"),
            ("subset a", "pat any"),
            ("subset a", "maxlen 9"),
            ("subset 1", "range 1..1"),
            ("pat exact a", "subset a"),
            ("maxlen 9", "pat any"),
            ("maxlen 0", "not_in abc"),
            ("maxlen 1", "in a"),
            ("maxlen 1", "subset a"),
            ("range 1..1", "maxlen 9"),
            ("range 1..1", "pat any"),
            ("maxlen 1", "range 1..1"),
            ("pat any", "range 1..1"),
        ],
    );
}

#[test]
fn no_atom_implies_one_of_another_type() {
    let of_strings = ["eq a", "in a,b", "not_in c", "pat any", "pat exact a", "maxlen 9"];
    let of_integers = ["eq 1", "in 1,2", "not_in 3", "range 1..2"];
    let of_booleans = ["eq true"];
    let of_lists = ["subset a,b"];
    let of_integer_lists = ["subset 1,2"];
    let kinds: [&[&str]; 5] = [&of_strings, &of_integers, &of_booleans, &of_lists, &of_integer_lists];
    for (index, children) in kinds.iter().enumerate() {
        for (other, parents) in kinds.iter().enumerate().filter(|(other, _)| *other != index) {
            for child in *children {
                for parent in *parents {
                    assert!(
                        !implies(&short(child), &short(parent)),
                        "{child} ({index}) must not imply {parent} ({other})"
                    );
                }
            }
        }
    }
}
