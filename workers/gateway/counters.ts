/**
 * What this isolate asked of others since it started. Readiness shows it to an operator; tests count with it that a
 * decision in the steady state fetches nothing.
 */
export const counters = {
  requests: 0,
  /** heads asked of TenantHead */
  head_asks: 0,
  /** bodies read from KV */
  kv_reads: 0,
  /** bodies that the object had to serve */
  body_asks: 0,
  policy_compiles: 0,
  filter_loads: 0,
  /** exact revocation look-ups */
  lookups: 0,
  /** requests admitted by asking a gate */
  gate_asks: 0,
  /** reads admitted from a lease */
  lease_reads: 0,
  /** leases topped up behind a request */
  lease_asks: 0,
  log_appends: 0,
  upstream_calls: 0,
  /** failures before the caller was authenticated: counted, never appended to a tenant's log */
  unauthenticated: 0,
  /** buffered events given up after retries; each also has an error line */
  events_lost: 0,
  /** values that the policy keeps and no vault took; each also has an error line, and is `unsealed` in its vault */
  values_lost: 0,
};
