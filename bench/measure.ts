/** Times, rows and what is printed of them. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");

export interface Row {
  case: string;
  unit: string;
  median: number;
  min: number;
  max: number;
  /** runs that the median is of */
  n: number;
}

export interface Report {
  name: string;
  commit: string;
  machine: Record<string, string | number>;
  rows: Row[];
  /** medians over the runs of what was measured in pairs */
  ratios: Record<string, number>;
  /** rows that could not be measured, and why */
  left_out: Record<string, string>;
  /** where the time went, for people */
  profile?: string;
}

/** What all benchmarks are told. */
export interface Options {
  /** a few seconds in all: shows that everything runs, says nothing about speed */
  smoke: boolean;
  /** the long memory run */
  full: boolean;
  /** only cases that begin with this */
  only: string;
  /** runs of each case, at least five */
  rounds: number;
  /** http: take a CPU profile of this case instead, or "" */
  profile: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which the given share of `values` lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Four significant digits: more is noise. */
export const round = (value: number): number => Number(value.toPrecision(4));

export function row(name: string, unit: string, values: readonly number[]): Row {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return { case: name, unit, median: round(median(values)), min: round(least), max: round(most), n: values.length };
}

/** The median of the quotients of paired runs. */
export function ratio(over: readonly number[], under: readonly number[]): number {
  return round(median(over.map((value, i) => value / under[i]!)));
}

/** A report to be filled; the load is that at the start, and `finishReport` adds the one at the end. */
export function startReport(name: string): Report {
  const [cpu] = cpus();
  const git = (...args: string[]): string => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "crypto-wasm", "workers", "durable-objects", "bench") !== "";
  return {
    name,
    commit: git("rev-parse", "--short", "HEAD") + (changed ? " with changes" : ""),
    machine: {
      cpu: cpu?.model ?? "unknown",
      cores: cpus().length,
      node: process.versions.node,
      taken: new Date().toISOString(),
      load_at_start: round(loadavg()[0]!),
    },
    rows: [],
    ratios: {},
    left_out: {},
  };
}

export function finishReport(report: Report): Report {
  report.machine.load_at_end = round(loadavg()[0]!);
  return report;
}

/** The report as a table for people. */
export function table(report: Report): string {
  const machine = Object.entries(report.machine).map(([name, value]) => `${name} ${value}`);
  const cells = report.rows.map((r) => [r.case, r.unit, ...[r.median, r.min, r.max, r.n].map(String)]);
  const lines = [["case", "unit", "median", "min", "max", "n"], ...cells];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const print = (line: string[]): string =>
    line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  const pairs = (title: string, of: Record<string, unknown>): string[] =>
    Object.keys(of).length === 0 ? [] : ["", title, ...Object.entries(of).map(([key, value]) => `  ${key}  ${value}`)];
  return [
    `${report.name} at ${report.commit}; ${machine.join(", ")}`,
    "",
    ...lines.map(print),
    ...pairs("ratios", report.ratios),
    ...pairs("left out", report.left_out),
    ...(report.profile === undefined ? [] : ["", report.profile]),
    "",
  ].join("\n");
}
