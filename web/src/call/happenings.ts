/** What a log tells beside speech, in words: one function from an entry to what people read. Pure. */

import type { Entry, KnownEntry } from "./entries";

/** What kind of thing it was: the sign before its words. */
export type Sign =
  | "agent"
  | "transfer"
  | "voicemail"
  | "recording"
  | "sound"
  | "hold"
  | "floor"
  | "approval"
  | "warning"
  | "end"
  | "other";

export type Tone = "plain" | "warn" | "error";
export type Happening = { sign: Sign; text: string; tone: Tone };

/** Said in other places, or of no use to people: the raw events hold them. */
const SILENT: ReadonlySet<string> = new Set([
  "session.started",
  "session.manners",
  "session.usage",
  "user.speech_started",
  "user.speech_stopped",
  "user.transcription",
  "user.typed",
  "user.turn_completed",
  "user.backchannel",
  "user.state_changed",
  "user.dtmf",
  "agent.state_changed",
  "agent.speech_created",
  "agent.speech_started",
  "agent.text",
  "agent.speech_completed",
  "agent.speech_interrupted",
  "agent_tool.started",
  "agent_tool.completed",
  "agent_tool.failed",
  "tool.called",
  "tool.executed",
  "turn.completed",
  "turn.metrics",
  "floor.decision",
]);

/** How a call ended, as a sentence. */
const ENDINGS: Record<string, string> = {
  user_hangup: "The caller hung up",
  agent_hangup: "The agent ended the call",
  idle_timeout: "The call ended: nothing was heard from the caller",
  transferred: "The call ended here: the caller was put through",
  time_limit: "The call ended at its time limit",
  drained: "The call ended: the server was shutting down",
  voicemail: "The call ended: a machine had answered",
  stop_word: "The call ended as the caller asked",
  error: "The call ended with an error",
};

/** What an entry tells in words; null where there is nothing to say. Types that are not known here are told as they are. */
export function happening(entry: Entry): Happening | null {
  if (SILENT.has(entry.type)) return null;
  return known(entry as KnownEntry) ?? unknown(entry);
}

function plain(sign: Sign, text: string): Happening {
  return { sign, text, tone: "plain" };
}

function known(entry: KnownEntry): Happening | undefined {
  switch (entry.type) {
    case "agent.handoff": {
      const reason = entry.reason ? `: ${entry.reason}` : "";
      return plain("agent", `${entry.previous_agent} hands over to ${entry.new_agent}${reason}`);
    }
    case "agent.false_interruption":
      return plain("floor", entry.resumed ? "Only listening: the agent goes on" : "No words: the reply was dropped");
    case "user.idle":
      return plain(
        "floor",
        entry.reason === "no_response" ? "No answer from the caller" : "Nothing was heard from the caller for too long",
      );
    case "tool.approval_requested":
      return { sign: "approval", text: `${entry.name} waits for approval: ${entry.prompt}`, tone: "warn" };
    case "tool.approval_decided":
      return plain("approval", `${entry.name} was ${entry.approved ? "approved" : "rejected"}`);
    case "call.transferring":
      return plain("transfer", `The caller is being put through to ${entry.name || entry.destination}`);
    case "call.transferred":
      return plain("transfer", `The caller was put through to ${entry.name || entry.destination}`);
    case "call.transfer_failed": {
      const why = entry.code ? `: ${entry.code.replaceAll("_", " ")}` : "";
      return { sign: "transfer", text: `Not put through to ${entry.name || entry.destination}${why}`, tone: "warn" };
    }
    case "call.held":
      return plain("hold", "The caller is on hold");
    case "call.resumed":
      return plain("hold", "The caller is back from hold");
    case "voicemail.detected":
      return plain("voicemail", entry.result === "machine" ? "A machine has answered" : "A person has answered");
    case "voicemail.beep":
      return plain("voicemail", "The beep: the message can be left");
    case "recording.paused":
      return plain("recording", "Recording paused");
    case "recording.resumed":
      return plain("recording", "Recording goes on");
    case "play.completed":
      return plain("sound", entry.interrupted ? "The playback was cut" : "Played to its end");
    case "background.changed":
      return plain("sound", entry.sound ? `Background: ${entry.sound}` : "Background: none");
    case "session.error":
      return { sign: "warning", text: entry.message, tone: "error" };
    case "session.ended":
      return ended(entry);
    default:
      return undefined;
  }
}

function ended({ reason, error }: { reason: string; error: string | null }): Happening {
  const text = ENDINGS[reason] ?? `The call is over: ${reason.replaceAll("_", " ")}`;
  return { sign: "end", text: error ? `${text}: ${error}` : text, tone: reason === "error" ? "error" : "plain" };
}

/** `llm.availability_changed` of every kind of model, and whatever else a newer server tells. */
function unknown({ seq: _seq, at: _at, type, ...fields }: Entry): Happening {
  if (type.endsWith(".availability_changed")) {
    const { available, reason, ...names } = fields as { available?: boolean; reason?: string };
    const name = String(Object.values(names)[0] ?? type);
    if (available) return plain("warning", `${name} is well again`);
    return { sign: "warning", text: reason ? `${name} fails: ${reason}` : `${name} fails`, tone: "warn" };
  }
  const values = Object.entries(fields).filter(([, value]) => value !== null && value !== "");
  const told = values.map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const title = type.replace(".", ": ").replaceAll("_", " ");
  return plain("other", told.length ? `${title} (${told.join(", ")})` : title);
}
