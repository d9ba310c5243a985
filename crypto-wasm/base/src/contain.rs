//! Containment: whether what a child allows, its parent allows.
//!
//! Structural and sound: `true` means that every request that the child allows is allowed by the parent. It is not complete:
//! where inclusion would need a union of grants or a search, it says no.
//! Source: contracts/spec/capability.md#containment.

use crate::grant::{Arg, Atom, Grant, Items, Scalar};
use crate::limits::RANGE_IN_SPAN;
use crate::path::Pattern;

/// A child's grant that no single grant of the parent contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Its index.
    pub grant: usize,
    /// Where the nearest grant of the parent fails: `tool`, `classes`, `actions`, `resource`, `closed`, or `args.<name>`.
    pub field: String,
}

/// Whether every grant of `child` is contained in some single grant of `parent`.
///
/// # Errors
/// The first grant of `child` that is not, with the field where the nearest grant of `parent` fails.
pub fn contains(parent: &[Grant], child: &[Grant]) -> Result<(), Uncovered> {
    for (index, grant) in child.iter().enumerate() {
        let mut nearest: Option<Failure<'_>> = None;
        for candidate in parent {
            match covers(candidate, grant) {
                Ok(()) => {
                    nearest = None;
                    break;
                }
                // The first of the nearest, so a later one must be strictly nearer.
                Err(failure) if nearest.as_ref().is_none_or(|best| failure.rank() > best.rank()) => {
                    nearest = Some(failure);
                }
                Err(_) => {}
            }
        }
        if parent.is_empty() {
            nearest = Some(Failure::Tool);
        }
        if let Some(failure) = nearest {
            return Err(Uncovered { grant: index, field: failure.field() });
        }
    }
    Ok(())
}

/// Where one grant fails to cover another, in the order of the checks.
enum Failure<'a> {
    Tool,
    Classes,
    Actions,
    Resource,
    Closed,
    Arg(&'a str),
}

impl Failure<'_> {
    const fn rank(&self) -> u8 {
        match self {
            Self::Tool => 0,
            Self::Classes => 1,
            Self::Actions => 2,
            Self::Resource => 3,
            Self::Closed => 4,
            Self::Arg(_) => 5,
        }
    }

    fn field(&self) -> String {
        match self {
            Self::Tool => "tool".into(),
            Self::Classes => "classes".into(),
            Self::Actions => "actions".into(),
            Self::Resource => "resource".into(),
            Self::Closed => "closed".into(),
            Self::Arg(name) => format!("args.{name}"),
        }
    }
}

fn covers<'a>(parent: &'a Grant, child: &'a Grant) -> Result<(), Failure<'a>> {
    if child.tool != parent.tool {
        return Err(Failure::Tool);
    }
    if !parent.classes.contains(child.classes) {
        return Err(Failure::Classes);
    }
    if !parent.actions.contains(&child.actions) {
        return Err(Failure::Actions);
    }
    if !parent.resource.contains(&child.resource) {
        return Err(Failure::Resource);
    }
    if parent.closed {
        if !child.closed {
            return Err(Failure::Closed);
        }
        if let Some((name, _)) = child.args.iter().find(|(name, _)| parent.atoms(name).is_none()) {
            return Err(Failure::Arg(name));
        }
    }
    for (name, atoms) in &parent.args {
        let own = child.atoms(name).unwrap_or_default();
        if !atoms.iter().all(|atom| own.iter().any(|own| implies(own, atom))) {
            return Err(Failure::Arg(name));
        }
    }
    Ok(())
}

/// Whether every value of which `child` is true makes `parent` true. Each arm is a cell of the table; what has none is no.
#[must_use]
pub fn implies(child: &Atom, parent: &Atom) -> bool {
    match (child, parent) {
        // One value: the parent is asked about it. (No scalar is a list, so `subset` says no.)
        (Atom::Eq(Scalar::Str(value)), _) => parent.holds_of(Arg::Str(value)),
        (Atom::Eq(Scalar::Int(value)), _) => parent.holds_of(Arg::Int(*value)),
        (Atom::Eq(Scalar::Bool(value)), _) => parent.holds_of(Arg::Bool(*value)),

        // Several values: the parent is asked about each. For `eq` this is T = {v}, since values are distinct.
        (Atom::In(Items::Strings(values)), _) => values.iter().all(|value| parent.holds_of(Arg::Str(value))),
        (Atom::In(Items::Integers(values)), _) => values.iter().all(|value| parent.holds_of(Arg::Int(*value))),

        (Atom::NotIn(child), Atom::NotIn(parent)) => within(parent, child),

        (Atom::Range { min, max }, Atom::Eq(Scalar::Int(value))) => min == value && max == value,
        (Atom::Range { min, max }, Atom::In(Items::Integers(set))) => {
            max.abs_diff(*min) < RANGE_IN_SPAN as u64 && (*min..=*max).all(|number| set.binary_search(&number).is_ok())
        }
        (Atom::Range { min, max }, Atom::NotIn(Items::Integers(set))) => {
            !set.iter().any(|number| (min..=max).contains(&number))
        }
        (Atom::Range { min, max }, Atom::Range { min: low, max: high }) => low <= min && max <= high,

        (Atom::Pat(Pattern::Exact(path)), Atom::Eq(_) | Atom::In(_) | Atom::Maxlen(_)) => {
            parent.holds_of(Arg::Str(path))
        }
        (Atom::Pat(pattern), Atom::NotIn(Items::Strings(set))) => !set.iter().any(|text| pattern.matches(text)),
        (Atom::Pat(child), Atom::Pat(parent)) => parent.contains(child),

        (Atom::Subset(child), Atom::Subset(parent)) => within(child, parent),
        (Atom::Maxlen(child), Atom::Maxlen(parent)) => child <= parent,
        _ => false,
    }
}

/// Whether `small` ⊆ `large`, both of one type.
fn within(small: &Items, large: &Items) -> bool {
    match (small, large) {
        (Items::Strings(small), Items::Strings(large)) => small.iter().all(|item| crate::grant::has_str(large, item)),
        (Items::Integers(small), Items::Integers(large)) => small.iter().all(|item| large.binary_search(item).is_ok()),
        _ => false,
    }
}
