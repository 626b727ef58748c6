import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { conversation } from "../src/call/conversation";
import { messagesOf } from "../src/realtime/saved";
import { CaptionLine } from "../src/ui/captions";
import { entry } from "./entries";

const REPLY = "We open at nine on Saturday.";
const created = entry(1, "agent.speech_created", { speech: 1, kind: "reply", turn: 1 });
const text = entry(1.1, "agent.text", { speech: 1, text: REPLY });
const started = entry(1.2, "agent.speech_started", { speech: 1 });
const cut = entry(2, "agent.speech_interrupted", { speech: 1, heard: "We open at", spoken: REPLY, generated: REPLY });

function shown(entries: Parameters<typeof conversation>[0], share: number | null = null): string {
  return conversation(entries)
    .map((line) => renderToStaticMarkup(<CaptionLine key={line.key} line={line} share={share} />))
    .join("");
}

test("what was not heard is struck, and said to be so to screen readers", () => {
  const html = shown([created, text, started, cut]);
  expect(html).toContain('data-testid="heard">We open at ');
  expect(html).toMatch(/<del[^>]*><span class="sr-only">Not heard: <\/span>nine on Saturday\.<\/del>/);
});

test("the words to come are lighter than those that were said", () => {
  const html = shown([created, text, started], 0.3);
  expect(html).toContain('We open at<span class="coming"> nine on Saturday.</span>');
});

test("interim words are told apart from final ones", () => {
  const said = (is_final: boolean) => entry(1, "user.transcription", { text: "Hello", is_final, utterance: 0 });
  expect(shown([said(false)])).toContain('data-testid="interim">Hello');
  expect(shown([said(true)])).not.toContain("interim");
});

test("a conversation that goes on after a reload remembers what was heard only", () => {
  const asked = entry(0.5, "user.transcription", { text: "When do you open?", is_final: true, utterance: 0 });
  expect(messagesOf(conversation([asked, created, text, started, cut]))).toEqual([
    { role: "user", text: "When do you open?" },
    { role: "assistant", text: "We open at" },
  ]);
});

test("keys are dots, and their number is said", () => {
  const html = shown([entry(1, "user.dtmf", { digit: "•" }), entry(1.3, "user.dtmf", { digit: "•" })]);
  expect(html).toContain('<span class="sr-only">2 keys pressed</span><span aria-hidden="true">●●</span>');
});

test("a handoff is a line in the new agent's colour", () => {
  const html = shown([
    entry(0, "session.started", { agent: "desk" }),
    entry(1, "agent.handoff", { previous_agent: "desk", new_agent: "billing", handoff_type: "discrete", reason: "" }),
  ]);
  expect(html).toContain('data-who="1"');
  expect(html).toContain('aria-label="hands over to"');
  expect(html).toContain("silently");
});
