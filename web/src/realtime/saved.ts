/** The call of this tab, kept so that a reload in its middle does not lose it. */

import type { Line } from "../call/conversation";
import type { SpeechKind } from "../call/entries";
import type { PastMessage } from "./events";
import type { Transport, Values } from "./links";

const SAVED = "antiphon.call";
/** A new session is told the last messages only. */
const MESSAGES = 60;

/** Said by the server to bridge a silence: no part of the conversation. */
const SMALL_TALK: ReadonlySet<SpeechKind> = new Set(["filler", "apology", "reminder"]);

export type SavedCall = {
  agent: string;
  scenario: string | null;
  values: Values;
  transport: Transport;
  messages: PastMessage[];
};

export function savedCall(): SavedCall | null {
  const text = sessionStorage.getItem(SAVED);
  return text ? (JSON.parse(text) as SavedCall) : null;
}

export function saveCall(call: SavedCall): void {
  sessionStorage.setItem(SAVED, JSON.stringify({ ...call, messages: call.messages.slice(-MESSAGES) }));
}

export function forgetCall(): void {
  sessionStorage.removeItem(SAVED);
}

/** What a new session has to know of the lines so far: final words, and of the agent's only what was heard. */
export function messagesOf(lines: readonly Line[]): PastMessage[] {
  return lines.flatMap((line): PastMessage[] => {
    if (line.kind === "caller" && line.isFinal) return [{ role: "user", text: line.text }];
    if (line.kind !== "agent" || line.state === "waiting" || SMALL_TALK.has(line.speechKind)) return [];
    const text = line.heard ?? line.text;
    return text ? [{ role: "assistant", text }] : [];
  });
}
