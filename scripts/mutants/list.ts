/** What one mutant is. The lists beside this file hold them; scripts/mutants.ts runs them. */
export interface Mutant {
  /** the check that is taken away or changed, as the table names it */
  check: string;
  /** text that stands exactly once in the file; `«…»` marks the part that is changed, without marks it is all of it */
  find: string;
  /** in Rust an expression of the same type, in TypeScript any text */
  replace?: string;
  /** Rust only: statements that run before the text instead of replacing it */
  insert?: string;
  /** tests that are run, if others than the area's */
  by?: string;
  /** why no test can tell it from the original */
  equivalent?: string;
}

export interface Area {
  /** from the root of the repository */
  file: string;
  /** Rust: `base`, `lib`, `suite`, `log`, `log-suite`, `anchor-suite`, `bundle` or `bundle-suite` and filters of test names; TypeScript: a vitest project and a test file */
  by: string;
  mutants: Mutant[];
}

/** A part that is replaced: what, where, by what, and further fields. */
export const swap = (check: string, find: string, replace: string, more: Partial<Mutant> = {}): Mutant => ({
  check,
  find,
  replace,
  ...more,
});

/** Statements that run before a text. */
export const before = (check: string, find: string, insert: string, more: Partial<Mutant> = {}): Mutant => ({
  check,
  find,
  insert,
  ...more,
});

/** The text to look for and the span in it that is changed. */
export function parts(find: string): { text: string; from: number; to: number } {
  const from = find.indexOf("«");
  if (from < 0) return { text: find, from: 0, to: find.length };
  const to = find.indexOf("»") - 1;
  if (to < from) throw new Error(`no closing mark: ${find}`);
  return { text: find.replace("«", "").replace("»", ""), from, to };
}

/** Where in `source` the mutant changes something. @throws when its text does not stand there exactly once */
export function locate(source: string, { check, find }: Mutant): { from: number; to: number } {
  const { text, from, to } = parts(find);
  const at = source.indexOf(text);
  if (at < 0) throw new Error(`"${check}": not found: ${text}`);
  if (source.indexOf(text, at + 1) >= 0) throw new Error(`"${check}": found more than once: ${text}`);
  return { from: at + from, to: at + to };
}
