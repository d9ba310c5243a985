/** Mutants of saved stretches of a log: the library that verifies one, and the command that takes several for one record. */
import { type Area, swap } from "./list.ts";

const by = "unit sdk/cli/audit-log.test.ts";

export const exports: Area[] = [
  {
    file: "sdk/export.ts",
    by,
    mutants: [
      swap("an export has as many leaves as its head says", "if («base + tree.size !== head.to») throw", "false"),
      swap("it is of the log that signed it", "if («signed.origin !== head.origin») throw", "false"),
      swap(
        "its leaves are those of the signed head",
        "«checkConsistency({ old: { size: tree.size, root: tree.root! }, head: signed, hashes });»",
        "",
      ),
    ],
  },
  {
    file: "sdk/cli/audit-log.ts",
    by,
    mutants: [
      swap("stretches follow each other", "if («before.to !== from») return false;", "false"),
      swap("a tree begins where the one before ended", "«first_seq !== from || »!isRecord(event)", ""),
      swap(
        "a tree is over when its last event says so",
        '!isRecord(event) ||« event.kind !== "frozen" ||» !isRecord',
        "",
      ),
      swap("the event that ends a tree names it", "return «event.meta.origin === before.origin && »event.meta", ""),
      swap(
        "the event that ends a tree has its first number",
        "before.origin« && event.meta.first_seq === before.first_seq»;",
        "",
      ),
      swap(
        "a tree has one first number",
        "if (before.origin === origin) return «before.first_seq === first_seq»;",
        "true",
      ),
    ],
  },
];
