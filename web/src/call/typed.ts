import type { Entry } from "./entries";

/**
 * The entries with one more.
 *
 * What was typed here is shown at once, under a number below zero; when the log tells it too, that takes its place.
 */
export function withEntry(entries: readonly Entry[], entry: Entry): Entry[] {
  const isOwn = (known: Entry) => known.seq < 0 && textOf(known) === textOf(entry);
  const own = entry.seq > 0 && textOf(entry) !== null ? entries.findIndex(isOwn) : -1;
  return [...entries.filter((_, index) => index !== own), entry];
}

function textOf(entry: Entry): string | null {
  return entry.type === "user.typed" ? (entry as Entry & { text: string }).text : null;
}
