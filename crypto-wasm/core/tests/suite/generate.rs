//! Random grants, narrower grants and requests, from a stream of random numbers that a property test hands in.

use talos_core::decide::{Args, Need, Resource};
use talos_core::grant::{Actions, Atom, Class, Classes, Grant, Items, Scalar};
use talos_core::json::Value;
use talos_core::path::Pattern;

/// Random numbers from a seed (xorshift64*), so that a failing case is one number; or the choices of a fuzzer, a byte each.
pub struct Source {
    state: u64,
    choices: Vec<u8>,
    next: usize,
}

impl Source {
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1, choices: Vec::new(), next: 0 }
    }

    /// The choices of `bytes`, then a stream that they alone determine.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let seed = bytes.iter().fold(11, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        Self { choices: bytes.to_vec(), ..Self::new(seed) }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        if let Some(choice) = self.choices.get(self.next) {
            self.next += 1;
            return usize::from(*choice) % bound;
        }
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        usize::try_from((self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound as u64).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A non-empty part of `items`, in their order.
    fn part<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut part: Vec<T> = items.iter().filter(|_| self.chance(50)).cloned().collect();
        if part.is_empty() {
            part.push(self.pick(items).clone());
        }
        part
    }
}

const TOOLS: [&str; 3] = ["a/x", "a/y", "b/x"];
const ACTIONS: [&str; 3] = ["call", "get", "read"];
const PATHS: [&str; 9] = ["/a", "/a/b", "/a/b/c", "/ab", "/d", "a", "a/b", "ab", "d/e/f"];
const NAMES: [&str; 4] = ["l", "n", "p", "t"];
/// Strings of every sort, sorted: paths, what is none, and the empty one.
const STRINGS: [&str; 10] = ["", "..", "/a", "/a/b", "/ab", "a", "a//b", "a/b", "d/e/f", "é"];

fn strings(source: &mut Source) -> Items {
    Items::Strings(source.part(&STRINGS).into_iter().map(str::to_owned).collect())
}

fn integers(source: &mut Source) -> Items {
    Items::Integers(source.part(&[-2, -1, 0, 1, 2, 3, 4]))
}

fn pattern(source: &mut Source) -> Pattern {
    let path = (*source.pick(&PATHS)).to_owned();
    match source.below(5) {
        0 => Pattern::Any,
        1 | 2 => Pattern::Prefix(path),
        3 => Pattern::Prefix("/".into()),
        _ => Pattern::Exact(path),
    }
}

fn integer(source: &mut Source) -> i64 {
    i64::try_from(source.below(8)).unwrap() - 3
}

fn atom(source: &mut Source) -> Atom {
    match source.below(11) {
        0 => Atom::Eq(Scalar::Str((*source.pick(&STRINGS)).to_owned())),
        1 => Atom::Eq(Scalar::Int(integer(source))),
        2 => Atom::Eq(Scalar::Bool(source.chance(50))),
        3 => Atom::In(strings(source)),
        4 => Atom::In(integers(source)),
        5 => Atom::NotIn(strings(source)),
        6 => Atom::NotIn(integers(source)),
        7 => {
            let (one, other) = (integer(source), integer(source));
            Atom::Range { min: one.min(other), max: one.max(other) }
        }
        8 => Atom::Pat(pattern(source)),
        9 => Atom::Subset(if source.chance(50) { strings(source) } else { integers(source) }),
        _ => Atom::Maxlen(source.below(6) as u64),
    }
}

/// Atoms in the order of the contract, at most one of each kind.
fn ordered(mut atoms: Vec<Atom>) -> Vec<Atom> {
    atoms.sort_by_key(Atom::op);
    atoms.dedup_by_key(|atom| atom.op());
    atoms.truncate(4);
    atoms
}

pub fn grant(source: &mut Source) -> Grant {
    let mut args = Vec::new();
    for name in NAMES {
        if source.chance(30) {
            let count = 1 + source.below(2);
            let atoms = (0..count).map(|_| atom(source)).collect();
            args.push((name.to_owned(), ordered(atoms)));
        }
    }
    Grant {
        tool: (*source.pick(&TOOLS)).to_owned(),
        classes: Classes::of(&source.part(&Class::ALL)),
        actions: if source.chance(25) { Actions::Any } else { Actions::Set(source.part(&ACTIONS.map(str::to_owned))) },
        resource: if source.chance(40) { Pattern::Any } else { pattern(source) },
        args,
        closed: source.chance(30),
    }
}

/// Grants ordered by tool, none twice.
pub fn grants(source: &mut Source) -> Vec<Grant> {
    let count = 1 + source.below(4);
    tidy((0..count).map(|_| grant(source)).collect())
}

fn tidy(mut grants: Vec<Grant>) -> Vec<Grant> {
    grants.sort_by(|left, right| left.tool.cmp(&right.tool));
    let mut distinct: Vec<Grant> = Vec::new();
    for grant in grants {
        if !distinct.contains(&grant) {
            distinct.push(grant);
        }
    }
    distinct
}

fn narrow_pattern(source: &mut Source, parent: &Pattern) -> Pattern {
    match parent {
        Pattern::Any => pattern(source),
        Pattern::Prefix(prefix) => {
            let path = if prefix == "/" { "/a/b".to_owned() } else { format!("{prefix}/z") };
            match source.below(3) {
                0 => parent.clone(),
                1 => Pattern::Prefix(path),
                _ => Pattern::Exact(path),
            }
        }
        Pattern::Exact(_) => parent.clone(),
    }
}

/// An atom that is meant to imply `parent`; mostly it does.
fn narrow_atom(source: &mut Source, parent: &Atom) -> Atom {
    if source.chance(25) {
        return parent.clone();
    }
    match parent {
        Atom::Eq(_) => parent.clone(),
        Atom::In(Items::Strings(items)) => match source.below(3) {
            0 => Atom::Eq(Scalar::Str(source.pick(items).clone())),
            1 => Atom::Pat(Pattern::Exact(source.pick(items).clone()).or_any()),
            _ => Atom::In(Items::Strings(source.part(items))),
        },
        Atom::In(Items::Integers(items)) => match source.below(3) {
            0 => Atom::Eq(Scalar::Int(*source.pick(items))),
            1 => {
                let min = *source.pick(items);
                Atom::Range { min, max: min + i64::from(source.chance(50)) }
            }
            _ => Atom::In(Items::Integers(source.part(items))),
        },
        Atom::NotIn(Items::Strings(_)) => match source.below(3) {
            0 => Atom::Pat(pattern(source)),
            1 => Atom::In(strings(source)),
            _ => Atom::NotIn(strings(source)),
        },
        Atom::NotIn(Items::Integers(_)) => match source.below(3) {
            0 => {
                let min = integer(source);
                Atom::Range { min, max: min + 1 }
            }
            1 => Atom::Eq(Scalar::Int(integer(source))),
            _ => Atom::NotIn(integers(source)),
        },
        Atom::Range { min, max } => match source.below(3) {
            0 => Atom::Eq(Scalar::Int(*min)),
            1 => Atom::In(Items::Integers((*min..=*max).collect())),
            _ => Atom::Range { min: *min, max: (*min).midpoint(*max) },
        },
        Atom::Pat(parent) => match source.below(3) {
            0 => Atom::Eq(Scalar::Str((*source.pick(&STRINGS)).to_owned())),
            _ => Atom::Pat(narrow_pattern(source, parent)),
        },
        Atom::Subset(Items::Strings(items)) => Atom::Subset(Items::Strings(source.part(items))),
        Atom::Subset(Items::Integers(items)) => Atom::Subset(Items::Integers(source.part(items))),
        Atom::Maxlen(bytes) => match source.below(3) {
            0 => Atom::Eq(Scalar::Str((*source.pick(&STRINGS)).to_owned())),
            1 => Atom::In(strings(source)),
            _ => Atom::Maxlen(source.below(usize::try_from(*bytes).unwrap() + 1) as u64),
        },
    }
}

trait OrAny {
    /// `any` in place of an exact pattern that holds no path.
    fn or_any(self) -> Self;
}

impl OrAny for Pattern {
    fn or_any(self) -> Self {
        match self {
            Self::Exact(path) if !talos_core::path::is_path(&path) => Self::Any,
            pattern => pattern,
        }
    }
}

/// Grants that are meant to be contained in `parents`: narrowed in every member. A few changes widen on purpose or by chance.
pub fn narrower(source: &mut Source, parents: &[Grant]) -> Vec<Grant> {
    let count = 1 + source.below(2);
    let mut grants = Vec::new();
    for _ in 0..count {
        let parent = source.pick(parents).clone();
        let mut args: Vec<(String, Vec<Atom>)> = parent
            .args
            .iter()
            .map(|(name, atoms)| {
                let mut own: Vec<Atom> = atoms.iter().map(|atom| narrow_atom(source, atom)).collect();
                if source.chance(20) {
                    own.push(atom(source));
                }
                (name.clone(), ordered(own))
            })
            .collect();
        if (!parent.closed || source.chance(5)) && source.chance(30) {
            let name = *source.pick(&NAMES);
            if !args.iter().any(|(own, _)| own == name) {
                args.push((name.to_owned(), ordered(vec![atom(source)])));
            }
        }
        if source.chance(3) {
            args.pop();
        }
        args.sort_by(|left, right| left.0.cmp(&right.0));
        grants.push(Grant {
            classes: Classes::of(&source.part(&parent.classes.iter().collect::<Vec<_>>())),
            actions: match &parent.actions {
                Actions::Any if source.chance(50) => Actions::Any,
                Actions::Any => Actions::Set(source.part(&ACTIONS.map(str::to_owned))),
                Actions::Set(set) => Actions::Set(source.part(set)),
            },
            resource: narrow_pattern(source, &parent.resource),
            closed: parent.closed && !source.chance(3) || source.chance(20),
            tool: parent.tool,
            args,
        });
    }
    tidy(grants)
}

/// A request's own data, from which a [`Need`] borrows.
#[derive(Debug)]
pub struct Request {
    tool: String,
    class: Class,
    action: String,
    /// A path, or what is none; absent when the tool has no resource.
    resource: Option<String>,
    args: Vec<(String, Value)>,
}

impl Request {
    pub fn need(&self) -> Need<'_> {
        Need {
            tool: &self.tool,
            class: self.class,
            action: &self.action,
            resource: match &self.resource {
                None => Resource::None,
                Some(path) if talos_core::path::is_path(path) => Resource::Path(path),
                Some(_) => Resource::Bad,
            },
            args: Args::new(&self.args),
        }
    }
}

fn value(source: &mut Source) -> Value {
    match source.below(8) {
        0 => Value::Int(integer(source)),
        1 => Value::Bool(source.chance(50)),
        2 => Value::Float(1.0),
        3 => Value::Arr((0..source.below(3)).map(|_| Value::str(*source.pick(&STRINGS))).collect()),
        4 => Value::Arr((0..source.below(3)).map(|_| Value::Int(integer(source))).collect()),
        5 => Value::Null,
        _ => Value::str(*source.pick(&STRINGS)),
    }
}

fn path_of(source: &mut Source, pattern: &Pattern) -> String {
    let more = *source.pick(&["z", "b", "b/c"]);
    match pattern {
        Pattern::Any => (*source.pick(&PATHS)).to_owned(),
        Pattern::Exact(path) => path.clone(),
        Pattern::Prefix(path) if path == "/" => format!("/{more}"),
        Pattern::Prefix(path) if source.chance(50) => path.clone(),
        Pattern::Prefix(path) => format!("{path}/{more}"),
    }
}

/// A value of which `atom` is true, as far as it goes.
fn member(source: &mut Source, atom: &Atom) -> Value {
    match atom {
        Atom::Eq(Scalar::Str(text)) => Value::str(text.as_str()),
        Atom::Eq(Scalar::Int(number)) => Value::Int(*number),
        Atom::Eq(Scalar::Bool(truth)) => Value::Bool(*truth),
        Atom::In(Items::Strings(items)) => Value::str(source.pick(items).as_str()),
        Atom::In(Items::Integers(items)) => Value::Int(*source.pick(items)),
        Atom::NotIn(Items::Strings(_)) | Atom::Maxlen(_) => Value::str(*source.pick(&STRINGS)),
        Atom::NotIn(Items::Integers(_)) => Value::Int(integer(source)),
        Atom::Range { min, max } => Value::Int(*source.pick(&[*min, *max, (*min).midpoint(*max)])),
        Atom::Pat(pattern) => Value::Str(path_of(source, pattern)),
        Atom::Subset(Items::Strings(items)) => Value::Arr(source.part(items).into_iter().map(Value::Str).collect()),
        Atom::Subset(Items::Integers(items)) => Value::Arr(source.part(items).into_iter().map(Value::Int).collect()),
    }
}

/// A request that a grant of `grants` mostly allows.
pub fn request(source: &mut Source, grants: &[Grant]) -> Request {
    let grant = source.pick(grants).clone();
    let mut args: Vec<(String, Value)> = Vec::new();
    for (name, atoms) in &grant.args {
        if source.chance(97) {
            let atom = source.pick(atoms).clone();
            args.push((name.clone(), if source.chance(95) { member(source, &atom) } else { value(source) }));
        }
    }
    for name in NAMES {
        if source.chance(15) && !args.iter().any(|(own, _)| own == name) {
            args.push((name.to_owned(), value(source)));
        }
    }
    Request {
        class: *source.pick(&grant.classes.iter().collect::<Vec<_>>()),
        action: match &grant.actions {
            Actions::Set(set) if source.chance(97) => source.pick(set).clone(),
            _ => (*source.pick(&ACTIONS)).to_owned(),
        },
        resource: match (&grant.resource, source.below(10)) {
            (Pattern::Any, 0..5) => None,
            (_, 9) => Some("a/..".into()),
            (pattern, _) => Some(path_of(source, pattern)),
        },
        tool: grant.tool,
        args,
    }
}
