import { expect, test } from "vitest";
import { happening } from "../src/call/happenings";
import { entry, recordedCall } from "./entries";

test.each([
  ["user_hangup", null, "The caller hung up", "plain"],
  ["transferred", null, "The call ended here: the caller was put through", "plain"],
  ["voicemail", null, "The call ended: a machine had answered", "plain"],
  ["error", "the line is gone", "The call ended with an error: the line is gone", "error"],
  ["some_new_reason", null, "The call is over: some new reason", "plain"],
])("the end by %s is told in words", (reason, error, text, tone) => {
  expect(happening(entry(9, "session.ended", { reason, error, duration_s: 9, turns: 1 }))).toEqual({
    sign: "end",
    text,
    tone,
  });
});

test.each([
  [
    "call.transferring",
    { name: "Service desk", destination: "+1•••" },
    "The caller is being put through to Service desk",
  ],
  ["call.transferred", { name: "", destination: "sip:desk" }, "The caller was put through to sip:desk"],
  ["call.transfer_failed", { name: "Service desk", code: "no_answer" }, "Not put through to Service desk: no answer"],
  ["voicemail.detected", { result: "machine" }, "A machine has answered"],
  ["voicemail.detected", { result: "human" }, "A person has answered"],
  ["recording.paused", { by: "agent" }, "Recording paused"],
  ["background.changed", { sound: "office", volume: 0.3, loop: true }, "Background: office"],
  ["background.changed", { sound: null, volume: 0, loop: false }, "Background: none"],
  ["llm.availability_changed", { llm: "openai/x", available: false, reason: "429" }, "openai/x fails: 429"],
  ["stt.availability_changed", { stt: "deepgram/y", available: true, reason: "" }, "deepgram/y is well again"],
])("%s is told in words", (type, fields, text) => {
  expect(happening(entry(1, type, fields))?.text).toBe(text);
});

test("of a whole call only what is not speech is told", () => {
  const told = recordedCall().flatMap((each) => (happening(each) ? [each.type] : []));
  expect(told).not.toContain("turn.metrics");
  expect(told.at(-1)).toBe("session.ended");
});
