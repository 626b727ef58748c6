import { describe, expect, test } from "vitest";
import type { Entry } from "../src/call/entries";
import type { LaneId, Timeline } from "../src/call/timeline";
import { timeline } from "../src/call/timeline";
import { entry, recordedCall } from "./entries";

function lane(drawn: Timeline, id: LaneId) {
  return drawn.lanes.find((each) => each.id === id)?.bars ?? [];
}

describe("a recorded call", () => {
  const drawn = timeline(recordedCall());

  test("ends with the call, and every bar has ended in it", () => {
    expect(drawn.end).toBeCloseTo(39.557, 2);
    for (const { id, bars } of drawn.lanes) {
      for (const bar of bars) {
        expect(bar.end, `${id} ${bar.key}`).not.toBeNull();
        expect(bar.end ?? 0, `${id} ${bar.key}`).toBeGreaterThanOrEqual(bar.start);
        expect(bar.end ?? 0, `${id} ${bar.key}`).toBeLessThanOrEqual(drawn.end);
      }
    }
  });

  test("marks the turns that the caller ended", () => {
    expect(drawn.turns.map((mark) => mark.turn)).toEqual([2, 3, 4, 5, 6]);
  });

  test("has a bar for each stretch of the caller's voice", () => {
    expect(lane(drawn, "caller")).toHaveLength(6);
    expect(lane(drawn, "caller")[0]).toMatchObject({ start: 4.586, end: 6.458 });
  });

  test("counts the end of a turn from the last voiced sound", () => {
    expect(lane(drawn, "endpointing")[0]).toMatchObject({ start: 6.458, end: 6.8087, tone: "wait" });
    expect(lane(drawn, "endpointing")[2]).toMatchObject({ title: "Not a turn", tone: "faint" });
  });

  test("begins the model's bar at the request that the metrics tell, before the turn was sure", () => {
    const [first] = lane(drawn, "llm");
    expect(first?.start).toBeCloseTo(6.458 + 0.8489 - 0.591, 3);
    expect(first?.start).toBeLessThan(drawn.turns[0]?.at ?? 0);
  });

  test("leaves a gap where the agent held its breath", () => {
    const parts = lane(drawn, "agent").filter((bar) => bar.key.startsWith("p3."));
    expect(parts).toHaveLength(2);
    expect(parts[0]?.end).toBeCloseTo(17.827, 3);
    expect(parts[1]?.start).toBeCloseTo(18.1193, 3);
  });

  test("tears the bar of the reply that was cut", () => {
    expect(lane(drawn, "agent").filter((bar) => bar.isCut)).toHaveLength(1);
  });

  test("gives the floor to one at a time", () => {
    const bars = lane(drawn, "floor");
    for (const [index, bar] of bars.entries()) {
      const next = bars[index + 1];
      if (next) expect(bar.end ?? 0).toBeLessThanOrEqual(next.start);
    }
  });
});

test("without decisions the floor follows from the voices", () => {
  const heard = recordedCall().filter((each) => each.type !== "floor.decision");
  const tones = lane(timeline(heard), "floor").map((bar) => bar.detail);
  expect(tones.slice(0, 6)).toEqual(["speaking", "hearing", "pausing", "thinking", "speaking", "hearing"]);
  expect(tones).toContain("overlap");
});

test("in a live call what goes on has no end yet", () => {
  const entries: Entry[] = [
    entry(1, "user.speech_started", { speech_at: 0.9 }),
    entry(2, "tool.called", { id: "a", name: "look_up", arguments: {} }),
  ];
  const drawn = timeline(entries);
  expect(lane(drawn, "caller")).toMatchObject([{ start: 0.9, end: null }]);
  expect(lane(drawn, "tools")).toMatchObject([{ title: "look_up", end: null }]);
  expect(drawn.end).toBe(2);
});

test("a reply that failed leaves nothing open behind its turn", () => {
  const drawn = timeline([
    entry(1, "user.turn_completed", { turn: 1, text: "Hello", trigger: "silence", probability: null }),
    entry(1, "agent.speech_created", { speech: 1, kind: "reply", turn: 1 }),
    entry(2, "agent.text", { speech: 1, text: "Good morning." }),
    entry(3, "session.error", { code: "tts_unavailable", message: "The voice was silent." }),
    entry(4, "turn.completed", { turn: 1, user_text: "Hello", agent_text: "", agent_first: false, interrupted: true }),
  ]);
  expect(lane(drawn, "llm")).toMatchObject([{ start: 1, end: 2 }]);
  expect(lane(drawn, "tts")).toMatchObject([{ start: 2, end: 4 }]);
});

test("a turn that was taken back is marked where it ended at last", () => {
  const over = (at: number) =>
    entry(at, "user.turn_completed", { turn: 3, text: "Hello", trigger: "silence", probability: null });
  expect(timeline([over(1), over(4)]).turns).toEqual([{ turn: 3, at: 4 }]);
});

test("a tool that failed is told apart", () => {
  const entries: Entry[] = [
    entry(2, "tool.called", { id: "a", name: "look_up", arguments: {} }),
    entry(3, "tool.executed", { id: "a", name: "look_up", output: "no line", is_error: true, duration_ms: 1000 }),
  ];
  expect(lane(timeline(entries), "tools")).toMatchObject([{ tone: "error", end: 3, detail: "no line" }]);
});

describe("what the contact center adds", () => {
  const handoff = (at: number, previous_agent: string, new_agent: string) =>
    entry(at, "agent.handoff", { previous_agent, new_agent, handoff_type: "announced", reason: "" });

  test("a call of one agent without events has no lanes for them", () => {
    const ids = timeline([entry(0, "session.started", { agent: "desk" })]).lanes.map((each) => each.id);
    expect(ids).not.toContain("answering");
    expect(ids).not.toContain("notable");
  });

  test("who answers, from handoff to handoff, and each speech in its agent's colour", () => {
    const drawn = timeline([
      entry(0, "session.started", { agent: "desk" }),
      handoff(4, "desk", "billing"),
      entry(4.1, "agent.speech_created", { speech: 1, kind: "greeting", turn: 1 }),
      entry(4.5, "agent.speech_started", { speech: 1 }),
      handoff(9, "billing", "desk"),
    ]);
    expect(lane(drawn, "answering")).toMatchObject([
      { title: "desk", start: 0, end: 4, who: 0 },
      { title: "billing", start: 4, end: 9, who: 1 },
      { title: "desk", start: 9, end: null, who: 0 },
    ]);
    expect(lane(drawn, "agent")).toMatchObject([{ start: 4.5, who: 1 }]);
  });

  test("keys are dots; holds, pauses and transfers last", () => {
    const drawn = timeline([
      entry(1, "user.dtmf", { digit: "•" }),
      entry(2, "recording.paused", { by: "collector" }),
      entry(3, "recording.resumed", { by: "collector" }),
      entry(4, "call.transferring", { destination: "x", name: "Service", kind: "warm", reason: "" }),
      entry(9, "call.transfer_failed", { destination: "x", name: "Service", code: "busy" }),
    ]);
    expect(lane(drawn, "notable")).toMatchObject([
      { start: 1, end: 1, isMoment: true, tone: "caller" },
      { start: 2, end: 3, title: "Not recorded" },
      { start: 4, end: 9, title: "Transfer", tone: "error", detail: "Not put through to Service: busy" },
    ]);
  });

  test("a collector is a bar among the tools", () => {
    const about = { agent_tool_type: "collect_digits", agent_tool_id: "t1" };
    const drawn = timeline([
      entry(1, "agent_tool.started", about),
      entry(7, "agent_tool.completed", { ...about, result: {} }),
    ]);
    expect(lane(drawn, "tools")).toMatchObject([{ title: "collect_digits", start: 1, end: 7, tone: "tool" }]);
  });
});
