/** The lanes of who answers and of what happened beside speech. Pure: entries in, bars out. */

import { agentsOf } from "./conversation";
import type { Entry, EntryType, KnownEntry } from "./entries";
import { only } from "./entries";
import type { Sign } from "./happenings";
import { happening } from "./happenings";
import type { Bar, Tone } from "./timeline";

/** One bar for as long as an agent answers; none where only one does. */
export function answering(entries: readonly Entry[]): Bar[] {
  const agents = agentsOf(entries);
  if (agents.length < 2) return [];
  const bars: Bar[] = [];
  for (const entry of only(entries, "session.started", "agent.handoff")) {
    const open = bars.at(-1);
    if (open) open.end = entry.at;
    const name = entry.type === "session.started" ? entry.agent : entry.new_agent;
    const who = agents.indexOf(name);
    const detail = entry.type === "agent.handoff" ? entry.reason : "";
    bars.push({ key: `a${entry.seq}`, start: entry.at, end: null, tone: "agent", title: name, detail, who });
  }
  return bars;
}

/** What lasts: the entry that begins it, those that end it, and what it is called meanwhile. */
const LASTING: Partial<Record<EntryType, { ends: readonly EntryType[]; title: string; tone: Tone }>> = {
  "call.transferring": { ends: ["call.transferred", "call.transfer_failed"], title: "Transfer", tone: "wait" },
  "call.held": { ends: ["call.resumed"], title: "On hold", tone: "faint" },
  "recording.paused": { ends: ["recording.resumed"], title: "Not recorded", tone: "faint" },
};

/** Told by another lane, or by the end of the axis. */
const ELSEWHERE: ReadonlySet<Sign> = new Set(["agent", "end", "floor"]);

const TONES = { plain: "both", warn: "wait", error: "error" } as const;

/** Keys, transfers, holds, voicemail and the like: moments, and stretches of what lasts. */
export function notable(entries: readonly Entry[]): Bar[] {
  const bars: Bar[] = [];
  const open = new Map<string, Bar>();
  for (const entry of entries as readonly KnownEntry[]) {
    const key = `x${entry.seq}`;
    const begun = open.get(entry.type);
    const told = happening(entry);
    if (begun) {
      begun.end = entry.at;
      begun.detail = told?.text ?? "";
      if (told?.tone === "warn") begun.tone = "error";
      for (const [type, bar] of open) if (bar === begun) open.delete(type);
      continue;
    }
    const lasting = LASTING[entry.type];
    if (lasting) {
      const { title, tone } = lasting;
      const bar: Bar = { key, start: entry.at, end: null, tone, title, detail: told?.text ?? "" };
      for (const type of lasting.ends) open.set(type, bar);
      bars.push(bar);
    } else if (entry.type === "user.dtmf") {
      bars.push({ ...moment(key, entry.at), tone: "caller", title: "Key pressed" });
    } else if (told && !ELSEWHERE.has(told.sign)) {
      bars.push({ ...moment(key, entry.at), tone: TONES[told.tone], title: told.text });
    }
  }
  return bars;
}

function moment(key: string, at: number): Omit<Bar, "tone" | "title"> {
  return { key, start: at, end: at, detail: "", isMoment: true };
}
