/** The events of the Realtime protocol that the page reads and writes. */

import type { Entry } from "../call/entries";

export type ServerEvent =
  | { type: "session.created" }
  | { type: "antiphon.event"; entry: Entry }
  | { type: "input_audio_buffer.speech_started"; item_id: string }
  | { type: "response.created"; response: { id: string } }
  | { type: "response.done"; response: { id: string; status: string } }
  | { type: "response.output_audio.delta"; item_id: string; delta: string }
  | { type: "response.output_audio.done"; item_id: string }
  | { type: "error"; error: { code: string | null; message: string } };

export type ClientEvent = { type: string; [field: string]: unknown };

/** One finished line of a conversation, as it is given to a new session. */
export type PastMessage = { role: "user" | "assistant"; text: string };

export function messageItem({ role, text }: PastMessage): ClientEvent {
  const part = { type: role === "user" ? "input_text" : "output_text", text };
  return { type: "conversation.item.create", item: { type: "message", role, content: [part] } };
}
