import { describe, expect, test } from "vitest";
import type { AgentLine, CallerLine, ToolLine } from "../src/call/conversation";
import { conversation, saidLength, unheardPart } from "../src/call/conversation";
import type { Entry } from "../src/call/entries";
import { withEntry } from "../src/call/typed";
import { entry, recordedCall } from "./entries";

const lines = conversation(recordedCall());
const agentLines = lines.filter((line): line is AgentLine => line.kind === "agent");
const callerLines = lines.filter((line): line is CallerLine => line.kind === "caller");

describe("a recorded call", () => {
  test("has every utterance once, in its final words", () => {
    expect(callerLines.map((line) => line.text)).toEqual([
      "What time do you open on Saturday?",
      "How much is a cleaning?",
      "Uh-huh.",
      "Please book a cleaning on Tuesday at 10 in the morning.",
      "Are you open on Sunday?",
      "Thank you very much, goodbye.",
    ]);
    expect(callerLines.every((line) => line.isFinal)).toBe(true);
  });

  test("puts the filler before the reply it covers for, as it was heard", () => {
    const texts = agentLines.map((line) => line.text);
    expect(texts.indexOf("One moment, please.")).toBeLessThan(
      texts.indexOf("Done: the cleaning is booked for Tuesday at 10 am."),
    );
  });

  test("tells what of the cut reply was not heard", () => {
    const cut = agentLines.find((line) => line.state === "interrupted");
    expect(cut).toMatchObject({ heard: "", unheard: "Done: the cleaning is booked for Tuesday at 10 am." });
  });

  test("joins clauses with one space", () => {
    expect(agentLines.map((line) => line.text)).toContain("On Sunday we are closed, so nobody can come on Sunday.");
  });

  test("tells a listening sound from an interruption", () => {
    const overlaps = callerLines.map((line) => line.overlap);
    expect(overlaps).toEqual([null, null, "backchannel", null, "interruption", null]);
  });

  test("has the tools with arguments and results", () => {
    const tools = lines.filter((line): line is ToolLine => line.kind === "tool");
    expect(tools.map((tool) => tool.name)).toEqual(["book_appointment", "end_call"]);
    expect(tools[0]).toMatchObject({
      arguments: { service: "cleaning", day: "Tuesday", time: "10 in the morning" },
      output: "Done: the cleaning is booked for Tuesday at 10 am.",
      duration_ms: 11.5,
    });
  });

  test("is the same conversation at every moment of it, only shorter", () => {
    const entries = recordedCall();
    for (let count = 0; count <= entries.length; count += 7) {
      const early = conversation(entries.slice(0, count));
      const known = new Set(lines.map((line) => line.key));
      for (const line of early) expect(known).toContain(line.key);
    }
  });
});

test("interim words are replaced until they are final", () => {
  const said = (text: string, is_final: boolean) => entry(1, "user.transcription", { text, is_final, utterance: 0 });
  const early = [entry(0.5, "user.speech_started", { speech_at: 0.4 }), said("how", false), said("how much", false)];
  expect(conversation(early)).toMatchObject([{ kind: "caller", text: "how much", isFinal: false, at: 0.4 }]);
  expect(conversation([...early, said("How much?", true)])).toMatchObject([{ text: "How much?", isFinal: true }]);
});

test("noise without words leaves no line", () => {
  const entries = [
    entry(0.5, "user.speech_started", { speech_at: 0.4 }),
    entry(1, "user.transcription", { text: "", is_final: true, utterance: 0 }),
  ];
  expect(conversation(entries)).toEqual([]);
});

test("a typed turn is a line of its own", () => {
  const typed = entry(2, "user.turn_completed", { turn: 1, text: "Hello", trigger: "text", probability: null });
  expect(conversation([typed])).toMatchObject([{ kind: "caller", text: "Hello", isTyped: true, isFinal: true }]);
});

test("a later word on how much was heard takes the place of the earlier one", () => {
  const created = entry(1, "agent.speech_created", { speech: 1, kind: "reply", turn: 1 });
  const text = entry(1.1, "agent.text", { speech: 1, text: "We open at nine on Saturday." });
  const cut = (heard: string) =>
    entry(2, "agent.speech_interrupted", { speech: 1, heard, spoken: "", generated: "We open at nine on Saturday." });
  const [line] = conversation([created, text, cut("We open at nine"), cut("We open")]);
  expect(line).toMatchObject({ heard: "We open", unheard: "at nine on Saturday." });
});

test("a reply that failed before its first sound was not heard", () => {
  const lines = conversation([
    entry(1, "agent.speech_created", { speech: 1, kind: "reply", turn: 2 }),
    entry(1.1, "agent.text", { speech: 1, text: "We open at nine." }),
    entry(2, "turn.completed", { turn: 2, user_text: "", agent_text: "", agent_first: false, interrupted: true }),
  ]);
  expect(lines).toMatchObject([{ state: "interrupted", heard: "", unheard: "We open at nine." }]);
});

test("an entry of an unknown type is told as it is", () => {
  const lines = conversation([entry(1, "future.big_thing", { text: "?", size: 3, nothing: null })]);
  expect(lines).toMatchObject([{ kind: "note", text: "future: big thing (text ?, size 3)" }]);
});

test("keys in a row are one line, and the turn that they make is no second one", () => {
  const key = (at: number) => entry(at, "user.dtmf", { digit: "•" });
  const turn = (text: string) => entry(3, "user.turn_completed", { turn: 1, text, trigger: "dtmf", probability: null });
  expect(conversation([key(1), key(1.5), key(2), turn("•••")])).toMatchObject([{ kind: "keys", at: 1, count: 3 }]);
  const lines = conversation([key(1), turn("My number is •")]);
  expect(lines).toMatchObject([{ kind: "keys" }, { kind: "caller", text: "My number is •" }]);
});

test("each agent has its colour, and one that comes back welcomes back", () => {
  const speech = (at: number, number: number) => [
    entry(at, "agent.speech_created", { speech: number, kind: "greeting", turn: number }),
    entry(at + 0.1, "agent.text", { speech: number, text: "Hello." }),
  ];
  const handoff = (at: number, previous_agent: string, new_agent: string, handoff_type = "announced") =>
    entry(at, "agent.handoff", { previous_agent, new_agent, handoff_type, reason: "a bill" });
  const lines = conversation([
    entry(0, "session.started", { agent: "reception" }),
    ...speech(1, 1),
    handoff(2, "reception", "billing"),
    ...speech(3, 2),
    handoff(4, "billing", "reception", "discrete"),
    ...speech(5, 3),
  ]);
  expect(lines).toMatchObject([
    { kind: "agent", agent: "reception", who: 0, speechKind: "greeting" },
    { kind: "handoff", from: "reception", to: "billing", who: 1, isDiscrete: false, reason: "a bill" },
    { kind: "agent", agent: "billing", who: 1, speechKind: "greeting" },
    { kind: "handoff", to: "reception", who: 0, isDiscrete: true },
    { kind: "agent", agent: "reception", who: 0, speechKind: "welcome_back" },
  ]);
});

test("the call of a handoff that was accepted is no card beside its line", () => {
  const called = (id: string) => entry(1, "tool.called", { id, name: "handoff_to_billing", arguments: {} });
  const executed = (id: string, output: string) =>
    entry(1.1, "tool.executed", { id, name: "handoff_to_billing", output, is_error: false, duration_ms: 0 });
  expect(conversation([called("a"), executed("a", '{"handoff":"accepted","target":"billing"}')])).toEqual([]);
  expect(conversation([called("b"), executed("b", '{"success":false}')])).toMatchObject([{ kind: "tool" }]);
});

test("a collector is one card from its start to its result", () => {
  const about = { agent_tool_type: "collect_email", agent_tool_id: "t1" };
  const started = entry(1, "agent_tool.started", about);
  expect(conversation([started])).toMatchObject([{ name: "collect_email", isCollector: true, duration_ms: null }]);
  const done = entry(9, "agent_tool.completed", { ...about, result: { email_address: "ada@example.com" } });
  expect(conversation([started, done])).toMatchObject([
    { arguments: { email_address: "ada@example.com" }, isError: false, duration_ms: 8000 },
  ]);
  const failed = entry(9, "agent_tool.failed", { ...about, error: "the model does not answer" });
  expect(conversation([started, failed])).toMatchObject([{ output: "the model does not answer", isError: true }]);
});

test.each([
  ["We open at nine.", "We open", "at nine."],
  ["We open at nine.", "", "We open at nine."],
  ["We open at nine.", "We open at nine.", ""],
  ["We  open\nat nine.", "We open at", "nine."],
])("of %j with %j heard, %j was not", (generated, heard, unheard) => {
  expect(unheardPart(generated, heard)).toBe(unheard);
});

test("words are said whole, or not yet", () => {
  expect("We open at nine.".slice(0, saidLength("We open at nine.", 0.3))).toBe("We open");
  expect(saidLength("We open", 0)).toBe(0);
  expect(saidLength("We open", 1)).toBe(7);
});

test("what was typed is shown at once, and once", () => {
  const own: Entry = { seq: -1, at: 2, type: "user.typed", text: "Hello" };
  const other: Entry = { seq: -2, at: 3, type: "user.typed", text: "Are you there?" };
  const both = [own, other].reduce<Entry[]>(withEntry, []);
  expect(conversation(both)).toMatchObject([{ text: "Hello", isTyped: true }, { text: "Are you there?" }]);
  const told: Entry = { seq: 9, at: 2.1, type: "user.typed", text: "Hello" };
  expect(withEntry(both, told)).toEqual([other, told]);
});
