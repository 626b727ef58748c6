import { expect, test } from "vitest";
import type { CallSummary } from "../src/api/types";
import { merged, ordered, passes, updated } from "../src/call/list";

function call(id: string, fields: Partial<CallSummary> = {}): CallSummary {
  return {
    id,
    call_id: id,
    carrier: "twilio",
    agent: "front-desk",
    started_at: `2026-01-0${id}T10:00:00+00:00`,
    duration_s: 10,
    state: "ended",
    end_reason: "user_hangup",
    turns: 1,
    first_audio_p50_ms: 800,
    interruptions: 0,
    has_recording: true,
    preview: "When do you open?",
    ...fields,
  };
}

test("an update takes the place of the call it is about", () => {
  const updated = merged([call("1"), call("2")], [call("2", { turns: 5 }), call("3")]);
  expect(updated.map(({ id, turns }) => [id, turns])).toEqual([
    ["1", 1],
    ["2", 5],
    ["3", 1],
  ]);
});

test("live calls come first, then the newest", () => {
  const list = ordered([call("1", { state: "live" }), call("2"), call("3")]);
  expect(list.map(({ id }) => id)).toEqual(["1", "3", "2"]);
});

test("a call that the server found stays in the list whatever its summary says", () => {
  const filter = { q: "insurance", agent: "", carrier: "" };
  const list = updated([call("1")], [call("1", { turns: 9 }), call("2")], filter);
  expect(list.map(({ id, turns }) => [id, turns])).toEqual([["1", 9]]);
});

test("an update that the filter leaves out is not shown", () => {
  const any = { q: "", agent: "", carrier: "" };
  expect(passes(call("1"), any)).toBe(true);
  expect(passes(call("1"), { ...any, q: "OPEN" })).toBe(true);
  expect(passes(call("1"), { ...any, q: "closed" })).toBe(false);
  expect(passes(call("1"), { ...any, agent: "billing" })).toBe(false);
  expect(passes(call("1"), { ...any, carrier: "plivo" })).toBe(false);
});
