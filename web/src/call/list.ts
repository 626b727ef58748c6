/** The list of calls, kept up to date by summaries that come one by one. */

import type { CallSummary } from "../api/types";

/** `calls` with each update in place of the call of the same id, new ones at the end. */
export function merged(calls: readonly CallSummary[], updates: readonly CallSummary[]): CallSummary[] {
  const byId = new Map(calls.map((call) => [call.id, call]));
  for (const update of updates) byId.set(update.id, update);
  return [...byId.values()];
}

/** Live calls first, then the newest. */
export function ordered(calls: readonly CallSummary[]): CallSummary[] {
  const rank = (call: CallSummary) => (call.state === "live" ? 1 : 0);
  return calls.toSorted((one, other) => rank(other) - rank(one) || other.started_at.localeCompare(one.started_at));
}

/** Whether an update belongs into a list that was asked for with this filter. */
export function passes(call: CallSummary, filter: { q: string; agent: string; carrier: string }): boolean {
  if (filter.agent && call.agent !== filter.agent) return false;
  if (filter.carrier && call.carrier !== filter.carrier) return false;
  const text = `${call.call_id} ${call.agent} ${call.preview}`.toLowerCase();
  return text.includes(filter.q.toLowerCase());
}
