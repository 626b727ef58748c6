/** The call on one time axis: lanes of bars, in call seconds. Pure: entries in, lanes out. */

import { agentsOf } from "./conversation";
import type { Entry, EntryOf, KnownEntry, SpeechKind } from "./entries";
import { only } from "./entries";
import { floor } from "./floor";
import { answering, notable } from "./notable";

export type Tone = "caller" | "agent" | "wait" | "llm" | "tts" | "tool" | "both" | "faint" | "error";

export type Bar = {
  key: string;
  start: number;
  /** Null while it goes on. */
  end: number | null;
  tone: Tone;
  title: string;
  detail: string;
  /** The caller cut it: its end is drawn torn. */
  isCut?: boolean;
  /** Moments inside the bar, such as the first token. */
  marks?: number[];
  /** Which of the call's agents it belongs to. */
  who?: number;
  /** It has no length: a dot. */
  isMoment?: boolean;
};

export type LaneId =
  | "answering"
  | "caller"
  | "transcript"
  | "endpointing"
  | "llm"
  | "tts"
  | "agent"
  | "tools"
  | "notable"
  | "floor";
export type Lane = { id: LaneId; name: string; bars: Bar[] };
export type TurnMark = { turn: number; at: number };
export type Timeline = { lanes: Lane[]; turns: TurnMark[]; end: number };

const NAMES: Record<LaneId, string> = {
  answering: "Answers",
  caller: "Caller",
  transcript: "Transcript",
  endpointing: "End of turn",
  llm: "Model",
  tts: "Voice",
  agent: "Agent",
  tools: "Tools",
  notable: "Events",
  floor: "Floor",
};

/** Lanes that most calls have no use for. */
const OPTIONAL: ReadonlySet<LaneId> = new Set(["answering", "notable"]);

/** All lanes of the call so far; `end` is its last moment, or its length when it is over. */
export function timeline(entries: readonly Entry[]): Timeline {
  const bars: Record<LaneId, Bar[]> = {
    answering: answering(entries),
    caller: callerVoice(entries),
    transcript: transcripts(entries),
    endpointing: endpointing(entries),
    llm: thinking(entries),
    tts: synthesis(entries),
    agent: playout(entries),
    tools: tools(entries),
    notable: notable(entries),
    floor: floor(entries),
  };
  const ended = only(entries, "session.ended").at(-1);
  const end = ended ? Math.max(ended.duration_s, ended.at) : (entries.at(-1)?.at ?? 0);
  const isOver = ended !== undefined;
  const shown = (Object.keys(NAMES) as LaneId[]).filter((id) => !OPTIONAL.has(id) || bars[id].length > 0);
  const lanes = shown.map((id) => ({
    id,
    name: NAMES[id],
    bars: isOver ? bars[id].map((bar) => ({ ...bar, end: bar.end ?? end })) : bars[id],
  }));
  // A turn that the caller took back by going on ends a second time: the last end counts.
  const ends = new Map(only(entries, "user.turn_completed").map((entry) => [entry.turn, entry.at]));
  return { lanes, turns: [...ends].map(([turn, at]) => ({ turn, at })), end };
}

function callerVoice(entries: readonly Entry[]): Bar[] {
  const bars: Bar[] = [];
  for (const entry of only(entries, "user.speech_started", "user.speech_stopped")) {
    const open = bars.at(-1);
    if (entry.type === "user.speech_started") {
      if (open?.end === null) open.end = entry.speech_at;
      const start = entry.speech_at;
      bars.push({ key: `v${entry.seq}`, start, end: null, tone: "caller", title: "Caller speaks", detail: "" });
    } else if (open && open.end === null) {
      open.end = Math.max(open.start, entry.silence_at);
    }
  }
  return bars;
}

function transcripts(entries: readonly Entry[]): Bar[] {
  const bars = new Map<number, Bar>();
  let speechAt: number | null = null;
  for (const entry of only(entries, "user.speech_started", "user.transcription")) {
    if (entry.type === "user.speech_started") {
      speechAt = entry.speech_at;
      continue;
    }
    const bar: Bar = bars.get(entry.utterance) ?? {
      key: `w${entry.utterance}`,
      start: speechAt ?? entry.at,
      end: null,
      tone: "faint",
      title: "",
      detail: "",
      marks: [],
    };
    bar.marks?.push(entry.at);
    bar.title = entry.text;
    if (entry.is_final) bar.end = entry.at;
    bar.detail = entry.is_final ? "Final words" : "Interim words";
    bars.set(entry.utterance, bar);
  }
  return [...bars.values()];
}

/** From the last voiced sound to the decision; a wait that the caller broke by going on is faint. */
function endpointing(entries: readonly Entry[]): Bar[] {
  const bars: Bar[] = [];
  let silence: EntryOf<"user.speech_stopped"> | null = null;
  const types = ["user.speech_stopped", "user.speech_started", "user.turn_completed", "user.backchannel"] as const;
  for (const entry of only(entries, ...types)) {
    if (entry.type === "user.speech_stopped") {
      silence = entry;
      continue;
    }
    if (!silence) continue;
    const key = `e${silence.seq}`;
    const start = silence.silence_at;
    if (entry.type === "user.turn_completed") {
      const sure = entry.probability === null ? "" : `, probability ${entry.probability.toFixed(2)}`;
      const detail = `by ${entry.trigger.replaceAll("_", " ")}${sure}`;
      bars.push({ key, start, end: entry.at, tone: "wait", title: `Turn ${entry.turn} is over`, detail });
    } else {
      const isMore = entry.type === "user.speech_started";
      const end = isMore ? Math.max(start, entry.speech_at) : entry.at;
      const title = isMore ? "A pause: the caller goes on" : "Not a turn";
      bars.push({ key, start, end, tone: "faint", title, detail: "" });
    }
    silence = null;
  }
  return bars;
}

/** From the request (perhaps a speculative one) to the last clause of the reply. */
function thinking(entries: readonly Entry[]): Bar[] {
  const bars = new Map<number, Bar>();
  const firstTokens = firstTokenTimes(entries);
  let asked: number | null = null;
  const types = ["floor.decision", "agent.speech_created", "agent.text", "turn.completed"] as const;
  for (const entry of only(entries, ...types)) {
    if (entry.type === "floor.decision") {
      if (entry.actions.some((action) => action.type === "Speculate")) asked = entry.at;
      if (entry.actions.some((action) => action.type === "DropSpeculation")) asked = null;
      continue;
    }
    if (entry.type === "agent.speech_created") {
      if (entry.kind !== "reply") continue;
      const token = firstTokens.get(entry.turn);
      const start: number = token?.asked ?? asked ?? entry.at;
      asked = null;
      bars.set(entry.speech, {
        key: `l${entry.speech}`,
        start,
        end: null,
        tone: "llm",
        title: `Model answers turn ${entry.turn}`,
        detail: token ? `first token after ${Math.round(token.ttft_ms)} ms` : "",
        marks: token ? [token.at] : [],
      });
      continue;
    }
    if (entry.type === "turn.completed") {
      close(bars.values(), entry.at);
      continue;
    }
    const bar = bars.get(entry.speech);
    if (bar) bar.end = entry.at;
  }
  return [...bars.values()].map((bar) => ({ ...bar, start: Math.min(bar.start, bar.end ?? bar.start) }));
}

/** A turn that is over leaves nothing open, also when its reply failed and never sounded. */
function close(bars: Iterable<Bar>, at: number): void {
  for (const bar of bars) bar.end ??= at;
}

/** When each turn's model was asked and gave its first token: metrics count from the caller's last voiced sound. */
function firstTokenTimes(entries: readonly Entry[]): Map<number, { asked: number; at: number; ttft_ms: number }> {
  const found = new Map<number, { asked: number; at: number; ttft_ms: number }>();
  const origins = new Map<number, number>();
  let silence = 0;
  for (const entry of only(entries, "user.speech_stopped", "user.turn_completed", "turn.metrics")) {
    if (entry.type === "user.speech_stopped") silence = entry.silence_at;
    else if (entry.type === "user.turn_completed") origins.set(entry.turn, silence);
    else {
      const origin = origins.get(entry.turn);
      if (origin === undefined || entry.first_token_ms === null || entry.llm_ttft_ms === null) continue;
      const at = origin + entry.first_token_ms / 1000;
      found.set(entry.turn, { at, asked: at - entry.llm_ttft_ms / 1000, ttft_ms: entry.llm_ttft_ms });
    }
  }
  return found;
}

/** From a speech's first clause to its first sound. */
function synthesis(entries: readonly Entry[]): Bar[] {
  const bars = new Map<number, Bar>();
  const types = ["agent.text", "agent.speech_started", "agent.speech_interrupted", "turn.completed"] as const;
  for (const entry of only(entries, ...types)) {
    if (entry.type === "turn.completed") {
      close(bars.values(), entry.at);
      continue;
    }
    const bar = bars.get(entry.speech);
    if (entry.type === "agent.text") {
      if (bar) bar.marks?.push(entry.at);
      else
        bars.set(entry.speech, {
          key: `y${entry.speech}`,
          start: entry.at,
          end: null,
          tone: "tts",
          title: entry.text,
          detail: "first clause to first sound",
          marks: [],
        });
    } else if (bar && bar.end === null) {
      bar.end = entry.at;
    }
  }
  return [...bars.values()];
}

const SPEECH_TITLES: Record<string, string> = {
  greeting: "Greeting",
  reply: "Reply",
  say: "Says",
  filler: "Filler",
  apology: "Apology",
  reminder: "Reminder",
  goodbye: "Goodbye",
  tones: "Keys",
  play: "Plays a file",
  announcement: "Announcement",
};

/** What the line carried of the agent's speech; a reply that was held has a gap. */
function playout(entries: readonly Entry[]): Bar[] {
  const bars: Bar[] = [];
  const kinds = new Map<number, SpeechKind>();
  const agents = agentsOf(entries);
  const speakers = new Map<number, number>();
  let who = 0;
  const texts = new Map<number, string>();
  let held: Bar | null = null;
  const add = (speech: number, start: number, seq: number): void => {
    const kind = kinds.get(speech) ?? "reply";
    const tone: Tone = kind === "reply" || kind === "greeting" ? "agent" : "wait";
    const title = SPEECH_TITLES[kind] ?? kind;
    const speaker = speakers.get(speech) ?? 0;
    bars.push({ key: `p${speech}.${seq}`, start, end: null, tone, title, detail: "", who: speaker });
  };
  const speechOf = (bar: Bar): number => Number(bar.key.slice(1).split(".")[0]);
  for (const entry of entries as readonly KnownEntry[]) {
    switch (entry.type) {
      case "agent.handoff":
        who = agents.indexOf(entry.new_agent);
        break;
      case "agent.speech_created":
        kinds.set(entry.speech, entry.kind);
        speakers.set(entry.speech, who);
        break;
      case "agent.text":
        texts.set(entry.speech, `${texts.get(entry.speech) ?? ""}${entry.text} `);
        break;
      case "agent.speech_started":
        add(entry.speech, entry.at, entry.seq);
        break;
      case "agent.state_changed": {
        const open = bars.findLast((bar) => bar.end === null);
        if (open && entry.old_state === "speaking") {
          open.end = entry.at;
          held = open;
        } else if (held && entry.new_state === "speaking") {
          add(speechOf(held), entry.at, entry.seq);
          held = null;
        }
        break;
      }
      case "agent.speech_completed":
      case "agent.speech_interrupted": {
        const last = bars.findLast((bar) => speechOf(bar) === entry.speech);
        if (!last) break;
        last.end ??= entry.at;
        if (entry.type === "agent.speech_interrupted") last.isCut = true;
        held = null;
        break;
      }
    }
  }
  return bars.map((bar) => ({ ...bar, detail: texts.get(speechOf(bar))?.trim() ?? "" }));
}

/** Tools, and the small agents that ask for something. */
function tools(entries: readonly Entry[]): Bar[] {
  const bars = new Map<string, Bar>();
  const types = [
    "tool.called",
    "tool.executed",
    "agent_tool.started",
    "agent_tool.completed",
    "agent_tool.failed",
  ] as const;
  for (const entry of only(entries, ...types)) {
    const id = "id" in entry ? entry.id : entry.agent_tool_id;
    const name = "name" in entry ? entry.name : entry.agent_tool_type;
    const bar: Bar = bars.get(id) ?? { key: id, start: entry.at, end: null, tone: "tool", title: name, detail: "" };
    bars.set(id, bar);
    switch (entry.type) {
      case "tool.called":
        bar.detail = JSON.stringify(entry.arguments);
        break;
      case "tool.executed":
        Object.assign(bar, { end: entry.at, detail: entry.output, tone: entry.is_error ? "error" : "tool" });
        break;
      case "agent_tool.completed":
        Object.assign(bar, { end: entry.at, detail: JSON.stringify(entry.result) });
        break;
      case "agent_tool.failed":
        Object.assign(bar, { end: entry.at, detail: entry.error, tone: "error" });
    }
  }
  return [...bars.values()];
}
