/** What was said, done and noted in a call, as lines in the order in which they were heard. Pure: entries in, lines out. */

import type { Entry, EntryOf, KnownEntry, SpeechKind } from "./entries";
import type { Sign, Tone } from "./happenings";
import { happening } from "./happenings";

export type CallerLine = {
  kind: "caller";
  key: string;
  at: number;
  end: number | null;
  text: string;
  isFinal: boolean;
  isTyped: boolean;
  /** How speech over the agent's was taken: it went on listening, or it took the floor. */
  overlap: "backchannel" | "interruption" | null;
};

export type AgentLine = {
  kind: "agent";
  key: string;
  speech: number;
  speechKind: SpeechKind;
  agent: string;
  /** Which of the call's agents it is, counted as they come in: each has its colour. */
  who: number;
  turn: number;
  at: number;
  startedAt: number | null;
  end: number | null;
  /** All that was generated so far. */
  text: string;
  /** The part of a cut reply that reached the caller; null while nothing cut it. */
  heard: string | null;
  /** The part of a cut reply that did not. */
  unheard: string;
  state: "waiting" | "speaking" | "completed" | "interrupted";
};

export type ToolLine = {
  kind: "tool";
  key: string;
  at: number;
  end: number | null;
  name: string;
  arguments: Record<string, unknown>;
  output: string | null;
  isError: boolean;
  duration_ms: number | null;
  /** A small agent of its own that asks for something until it has it. */
  isCollector: boolean;
};

/** Keys of the telephone in a row: which ones is nobody's business. */
export type KeysLine = { kind: "keys"; key: string; at: number; count: number };

/** Another agent goes on. */
export type HandoffLine = {
  kind: "handoff";
  key: string;
  at: number;
  from: string;
  to: string;
  who: number;
  isDiscrete: boolean;
  reason: string;
};

export type NoteLine = { kind: "note"; key: string; at: number; sign: Sign; text: string; tone: Tone };

export type Line = CallerLine | AgentLine | ToolLine | KeysLine | HandoffLine | NoteLine;

/** The call's agents, in the order in which they came in. */
export function agentsOf(entries: readonly Entry[]): string[] {
  const names = (entries as readonly KnownEntry[]).flatMap((entry) => {
    if (entry.type === "session.started") return [entry.agent];
    return entry.type === "agent.handoff" ? [entry.previous_agent, entry.new_agent] : [];
  });
  return [...new Set(names)];
}

/** The words of `generated` that follow those of `heard`; both are compared word by word, whatever their spaces. */
export function unheardPart(generated: string, heard: string): string {
  const words = heard.split(/\s+/).filter(Boolean).length;
  const rest = generated.trim().split(/\s+/);
  return rest.slice(words).join(" ");
}

/** Every line of the call so far. */
export function conversation(entries: readonly Entry[]): Line[] {
  const draft = new Draft(agentsOf(entries));
  for (const entry of entries) draft.add(entry as KnownEntry);
  return draft.finished();
}

class Draft {
  private readonly lines: Line[] = [];
  private readonly speeches = new Map<number, AgentLine>();
  private readonly tools = new Map<string, ToolLine>();
  private readonly utterances = new Map<number, CallerLine>();
  private readonly greeted = new Set<string>();
  private agent = "";
  private speechAt: number | null = null;

  constructor(private readonly agents: readonly string[]) {}

  add(entry: KnownEntry): void {
    switch (entry.type) {
      case "session.started":
        this.agent = entry.agent;
        return;
      case "user.speech_started":
        this.speechAt = entry.speech_at;
        return;
      case "user.speech_stopped":
        return this.silence(entry);
      case "user.transcription":
        return this.words(entry);
      case "user.turn_completed":
        return this.turn(entry);
      case "user.typed":
        return this.typed(entry.seq, entry.at, entry.text);
      case "user.backchannel":
        return this.overlap(entry);
      case "agent.speech_created":
      case "agent.speech_started":
      case "agent.text":
      case "agent.speech_completed":
      case "agent.speech_interrupted":
        return this.speech(entry);
      case "turn.completed":
        return this.turnOver(entry.turn);
      case "tool.called":
      case "tool.executed":
        return this.tool(entry);
      case "agent_tool.started":
      case "agent_tool.completed":
      case "agent_tool.failed":
        return this.collector(entry);
      case "user.dtmf":
        return this.keys(entry);
      case "agent.handoff":
        return this.handoff(entry);
      default:
        return this.note(entry);
    }
  }

  finished(): Line[] {
    const shown = this.lines.filter((line) => {
      if (line.kind === "agent") return line.text !== "";
      if (line.kind === "tool") return !isHandoff(line);
      return line.kind !== "caller" || line.text !== "";
    });
    // A filler is made after the reply it covers for, and heard before it: the order is that of hearing.
    return shown
      .map((line, index) => ({ line, index, at: (line.kind === "agent" ? line.startedAt : null) ?? line.at }))
      .sort((one, other) => one.at - other.at || one.index - other.index)
      .map(({ line }) => line);
  }

  private silence(entry: EntryOf<"user.speech_stopped">): void {
    const line = this.lastCaller();
    if (line && line.end === null) line.end = entry.silence_at;
  }

  private words(entry: EntryOf<"user.transcription">): void {
    let line = this.utterances.get(entry.utterance);
    if (!line) {
      line = this.callerLine(`u${entry.utterance}`, this.speechAt ?? entry.at);
      this.utterances.set(entry.utterance, line);
    }
    line.text = entry.text;
    line.isFinal = entry.is_final;
    if (entry.is_final) line.end ??= entry.at;
  }

  private turn(entry: EntryOf<"user.turn_completed">): void {
    for (const line of this.utterances.values()) line.isFinal = true;
    // Of keys alone the text is as many marks, and those are shown.
    const isKeysAlone = entry.trigger === "dtmf" && /^•*$/.test(entry.text);
    if (entry.trigger === "text" || (entry.trigger === "dtmf" && !isKeysAlone)) {
      this.typed(entry.seq, entry.at, entry.text);
    }
  }

  private keys(entry: EntryOf<"user.dtmf">): void {
    const last = this.lines.at(-1);
    if (last?.kind === "keys") last.count += entry.digit.length;
    else this.lines.push({ kind: "keys", key: `k${entry.seq}`, at: entry.at, count: entry.digit.length });
  }

  private handoff(entry: EntryOf<"agent.handoff">): void {
    this.agent = entry.new_agent;
    this.lines.push({
      kind: "handoff",
      key: `h${entry.seq}`,
      at: entry.at,
      from: entry.previous_agent,
      to: entry.new_agent,
      who: this.agents.indexOf(entry.new_agent),
      isDiscrete: entry.handoff_type === "discrete",
      reason: entry.reason,
    });
  }

  private typed(seq: number, at: number, text: string): void {
    Object.assign(this.callerLine(`t${seq}`, at), { text, isFinal: true, isTyped: true, end: at });
  }

  private overlap(entry: EntryOf<"user.backchannel">): void {
    const line = this.lastCaller();
    if (line) line.overlap = entry.is_interruption ? "interruption" : "backchannel";
  }

  private speech(
    entry: EntryOf<
      | "agent.speech_created"
      | "agent.speech_started"
      | "agent.text"
      | "agent.speech_completed"
      | "agent.speech_interrupted"
    >,
  ): void {
    const line = this.speeches.get(entry.speech) ?? this.agentLine(entry.speech, entry.at);
    switch (entry.type) {
      case "agent.speech_created":
        line.speechKind = entry.kind === "greeting" && this.greeted.has(line.agent) ? "welcome_back" : entry.kind;
        line.turn = entry.turn;
        this.greeted.add(line.agent);
        return;
      case "agent.speech_started":
        line.startedAt = entry.at;
        line.state = "speaking";
        return;
      case "agent.text":
        line.text += line.text === "" || /\s$/.test(line.text) ? entry.text : ` ${entry.text}`;
        return;
      case "agent.speech_completed":
        line.end = entry.at;
        line.state = "completed";
        line.text = entry.transcript || line.text;
        return;
      case "agent.speech_interrupted":
        line.end ??= entry.at;
        line.state = "interrupted";
        line.heard = entry.heard;
        line.text = entry.generated || line.text;
        line.unheard = unheardPart(line.text, entry.heard);
    }
  }

  /** A reply that failed before its first sound was heard by nobody. */
  private turnOver(turn: number): void {
    for (const line of this.speeches.values()) {
      if (line.turn !== turn || line.state !== "waiting") continue;
      Object.assign(line, { state: "interrupted", heard: "", unheard: line.text });
    }
  }

  private tool(entry: EntryOf<"tool.called" | "tool.executed">): void {
    const line = this.toolLine(entry.id, entry.at, entry.name);
    if (entry.type === "tool.called") line.arguments = entry.arguments;
    else
      Object.assign(line, {
        end: entry.at,
        output: entry.output,
        isError: entry.is_error,
        duration_ms: entry.duration_ms,
      });
  }

  private collector(entry: EntryOf<"agent_tool.started" | "agent_tool.completed" | "agent_tool.failed">): void {
    const line = this.toolLine(entry.agent_tool_id, entry.at, entry.agent_tool_type);
    line.isCollector = true;
    if (entry.type === "agent_tool.started") return;
    Object.assign(line, { end: entry.at, duration_ms: (entry.at - line.at) * 1000 });
    if (entry.type === "agent_tool.completed") line.arguments = entry.result;
    else Object.assign(line, { output: entry.error, isError: true });
  }

  private note(entry: Entry): void {
    const told = happening(entry);
    if (told) this.lines.push({ kind: "note", key: `n${entry.seq}`, at: entry.at, ...told });
  }

  private toolLine(id: string, at: number, name: string): ToolLine {
    let line = this.tools.get(id);
    if (!line) {
      line = {
        kind: "tool",
        key: `c${id}`,
        at,
        end: null,
        name,
        arguments: {},
        output: null,
        isError: false,
        duration_ms: null,
        isCollector: false,
      };
      this.tools.set(id, line);
      this.lines.push(line);
    }
    return line;
  }

  private callerLine(key: string, at: number): CallerLine {
    const line: CallerLine = {
      kind: "caller",
      key,
      at,
      end: null,
      text: "",
      isFinal: false,
      isTyped: false,
      overlap: null,
    };
    this.lines.push(line);
    return line;
  }

  private agentLine(speech: number, at: number): AgentLine {
    const line: AgentLine = {
      kind: "agent",
      key: `s${speech}`,
      speech,
      speechKind: "reply",
      agent: this.agent,
      who: Math.max(0, this.agents.indexOf(this.agent)),
      turn: 0,
      at,
      startedAt: null,
      end: null,
      text: "",
      heard: null,
      unheard: "",
      state: "waiting",
    };
    this.speeches.set(speech, line);
    this.lines.push(line);
    return line;
  }

  private lastCaller(): CallerLine | undefined {
    return this.lines.findLast((line): line is CallerLine => line.kind === "caller");
  }
}

/** The model hands over by a tool: the line of the handoff says more. */
function isHandoff({ output }: ToolLine): boolean {
  return output !== null && /^\{"handoff":\s*"accepted"/.test(output);
}

/** The number of characters of `text` that `share` (0..1) of its speech has said, cut at the end of a word. */
export function saidLength(text: string, share: number): number {
  if (share >= 1) return text.length;
  if (share <= 0) return 0;
  const space = text.indexOf(" ", Math.floor(text.length * share));
  return space === -1 ? text.length : space;
}
