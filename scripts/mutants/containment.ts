/** Containment, and what it stands on: patterns, classes, actions, atoms, the decision on a leaf. */
import { type Area, before, type Mutant, swap } from "./list.ts";

const OPS = ["eq", "in", "not_in", "range", "pat", "subset", "maxlen"] as const;

/** Cells of contracts/spec/capability.md#containment that have a rule; the others say no. */
const RULES: Record<(typeof OPS)[number], readonly string[]> = {
  eq: ["eq", "in", "not_in", "range", "pat", "maxlen"],
  in: ["eq", "in", "not_in", "range", "pat", "maxlen"],
  not_in: ["not_in"],
  range: ["eq", "in", "not_in", "range"],
  pat: ["eq", "in", "not_in", "pat", "maxlen"],
  subset: ["subset"],
  maxlen: ["maxlen"],
};

/** Every cell once as yes, and every cell with a rule once as no. */
const cells: Mutant[] = OPS.flatMap((child) =>
  OPS.flatMap((parent) => {
    const cell = `child.op() == "${child}" && parent.op() == "${parent}"`;
    const say = (answer: boolean) =>
      before(
        `cell ${child} in ${parent}: ${answer ? "always" : "never"}`,
        "match (child, parent) {",
        `if ${cell} { return ${answer}; }`,
      );
    return RULES[child].includes(parent) ? [say(true), say(false)] : [say(true)];
  }),
);

export const containment: Area[] = [
  {
    file: "crypto-wasm/base/src/contain.rs",
    by: "suite cells:: uncovered:: universe::",
    mutants: [
      ...cells,
      swap("grant: same tool", "child.tool != parent.tool", "false"),
      swap("grant: classes within", "!parent.classes.contains(child.classes)", "false"),
      swap("grant: actions within", "!parent.actions.contains(&child.actions)", "false"),
      swap("grant: resource within", "!parent.resource.contains(&child.resource)", "false"),
      swap("grant: a closed parent is asked about closing", "if «parent.closed» {", "false"),
      swap("grant: a closed parent's child is closed", "!child.closed", "false"),
      swap("grant: a closed parent names every argument of the child", "parent.atoms(name).is_none()", "false"),
      swap(
        "grant: arguments are compared",
        "!atoms.iter().all(|atom| own.iter().any(|own| implies(own, atom)))",
        "false",
      ),
      swap(
        "grant: every atom of the parent is implied",
        "«atoms.iter().all(|atom| own.iter().any(|own| implies(own, atom)))»",
        "atoms.iter().any(|atom| own.iter().any(|own| implies(own, atom)))",
      ),
      swap(
        "grant: an argument that only the parent names",
        "own.iter().any(|own| implies(own, atom))",
        "own.iter().all(|own| implies(own, atom))",
      ),
      swap("grants: a parent without grants contains none", "parent.is_empty()", "false"),
      swap("grants: one that fits is enough, and is needed", "Ok(()) => {\n                    «nearest = None»", "()"),
      swap("range in eq: lower end", "min == value && max == value", "max == value"),
      swap("range in eq: upper end", "«min == value && max == value»", "min == value"),
      swap(
        "range in in: every number",
        "(*min..=*max).all(|number| set.binary_search(&number).is_ok())",
        "(*min..=*max).any(|number| set.binary_search(&number).is_ok())",
      ),
      swap("range in in: span", "max.abs_diff(*min) < RANGE_IN_SPAN as u64", "true", {
        equivalent:
          "a set has at most as many values as the span allows, so a longer range misses one within that many steps; the bound only saves them",
      }),
      swap(
        "range in in: span to the number",
        "«max.abs_diff(*min) < RANGE_IN_SPAN as u64»",
        "max.abs_diff(*min) < RANGE_IN_SPAN as u64 - 1",
      ),
      swap(
        "range in not_in",
        "!set.iter().any(|number| (min..=max).contains(&number))",
        "set.iter().any(|number| !(min..=max).contains(&number))",
      ),
      swap("range in range: lower end", "low <= min && max <= high", "max <= high"),
      swap("range in range: upper end", "«low <= min && max <= high»", "low <= min"),
      swap("exact path in eq, in, maxlen", "parent.holds_of(Arg::Str(path))", "true"),
      swap("pattern in not_in", "!set.iter().any(|text| pattern.matches(text))", "true"),
      swap("pattern in pattern", "parent.contains(child)", "true"),
      swap(
        "subset in subset: direction",
        "(Atom::Subset(child), Atom::Subset(parent)) => «within(child, parent)»",
        "within(parent, child)",
      ),
      swap(
        "not_in in not_in: direction",
        "(Atom::NotIn(child), Atom::NotIn(parent)) => «within(parent, child)»",
        "within(child, parent)",
      ),
      swap(
        "maxlen in maxlen: direction",
        "(Atom::Maxlen(child), Atom::Maxlen(parent)) => «child <= parent»",
        "child >= parent",
      ),
      swap(
        "maxlen in maxlen: equal bounds",
        "(Atom::Maxlen(child), Atom::Maxlen(parent)) => «child <= parent»",
        "child < parent",
      ),
      swap(
        "in: every string",
        "values.iter().all(|value| parent.holds_of(Arg::Str(value)))",
        "values.iter().any(|value| parent.holds_of(Arg::Str(value)))",
      ),
      swap(
        "in: every integer",
        "values.iter().all(|value| parent.holds_of(Arg::Int(*value)))",
        "values.iter().any(|value| parent.holds_of(Arg::Int(*value)))",
      ),
      swap("eq: a boolean", "(Atom::Eq(Scalar::Bool(value)), _) => «parent.holds_of(Arg::Bool(*value))»", "true"),
      swap(
        "sets: every string",
        "small.iter().all(|item| crate::grant::has_str(large, item))",
        "small.iter().any(|item| crate::grant::has_str(large, item))",
      ),
      swap(
        "sets: every integer",
        "small.iter().all(|item| large.binary_search(item).is_ok())",
        "small.iter().any(|item| large.binary_search(item).is_ok())",
      ),
      before(
        "sets: of one type",
        "match (small, large) {",
        "if core::mem::discriminant(small) != core::mem::discriminant(large) { return true; }",
      ),
    ],
  },
  {
    file: "crypto-wasm/base/src/path.rs",
    by: "suite paths:: cells:: universe::",
    mutants: [
      swap("path: bytes", "text.len() > PATH_BYTES", "false"),
      swap("path: no % and no backslash, no control character", "=> «return false»,\n            // U+0080", "{}"),
      swap("path: no control character beyond ASCII", "before == 0xc2", "false"),
      swap("path: no empty segment inside", "if «dots && length <= 2»", "dots && (1..=2).contains(&length)"),
      swap("path: no dot segment inside", "if «dots && length <= 2»", "length == 0"),
      swap("path: no empty segment at the end", "!«(dots && length <= 2)»", "(dots && (1..=2).contains(&length))"),
      swap("path: no dot segment at the end", "!«(dots && length <= 2)»", "(length == 0)"),
      swap("path: segments", "segments <= PATH_SEGMENTS", "true"),
      swap("prefix: by whole segments", `rest.is_empty() || rest.starts_with('/') || prefix == "/"`, "true"),
      swap(
        "prefix: the path itself",
        `«rest.is_empty() || rest.starts_with('/') || prefix == "/"»`,
        `rest.starts_with('/') || prefix == "/"`,
      ),
      swap(
        "pattern: what is no path matches nothing",
        "is_path(text) && self.matches_path(text)",
        "self.matches_path(text)",
      ),
      swap("pattern: exact is equal", "exact == path", "path.starts_with(exact.as_str())"),
      swap("pattern: prefix begins", "Self::Prefix(prefix) => «begins(path, prefix)»", "true"),
      swap("pattern in prefix", "begins(child, parent)", "true"),
      swap("pattern in prefix: direction", "«begins(child, parent)»", "begins(parent, child)"),
      swap("exact in exact", "(Self::Exact(parent), Self::Exact(child)) => «parent == child»", "true"),
      before("any is in any alone", "match (self, child) {", "if *child == Self::Any { return true; }"),
      before(
        "prefix is in no exact",
        "match (self, child) {",
        "if let (Self::Exact(own), Self::Prefix(other)) = (self, child) { return own == other; }",
      ),
      swap("URI: scheme", "!scheme_fits", "false"),
      swap("URI: no query, no fragment", "rest.contains(['?', '#'])", "false"),
      swap("URI: the authority is not -", 'authority == "-"', "false"),
      swap("URI: authority in lower case", "authority.bytes().any(|byte| byte.is_ascii_uppercase())", "false"),
      swap("URI: is a path", "if «is_path(&text)» { Ok(text) }", "true"),
    ],
  },
  {
    file: "crypto-wasm/base/src/grant/mod.rs",
    by: "suite grants:: decisions:: universe::",
    mutants: [
      swap("class is one of the grant's", "self.0 & class.bit() != 0", "true"),
      swap("classes within", "child.0 & !self.0 == 0", "true"),
      swap("classes within: direction", "«child.0 & !self.0 == 0»", "self.0 & !child.0 == 0"),
      swap("action is one of the grant's", "set.iter().any(|member| member == action)", "true"),
      before(
        "any action is in any action alone",
        "match (self, child) {",
        "if matches!(child, Self::Any) { return true; }",
      ),
      swap(
        "actions within: every one",
        "child.iter().all(|action| self.has(action))",
        "child.iter().any(|action| self.has(action))",
      ),
      swap("grants: not empty", "grants.is_empty()", "false"),
      swap("grants: ordered by tool", "!grants.is_sorted_by(|left, right| left.tool <= right.tool)", "false"),
      swap("grants: none twice", "grants.chunk_by(same_tool).any(repeats)", "false"),
      swap("grants: number", "items.len() > most", "false"),
      swap("grant: a tool's name", "!is_tool(tool)", "false"),
      swap(
        "grant: no further members",
        'closed: fields.bool("closed")?,\n        };\n        «fields.finish()?»',
        "()",
      ),
      swap("arguments: number", "members.len() > ARGS", "false"),
      swap("arguments: names", "!is_argument(name)", "false"),
      swap("arguments: number of atoms", "!(1..=ATOMS).contains(&items.len())", "false"),
      swap("arguments: atoms in order", "!atoms.is_sorted_by(|left, right| left.op() < right.op())", "false"),
    ],
  },
  {
    file: "crypto-wasm/base/src/grant/atom.rs",
    by: "suite atoms:: universe:: cells::",
    mutants: [
      swap("eq: string", "(Self::Str(own), Arg::Str(other)) => «own == other»", "true"),
      swap("eq: boolean", "(Self::Bool(own), Arg::Bool(other)) => «*own == other»", "true"),
      swap("eq: integer", "(Self::Int(own), Arg::Int(other)) => «*own == other»", "true"),
      swap("eq: of one type", "(Self::Int(own), Arg::Int(other)) => *own == other,\n            _ => «false»", "true"),
      swap(
        "set: integers",
        "(Self::Integers(items), Arg::Int(number)) => Some(«items.binary_search(&number).is_ok()»)",
        "true",
      ),
      swap("set: strings, few", "return «items.iter().any(|item| item == text)»", "true"),
      swap("set: strings, many", "items.binary_search_by(|item| item.as_str().cmp(text)).is_ok()", "true"),
      swap("set: few", "items.len() <= FEW", "false", {
        equivalent: "halving and looking one by one answer alike on a sorted set; the bound is about speed",
      }),
      swap(
        "in",
        "items.has(value) == Some(true),\n            Self::NotIn(items) => «items.has(value) == Some(false)»",
        "items.has(value) == Some(true)",
      ),
      swap(
        "not_in: of one type",
        "Self::NotIn(items) => «items.has(value) == Some(false)»",
        "items.has(value) != Some(true)",
      ),
      swap("in: of one type", "Self::In(items) => «items.has(value) == Some(true)»", "items.has(value) != Some(false)"),
      swap("range", "(*min..=*max).contains(&number)", "true"),
      swap("range: lower end", "«(*min..=*max).contains(&number)»", "number <= *max"),
      swap("range: upper end", "«(*min..=*max).contains(&number)»", "*min <= number"),
      swap("range: upper end is included", "«(*min..=*max).contains(&number)»", "(*min..*max).contains(&number)"),
      swap("pat", "pattern.matches(text)", "true"),
      swap(
        "subset: every element",
        "list.all(|element| items.has(element) == Some(true))",
        "!list.all(|element| items.has(element) != Some(true))",
      ),
      swap(
        "subset: of one type",
        "«list.all(|element| items.has(element) == Some(true))»",
        "list.all(|element| items.has(element) != Some(false))",
      ),
      swap("maxlen", "text.len() as u64 <= *bytes", "true"),
      swap("maxlen: bytes, not characters", "«text.len() as u64 <= *bytes»", "text.chars().count() as u64 <= *bytes"),
      swap("set: number of values", "!(1..=ATOM_VALUES).contains(&values.len())", "false"),
      swap("set: sorted", "if «sorted» { Ok(items) }", "true"),
      swap("string: bytes", "text.len() <= ATOM_STRING_BYTES", "true"),
      swap(
        "atom: no further members",
        '_ => return Err(Error::malformed("an unknown atom")),\n        };\n        «fields.finish()?»',
        "()",
      ),
    ],
  },
  {
    file: "crypto-wasm/base/src/decide.rs",
    by: "suite decisions:: atoms:: universe::",
    mutants: [
      swap("leaf: class", "!grant.classes.has(need.class)", "false"),
      swap("leaf: action", "!grant.actions.has(need.action)", "false"),
      swap("leaf: resource", "!need.resource.fits(&grant.resource)", "false"),
      swap(
        "leaf: arguments",
        "!need.args.get(name).is_some_and(|value| atoms.iter().all(|atom| atom.holds_of(value)))",
        "false",
      ),
      swap(
        "leaf: every atom",
        "«need.args.get(name).is_some_and(|value| atoms.iter().all(|atom| atom.holds_of(value)))»",
        "need.args.get(name).is_some_and(|value| atoms.iter().any(|atom| atom.holds_of(value)))",
      ),
      swap(
        "leaf: an absent argument",
        "«need.args.get(name).is_some_and(|value| atoms.iter().all(|atom| atom.holds_of(value)))»",
        "need.args.get(name).is_none_or(|value| atoms.iter().all(|atom| atom.holds_of(value)))",
      ),
      swap("leaf: closed", "grant.closed && need.args.count != grant.args.len()", "false"),
      swap("leaf: tool", ".take_while(move |(_, grant)| «grant.tool == tool»)", "true"),
      swap("leaf: a tool without resource", "Self::None => «*pattern == Pattern::Any»", "true"),
      swap("leaf: path", "Self::Path(path) => «pattern.matches_path(path)»", "true"),
      swap("leaf: a resource that is no path", "Self::Bad => «false»", "true"),
      swap("leaf: a named resource is a path", "named.and_then(Arg::as_str).filter(|text| «is_path(text)»)", "true", {
        by: "suite decisions:: vectors::decisions",
      }),
      swap("lists: class", "any(|(_, grant)| «grant.classes.has(class)» && grant.actions.has(action))", "true"),
      swap("lists: action", "any(|(_, grant)| grant.classes.has(class) && «grant.actions.has(action)»)", "true"),
      swap(
        "lists: resource",
        "resource.fits(&grant.resource);\n    of_tool(grants, tool).any(|(_, grant)| «fits(grant)»)",
        "true",
      ),
      swap("server: whole name", "rest.starts_with('/')", "true"),
      swap("an error never allows", "if «code == Code::Ok» { Code::Internal }", "false"),
    ],
  },
];
