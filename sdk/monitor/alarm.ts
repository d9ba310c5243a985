/**
 * What a monitor says. Evidence (the first four) does not go away: the log cannot take it back, and a monitor stops there.
 * Conditions hold until they do not.
 */
export const ALARMS = {
  equivocation: "The log signed two heads of which neither extends the other",
  rollback: "The log showed a head that is older than one that it signed before",
  tampered: "What the log serves does not hash to what it signed",
  broken: "An event is not where the log's promise placed it",
  invalid: "A checkpoint does not verify under the policy",
  overdue: "A promised event was not published in time",
  quorum: "Too few witnesses signed the newest checkpoint",
  stale: "Nothing was published for too long",
  unreachable: "The log cannot be read",
} as const;

export type AlarmName = keyof typeof ALARMS;
export const EVIDENCE: readonly AlarmName[] = ["equivocation", "rollback", "tampered", "broken"];

export interface Alarm {
  alarm: AlarmName;
  /** the log's origin, or `meta` before it is known */
  log: string;
  detail: string;
  /** signed notes that show it, so that anybody can check */
  evidence?: string[];
}

/** Ends a round: what comes after could only be about a log that is not one. */
export class Alarmed extends Error {
  readonly alarm: Alarm;
  constructor(alarm: Alarm) {
    super(`${ALARMS[alarm.alarm]}: ${alarm.detail}`);
    this.alarm = alarm;
  }
}
