/**
 * Leaves, narrower leaves and needs, each made of a list of dice. fast-check throws the dice and, when something differs,
 * makes them fewer and smaller; a zero is the plainest choice everywhere, so the smallest case is plain.
 */
import type { Atom, Grant, Pattern } from "@talos/contracts";
import type { Need } from "@talos/core";

export class Dice {
  #at = 0;
  readonly #dice: readonly number[];

  constructor(dice: readonly number[]) {
    this.#dice = dice;
  }

  below(bound: number): number {
    const value = this.#dice[this.#at] ?? 0;
    this.#at += 1;
    return value % bound;
  }

  /** Mostly false for small dice: true in `percent` of 100. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A part of `items` in their order, never empty. */
  part<T>(items: readonly T[]): T[] {
    const kept = items.filter(() => this.chance(50));
    return kept.length > 0 ? kept : [this.pick(items)];
  }
}

const CLASSES = ["read", "write", "destructive", "pay"] as const;
const TOOLS = ["a/x", "a/y", "b/x"];
const ACTIONS = ["call", "get", "read"];
const PATHS = ["a", "/a", "/a/b", "a/b", "ab", "/ab", "/d*", "/a/b/c", "d/e/f", "é/*"];
const NAMES = ["l", "n", "p", "t"];
/** Sorted bytewise: paths, what is none, what looks like a pattern, and the empty one. */
const STRINGS = [
  "",
  "*",
  ".",
  "..",
  "/",
  "/a",
  "/a/b",
  "/ab",
  "a",
  "a%",
  "a*",
  "a/",
  "a//b",
  "a/b",
  "a\\b",
  "d/e/f",
  "\u007f",
  "é",
  "é/x",
];
const INTEGERS = [-2, -1, 0, 1, 2, 3, 4];
const LONG = `/${"a".repeat(1_023)}`;
const DEEP = `/${Array(65).fill("a").join("/")}`;

const pattern = (dice: Dice): Pattern =>
  dice.pick<(path: string) => Pattern>([
    () => "any",
    (prefix) => ({ prefix }),
    () => ({ prefix: "/" }),
    (exact) => ({ exact }),
    (prefix) => ({ prefix }),
  ])(dice.pick(PATHS));

function atom(dice: Dice): Atom {
  const string = () => dice.pick(STRINGS);
  switch (dice.below(12)) {
    case 0:
      return { op: "eq", type: "string", value: string() };
    case 1:
      return { op: "eq", type: "integer", value: dice.pick(INTEGERS) };
    case 2:
      return { op: "eq", type: "boolean", value: dice.chance(50) };
    case 3:
      return { op: "in", type: "string", values: dice.part(STRINGS) };
    case 4:
      return { op: "in", type: "integer", values: dice.part(INTEGERS) };
    case 5:
      return { op: "not_in", type: "string", values: dice.part(STRINGS) };
    case 6:
      return { op: "not_in", type: "integer", values: dice.part(INTEGERS) };
    case 7: {
      const [one, other] = [dice.pick(INTEGERS), dice.pick(INTEGERS)];
      return { op: "range", type: "integer", min: Math.min(one, other), max: Math.max(one, other) };
    }
    case 8:
      return { op: "subset", type: "list", of: "string", values: dice.part(STRINGS) };
    case 9:
      return { op: "subset", type: "list", of: "integer", values: dice.part(INTEGERS) };
    case 10:
      return { op: "maxlen", type: "string", bytes: dice.below(6) };
    default:
      return { op: "pat", type: "string", pattern: pattern(dice) };
  }
}

/** In the order of the contract, one of each kind. */
function ordered(atoms: Atom[]): Atom[] {
  const byOp = new Map(atoms.map((one) => [one.op, one]));
  return [...byOp.values()].sort((a, b) => (a.op < b.op ? -1 : 1));
}

function args(dice: Dice): Record<string, Atom[]> {
  const named = NAMES.filter(() => dice.chance(35));
  return Object.fromEntries(
    named.map((name) => [name, ordered(Array.from({ length: 1 + dice.below(2) }, () => atom(dice)))]),
  );
}

function grant(dice: Dice): Grant {
  return {
    tool: dice.pick(TOOLS),
    classes: dice.part(CLASSES) as Grant["classes"],
    actions: dice.chance(25) ? "*" : dice.part(ACTIONS),
    resource: dice.chance(50) ? pattern(dice) : "any",
    args: args(dice),
    closed: dice.chance(30),
  };
}

function tidy(grants: Grant[]): Grant[] {
  const distinct = new Map(grants.map((one) => [JSON.stringify(one), one]));
  return [...distinct.values()].sort((a, b) => (a.tool < b.tool ? -1 : a.tool > b.tool ? 1 : 0));
}

/** 1 to 4 grants, ordered by tool, none twice. */
export const leaf = (dice: Dice): Grant[] => tidy(Array.from({ length: 1 + dice.below(4) }, () => grant(dice)));

function narrowPattern(dice: Dice, parent: Pattern): Pattern {
  if (parent === "any") return pattern(dice);
  if ("exact" in parent) return parent;
  const path = parent.prefix === "/" ? "/a/b" : `${parent.prefix}/z`;
  return dice.pick<Pattern>([parent, { prefix: path }, { exact: path }]);
}

function narrowAtom(dice: Dice, parent: Atom): Atom {
  if (dice.chance(30)) return atom(dice);
  switch (parent.op) {
    case "in":
      if (parent.type === "string") {
        const value = dice.pick(parent.values);
        return dice.pick<Atom>([
          parent,
          { op: "eq", type: "string", value },
          { ...parent, values: dice.part(parent.values) },
        ]);
      } else {
        const value = dice.pick(parent.values);
        return dice.pick<Atom>([
          parent,
          { op: "eq", type: "integer", value },
          { op: "range", type: "integer", min: value, max: value + 1 },
        ]);
      }
    case "range":
      return dice.pick<Atom>([
        parent,
        { ...parent, max: parent.min },
        { op: "eq", type: "integer", value: parent.max },
      ]);
    case "pat":
      return { ...parent, pattern: narrowPattern(dice, parent.pattern) };
    case "subset":
      return parent.of === "string"
        ? { ...parent, values: dice.part(parent.values) }
        : { ...parent, values: dice.part(parent.values) };
    case "maxlen":
      return dice.pick<Atom>([
        parent,
        { ...parent, bytes: dice.below(parent.bytes + 1) },
        { op: "in", type: "string", values: dice.part(STRINGS) },
      ]);
    case "not_in":
      return parent.type === "string"
        ? dice.pick<Atom>([
            parent,
            { ...parent, values: STRINGS.filter((value) => parent.values.includes(value) || dice.chance(50)) },
            { op: "pat", type: "string", pattern: pattern(dice) },
          ])
        : dice.pick<Atom>([
            parent,
            { ...parent, values: INTEGERS.filter((value) => parent.values.includes(value) || dice.chance(50)) },
            { op: "range", type: "integer", min: 1, max: 2 },
          ]);
    default:
      return parent;
  }
}

/** Grants that are meant to lie within `parents`; some do not, by chance or on purpose. */
export function narrower(dice: Dice, parents: readonly Grant[]): Grant[] {
  return tidy(
    Array.from({ length: 1 + dice.below(2) }, () => {
      const parent = dice.pick(parents);
      const named = Object.entries(parent.args).map(([name, atoms]): [string, Atom[]] => [
        name,
        ordered([...atoms.map((one) => narrowAtom(dice, one)), ...(dice.chance(20) ? [atom(dice)] : [])]),
      ]);
      if (!parent.closed && dice.chance(30)) {
        const name = dice.pick(NAMES);
        if (!named.some(([own]) => own === name)) named.push([name, [atom(dice)]]);
      }
      return {
        tool: parent.tool,
        classes: dice.part(parent.classes) as Grant["classes"],
        actions: parent.actions === "*" ? dice.pick<Grant["actions"]>(["*", ["call"]]) : dice.part(parent.actions),
        resource: narrowPattern(dice, parent.resource),
        args: Object.fromEntries(named),
        closed: parent.closed || dice.chance(20),
      };
    }),
  );
}

function value(dice: Dice): unknown {
  switch (dice.below(9)) {
    case 0:
    case 1:
      return dice.pick(STRINGS);
    case 2:
      return dice.pick(INTEGERS);
    case 3:
      return dice.chance(50);
    case 4:
      return dice.pick([1.5, -0.5, Number.MAX_SAFE_INTEGER]);
    case 5:
      return dice.pick<unknown>([null, {}, { a: 1 }]);
    case 6:
      return dice.pick<unknown>([[], ["a"], ["a", 1], [1.5], [["a"]], [null]]);
    case 7:
      return dice.part(INTEGERS);
    default:
      return dice.pick([LONG, `${LONG}a`, DEEP, DEEP.slice(2)]);
  }
}

function path(dice: Dice, of: Pattern): string {
  if (of === "any") return dice.pick(PATHS);
  if ("exact" in of) return of.exact;
  return of.prefix === "/" ? `/${dice.pick(["a", "a/b"])}` : dice.pick([of.prefix, `${of.prefix}/z`, `${of.prefix}z`]);
}

/** A value of which the atom is true, as far as it goes. */
function member(dice: Dice, of: Atom): unknown {
  switch (of.op) {
    case "eq":
      return of.value;
    case "in":
      return dice.pick<unknown>(of.values);
    case "range":
      return dice.pick([of.min, of.max]);
    case "pat":
      return path(dice, of.pattern);
    case "subset":
      return dice.part<unknown>(of.values);
    case "maxlen":
      return dice.pick(STRINGS);
    case "not_in":
      return of.type === "string" ? dice.pick(STRINGS) : dice.pick(INTEGERS);
  }
}

/** A need that a grant of the leaf mostly allows. */
export function need(dice: Dice, grants: readonly Grant[]): Need {
  const one = dice.pick(grants);
  const named: [string, unknown][] = [];
  for (const [name, atoms] of Object.entries(one.args)) {
    if (dice.chance(4)) continue;
    named.push([name, dice.chance(8) ? value(dice) : member(dice, dice.pick(atoms))]);
  }
  for (const name of NAMES) {
    if (dice.chance(10) && !named.some(([own]) => own === name)) named.push([name, value(dice)]);
  }
  const resource =
    one.resource === "any" && !dice.chance(40)
      ? undefined
      : dice.chance(10)
        ? dice.pick([...STRINGS, LONG, `${LONG}a`, DEEP])
        : path(dice, one.resource);
  return {
    tool: dice.chance(3) ? dice.pick(TOOLS) : one.tool,
    class: dice.chance(5) ? dice.pick(CLASSES) : dice.pick(one.classes),
    action: one.actions === "*" || dice.chance(5) ? dice.pick(ACTIONS) : dice.pick(one.actions),
    ...(resource === undefined ? {} : { resource }),
    args: Object.fromEntries(named),
  };
}
