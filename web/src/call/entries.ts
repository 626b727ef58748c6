/** The entries of a call's log, as the server writes and streams them: `{seq, at, type, ...fields}`, `at` in call seconds. */

export type FloorPhase =
  | "opening"
  | "idle"
  | "hearing"
  | "pausing"
  | "thinking"
  | "speaking"
  | "overlap"
  | "held"
  | "ending"
  | "ended";

/** A newer server may have more of them. */
export type SpeechKind =
  | "greeting"
  | "reply"
  | "say"
  | "filler"
  | "apology"
  | "reminder"
  | "goodbye"
  | "tones"
  | "play"
  | "announcement"
  | (string & {});

export type TurnMetrics = {
  turn: number;
  interrupted: boolean;
  speculative: boolean;
  end_of_turn_ms: number | null;
  transcript_ms: number | null;
  first_token_ms: number | null;
  first_audio_ms: number | null;
  llm_ttft_ms: number | null;
  tts_ttfb_ms: number | null;
};

type Fields = {
  "session.started": {
    session_id: string;
    call_id: string;
    agent: string;
    carrier: string;
    audio: string;
    started_at: string;
    scenario?: string;
    direction?: "inbound" | "outbound";
    called?: string;
    models: Record<string, string>;
  };
  "session.ended": { reason: string; duration_s: number; turns: number; error: string | null };
  "session.error": { code: string; message: string };
  "session.usage": {
    llm_input_tokens: number;
    llm_output_tokens: number;
    tts_characters: number;
    stt_audio_s: number;
  };
  "user.speech_started": { speech_at: number };
  "user.speech_stopped": { silence_at: number; duration_ms: number };
  "user.transcription": { text: string; is_final: boolean; utterance: number; language: string | null };
  "user.turn_completed": { turn: number; text: string; trigger: string; probability: number | null };
  "user.typed": { text: string };
  "user.backchannel": { text: string; is_interruption: boolean };
  "user.dtmf": { digit: string };
  "user.idle": { retry_count: number; reason: string };
  "agent.state_changed": { old_state: string; new_state: string };
  "agent.handoff": { new_agent: string; previous_agent: string; handoff_type: string; reason: string };
  "agent.speech_created": { speech: number; kind: SpeechKind; turn: number };
  "agent.speech_started": { speech: number };
  "agent.text": { speech: number; text: string };
  "agent.speech_completed": { speech: number; transcript: string; playback_position_s: number };
  "agent.speech_interrupted": {
    speech: number;
    heard: string;
    spoken: string;
    generated: string;
    playback_position_s: number;
  };
  "agent.false_interruption": { speech: number; resumed: boolean };
  "tool.called": { id: string; name: string; arguments: Record<string, unknown> };
  "tool.executed": { id: string; name: string; output: string; is_error: boolean; duration_ms: number };
  "tool.approval_requested": { id: string; call_id: string; name: string; prompt: string };
  "tool.approval_decided": { id: string; call_id: string; name: string; approved: boolean };
  "agent_tool.started": { agent_tool_type: string; agent_tool_id: string };
  "agent_tool.completed": { agent_tool_type: string; agent_tool_id: string; result: Record<string, unknown> };
  "agent_tool.failed": { agent_tool_type: string; agent_tool_id: string; error: string };
  "call.transferring": { destination: string; name: string; kind: string; reason: string };
  "call.transferred": { destination: string; name: string; kind: string };
  "call.transfer_failed": { destination: string; name: string; code: string };
  "call.held": object;
  "call.resumed": object;
  "voicemail.detected": { result: string };
  "voicemail.beep": object;
  "recording.paused": { by: string };
  "recording.resumed": { by: string };
  "play.completed": { interrupted: boolean };
  "background.changed": { sound: string | null };
  "turn.completed": {
    turn: number;
    user_text: string;
    agent_text: string;
    agent_first: boolean;
    interrupted: boolean;
  };
  "turn.metrics": TurnMetrics;
  "floor.decision": { event: { type: string }; actions: { type: string }[]; phase: FloorPhase };
};

export type EntryType = keyof Fields;
export type EntryOf<T extends EntryType> = T extends EntryType
  ? { seq: number; at: number; type: T } & Fields[T]
  : never;

/** One entry of a type that the console draws. */
export type KnownEntry = EntryOf<EntryType>;

/** Any entry: a newer server may write types that this page only lists under its raw events. */
export type Entry = KnownEntry | { seq: number; at: number; type: string & {} };

/** The entries of the given types, in their order. */
export function only<T extends EntryType>(entries: readonly Entry[], ...types: T[]): EntryOf<T>[] {
  const wanted: ReadonlySet<string> = new Set(types);
  return entries.filter((entry) => wanted.has(entry.type)) as EntryOf<T>[];
}
