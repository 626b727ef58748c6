/** Where the time of each turn went. Pure: entries in, turns out. */

import type { Entry, TurnMetrics } from "./entries";
import { only } from "./entries";

export type StageId = "transcript" | "end_of_turn" | "first_token" | "first_audio";

/** One stage on the turn's axis: milliseconds after the caller's last voiced sound. */
export type Stage = { id: StageId; name: string; from_ms: number; to_ms: number };

export type Turn = {
  turn: number;
  at: number;
  question: string;
  isInterrupted: boolean;
  isSpeculative: boolean;
  firstAudio_ms: number | null;
  stages: Stage[];
};

/** Turns that a caller began and the log has measured, oldest first. */
export function measuredTurns(entries: readonly Entry[]): Turn[] {
  const asked = new Map<number, { at: number; text: string }>();
  for (const entry of only(entries, "user.turn_completed")) asked.set(entry.turn, { at: entry.at, text: entry.text });
  return only(entries, "turn.metrics").map((metrics) => ({
    turn: metrics.turn,
    at: asked.get(metrics.turn)?.at ?? metrics.at,
    question: asked.get(metrics.turn)?.text ?? "",
    isInterrupted: metrics.interrupted,
    isSpeculative: metrics.speculative,
    firstAudio_ms: metrics.first_audio_ms,
    stages: stages(metrics),
  }));
}

function stages(metrics: TurnMetrics): Stage[] {
  const { transcript_ms, end_of_turn_ms, first_token_ms, first_audio_ms, llm_ttft_ms, tts_ttfb_ms } = metrics;
  const found: Stage[] = [];
  const add = (id: StageId, name: string, to_ms: number | null, took_ms: number | null): void => {
    if (to_ms === null) return;
    const end = Math.max(0, to_ms);
    // A stage of unknown length is drawn as the moment of its end.
    found.push({ id, name, from_ms: Math.max(0, end - (took_ms ?? 0)), to_ms: end });
  };
  add("transcript", "Transcript", transcript_ms, Number.POSITIVE_INFINITY);
  add("end_of_turn", "End of turn", end_of_turn_ms, Number.POSITIVE_INFINITY);
  add("first_token", "First token", first_token_ms, llm_ttft_ms);
  add("first_audio", "First audio", first_audio_ms, tts_ttfb_ms);
  return found;
}

/** The value below which `share` of the values lie (nearest rank), or null of none. */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

/** The first-audio latencies of all measured turns. */
export function firstAudio(turns: readonly Turn[]): number[] {
  return turns.flatMap((turn) => (turn.firstAudio_ms === null ? [] : [turn.firstAudio_ms]));
}
