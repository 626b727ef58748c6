import { expect, test } from "vitest";
import { firstAudio, measuredTurns, percentile } from "../src/call/latency";
import { entry, recordedCall } from "./entries";

test("a recorded call has a waterfall for each turn of the caller", () => {
  const turns = measuredTurns(recordedCall());
  expect(turns.map((turn) => turn.turn)).toEqual([2, 3, 4, 5, 6]);
  expect(turns[0]).toMatchObject({ question: "What time do you open on Saturday?", firstAudio_ms: 1730.2 });
  expect(turns[0]?.stages.map((stage) => stage.id)).toEqual([
    "transcript",
    "end_of_turn",
    "first_token",
    "first_audio",
  ]);
});

test("a stage is as long as it took and ends when it was done", () => {
  const [turn] = measuredTurns(recordedCall());
  const token = turn?.stages.find((stage) => stage.id === "first_token");
  expect(token?.to_ms).toBe(848.9);
  expect(token?.from_ms).toBeCloseTo(848.9 - 591.0, 3);
});

test("what was not measured is left out", () => {
  const metrics = entry(3, "turn.metrics", {
    turn: 1,
    interrupted: true,
    speculative: false,
    end_of_turn_ms: 300,
    transcript_ms: -20,
    first_token_ms: null,
    first_audio_ms: null,
    llm_ttft_ms: null,
    tts_ttfb_ms: null,
  });
  const [turn] = measuredTurns([metrics]);
  expect(turn?.stages).toEqual([
    { id: "transcript", name: "Transcript", from_ms: 0, to_ms: 0 },
    { id: "end_of_turn", name: "End of turn", from_ms: 0, to_ms: 300 },
  ]);
  expect(firstAudio([turn].flatMap((each) => each ?? []))).toEqual([]);
});

test("percentiles are of the nearest rank", () => {
  expect(percentile([], 0.5)).toBeNull();
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(percentile([1, 2, 3, 4], 0.95)).toBe(4);
});
