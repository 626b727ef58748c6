/** The list of calls, kept up to date by summaries that come one by one. */

import type { CallSummary } from "../api/types";

export type Filter = { q: string; agent: string; carrier: string };

/** `calls` with each update in place of the call of the same id, new ones at the end. */
export function merged(calls: readonly CallSummary[], updates: readonly CallSummary[]): CallSummary[] {
  const byId = new Map(calls.map((call) => [call.id, call]));
  for (const update of updates) byId.set(update.id, update);
  return [...byId.values()];
}

/**
 * The loaded calls with the updates that belong among them: of calls that are shown, and of new ones that fit the
 * filter. The server looks into all that was said, so a call that it found stays.
 */
export function updated(
  loaded: readonly CallSummary[],
  updates: readonly CallSummary[],
  filter: Filter,
): CallSummary[] {
  const shown = new Set(loaded.map((call) => call.id));
  return ordered(
    merged(
      loaded,
      updates.filter((call) => shown.has(call.id) || passes(call, filter)),
    ),
  );
}

/** Live calls first, then the newest. */
export function ordered(calls: readonly CallSummary[]): CallSummary[] {
  const rank = (call: CallSummary) => (call.state === "live" ? 1 : 0);
  return calls.toSorted((one, other) => rank(other) - rank(one) || other.started_at.localeCompare(one.started_at));
}

/** Whether an update belongs into a list that was asked for with this filter. */
export function passes(call: CallSummary, filter: Filter): boolean {
  if (filter.agent && call.agent !== filter.agent) return false;
  if (filter.carrier && call.carrier !== filter.carrier) return false;
  const text = `${call.call_id} ${call.agent} ${call.preview}`.toLowerCase();
  return text.includes(filter.q.toLowerCase());
}
