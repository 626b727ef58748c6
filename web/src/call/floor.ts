/** The lane of who may speak. Pure: entries in, bars out. */

import type { Entry, FloorPhase, KnownEntry } from "./entries";
import { only } from "./entries";
import type { Bar, Tone } from "./timeline";

const OWNERS: Record<FloorPhase, { tone: Tone; title: string } | null> = {
  opening: null,
  idle: null,
  hearing: { tone: "caller", title: "Caller has the floor" },
  pausing: { tone: "caller", title: "Caller pauses" },
  thinking: { tone: "wait", title: "Agent's turn: thinking" },
  speaking: { tone: "agent", title: "Agent has the floor" },
  overlap: { tone: "both", title: "Both speak" },
  held: { tone: "both", title: "Agent holds its breath" },
  ending: { tone: "agent", title: "Goodbye" },
  ended: null,
};

/** Who may speak, from one change to the next; equal neighbours are one bar. */
export function floor(entries: readonly Entry[]): Bar[] {
  const decisions = only(entries, "floor.decision");
  const bars: Bar[] = [];
  let phase: FloorPhase | null = null;
  for (const step of decisions.length > 0 ? decisions : impliedPhases(entries)) {
    if (step.phase === phase) continue;
    const open = bars.at(-1);
    if (open && open.end === null) open.end = step.at;
    phase = step.phase;
    const owner = OWNERS[phase];
    if (owner) bars.push({ key: `f${step.seq}`, start: step.at, end: null, detail: phase, ...owner });
  }
  return bars;
}

type PhaseStep = { seq: number; at: number; phase: FloorPhase };

/** The floor as the voices tell it: a call that is followed as it goes on comes without the decisions. */
function impliedPhases(entries: readonly Entry[]): PhaseStep[] {
  let isVoiced = false;
  const speaking = new Set<number>();
  let isAnswering = false;
  let isTurnOpen = false;
  const phase = (): FloorPhase => {
    if (isVoiced) return speaking.size ? "overlap" : "hearing";
    if (speaking.size) return "speaking";
    if (isAnswering) return "thinking";
    return isTurnOpen ? "pausing" : "idle";
  };
  return (entries as readonly KnownEntry[]).map((entry) => {
    switch (entry.type) {
      case "user.speech_started":
        isVoiced = isTurnOpen = true;
        break;
      case "user.speech_stopped":
        isVoiced = false;
        break;
      case "user.turn_completed":
        isTurnOpen = false;
        isAnswering = true;
        break;
      case "user.backchannel":
        isTurnOpen = entry.is_interruption;
        break;
      case "agent.speech_created":
        isAnswering ||= entry.kind === "reply";
        break;
      case "agent.speech_started":
        speaking.add(entry.speech);
        isAnswering = false;
        break;
      case "agent.speech_completed":
      case "agent.speech_interrupted":
        speaking.delete(entry.speech);
        break;
      case "session.ended":
        isVoiced = isAnswering = isTurnOpen = false;
    }
    return { seq: entry.seq, at: entry.at, phase: phase() };
  });
}
