/** The call that this page is in: connection, microphone, loudspeaker, and what the server tells about it. */

import type { Progress } from "../audio/jitter";
import { measureLevel } from "../audio/level";
import type { CapturedFrame } from "../audio/messages";
import type { Microphone } from "../audio/microphone";
import { NoMicrophone, openMicrophone } from "../audio/microphone";
import { fromBase64, toBase64 } from "../audio/pcm";
import { Speaker } from "../audio/speaker";
import { conversation } from "../call/conversation";
import type { Entry, EntryOf } from "../call/entries";
import { only } from "../call/entries";
import { withEntry } from "../call/typed";
import type { PastMessage, ServerEvent } from "./events";
import { messageItem } from "./events";
import type { Ending, Handlers, Link, Transport, Values } from "./links";
import { openWebRtc, openWebSocket } from "./links";
import { forgetCall, messagesOf, saveCall } from "./saved";
import { corrections } from "./truncate";

export type Status = "idle" | "connecting" | "live" | "ended" | "lost";

/** What the page shows of the call; a new object at every change. */
export type LiveState = {
  status: Status;
  agent: string;
  /** How it works together with others; null where it was called alone. */
  scenario: string | null;
  values: Values;
  transport: Transport;
  entries: readonly Entry[];
  /** What was said before the connection was made again. */
  past: readonly PastMessage[];
  isMuted: boolean;
  hasMicrophone: boolean;
  /** Why there is no microphone, or what failed; null when all is well. */
  notice: string | null;
};

/** Fast-changing measures, read by whoever draws at the screen's rate. */
export type Meters = { caller: number; agent: number; items: readonly Progress[] };

export type CallOptions = {
  agent: string;
  scenario?: string | null;
  values?: Values;
  transport: Transport;
  past?: readonly PastMessage[];
  useMicrophone?: boolean;
};

/** More unsent audio than this (about 8 s) means that the network does not carry it: newer audio is dropped. */
const MAX_BACKLOG = 512 * 1024;

const IDLE: LiveState = {
  status: "idle",
  agent: "",
  scenario: null,
  values: {},
  transport: "websocket",
  entries: [],
  past: [],
  isMuted: false,
  hasMicrophone: false,
  notice: null,
};

export class LiveCall {
  /** Frames of the microphone that the network did not take. */
  dropped = 0;
  readonly meters: Meters = { caller: 0, agent: 0, items: [] };
  private state: LiveState = IDLE;
  private readonly listeners = new Set<() => void>();
  private link: Link | null = null;
  private microphone: Microphone | null = null;
  private speaker: Speaker | null = null;
  private owned = new Owned();
  private responseId: string | null = null;
  private typed = 0;
  /** Items whose sound is coming, and items whose sound is wanted no more. */
  private readonly soundingItems = new Set<string>();
  private readonly cutItems = new Set<string>();
  /** Speeches that the server has told to be cut. */
  private readonly cutSpeeches = new Set<number>();
  /** The page's clock minus the call's, in seconds. */
  private offset_s = Number.POSITIVE_INFINITY;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): LiveState => this.state;

  /** The call's clock now, in seconds. */
  readonly now = (): number => (Number.isFinite(this.offset_s) ? performance.now() / 1000 - this.offset_s : 0);

  /** Call the agent. Must be called from a click: browsers give sound to nobody else. */
  async start(options: CallOptions): Promise<void> {
    const { agent, scenario = null, values = {}, transport, past = [], useMicrophone = true } = options;
    this.release();
    this.offset_s = Number.POSITIVE_INFINITY;
    this.update({ ...IDLE, status: "connecting", agent, scenario, values, transport, past });
    const { owned } = this;
    try {
      if (useMicrophone) await this.openMicrophone(owned);
      this.link = await this.connect(owned);
    } catch (error) {
      // Somebody hung up meanwhile: nothing failed.
      if (owned.isClosed) return;
      this.release();
      this.update({ status: "idle", notice: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Say something by keyboard; an answer that still sounds is cut. */
  async type(text: string): Promise<void> {
    if (this.responseId) this.link?.send({ type: "response.cancel" });
    if (this.state.transport === "webrtc") this.link?.send({ type: "output_audio_buffer.clear" });
    else await this.cut();
    this.typed += 1;
    this.enter({ seq: -this.typed, at: this.now(), type: "user.typed", text });
    this.link?.send(messageItem({ role: "user", text }));
    this.link?.send({ type: "response.create" });
  }

  /** Press a key of the telephone. Whether it stops the agent is for the server to say. */
  press(key: string): void {
    this.link?.send({ type: "input_audio_buffer.dtmf_event", event: key });
  }

  mute(isMuted: boolean): void {
    this.microphone?.mute(isMuted);
    this.update({ isMuted });
  }

  hangUp(): void {
    forgetCall();
    this.release();
    this.update({ status: "ended" });
  }

  /** Back to the start, with nothing shown. */
  reset(): void {
    forgetCall();
    this.release();
    this.update(IDLE);
  }

  private async connect(owned: Owned): Promise<Link> {
    const { agent, scenario, values, transport, past } = this.state;
    const target = { agent, scenario, values, greets: past.length === 0 };
    const handlers: Handlers = { onEvent: (event) => this.on(event), onClose: (ending) => this.closed(ending) };
    if (transport === "websocket") {
      const onProgress = (items: Progress[], level: number) => Object.assign(this.meters, { items, agent: level });
      this.speaker = owned.take(await Speaker.open(onProgress));
      return owned.take(await openWebSocket(target, handlers));
    }
    const audio = new Audio();
    audio.autoplay = true;
    const link = owned.take(await openWebRtc(target, handlers, { stream: this.microphone?.stream ?? null, audio }));
    if (audio.srcObject instanceof MediaStream) {
      owned.take(
        measureLevel(audio.srcObject, (level) => {
          this.meters.agent = level;
        }),
      );
    }
    return link;
  }

  private async openMicrophone(owned: Owned): Promise<void> {
    try {
      this.microphone = owned.take(await openMicrophone((frame) => this.hear(frame)));
      this.update({ hasMicrophone: true });
    } catch (error) {
      if (!(error instanceof NoMicrophone)) throw error;
      this.update({ notice: error.message });
    }
  }

  private hear({ samples, level }: CapturedFrame): void {
    this.meters.caller = level;
    if (this.state.transport !== "websocket" || this.state.status !== "live" || !this.link) return;
    if (this.link.backlog() > MAX_BACKLOG) this.dropped += 1;
    else this.link.send({ type: "input_audio_buffer.append", audio: toBase64(samples) });
  }

  private on(event: ServerEvent): void {
    switch (event.type) {
      case "session.created":
        this.link?.send(MANNERS);
        for (const message of this.state.past) this.link?.send(messageItem(message));
        this.update({ status: "live" });
        return;
      case "antiphon.event":
        this.enter(event.entry);
        return this.stopWhatWasCut(event.entry);
      case "input_audio_buffer.speech_started":
        void this.cut();
        return;
      case "response.created":
        this.responseId = event.response.id;
        return;
      case "response.done":
        if (this.responseId === event.response.id) this.responseId = null;
        return;
      case "response.output_audio.delta":
        return this.hearAgent(event.item_id, event.delta);
      case "response.output_audio.done":
        this.soundingItems.delete(event.item_id);
        this.speaker?.complete(event.item_id);
        return;
      case "error":
        if (!BENIGN.has(event.error.code ?? "")) this.update({ notice: event.error.message });
    }
  }

  /** A key or a silent handoff cuts a speech without a word of the caller; what is told again later is old. */
  private stopWhatWasCut(entry: Entry): void {
    if (entry.type !== "agent.speech_interrupted") return;
    const { speech } = entry as EntryOf<"agent.speech_interrupted">;
    if (this.cutSpeeches.has(speech)) return;
    this.cutSpeeches.add(speech);
    void this.cut();
  }

  private hearAgent(item: string, delta: string): void {
    if (this.cutItems.has(item)) return;
    this.soundingItems.add(item);
    this.speaker?.push(item, fromBase64(delta));
  }

  private enter(entry: Entry): void {
    this.offset_s = Math.min(this.offset_s, performance.now() / 1000 - entry.at);
    this.update({ entries: withEntry(this.state.entries, entry) });
    if (REMEMBERED.has(entry.type)) this.remember();
  }

  private remember(): void {
    const { scenario, values, transport, past, entries } = this.state;
    // Who answers now goes on.
    const agent = only(entries, "agent.handoff").at(-1)?.new_agent ?? this.state.agent;
    saveCall({ agent, scenario, values, transport, messages: [...past, ...messagesOf(conversation(entries))] });
  }

  /** Be silent at once and tell the server what was heard. By WebRTC it plays itself, and knows. */
  private async cut(): Promise<void> {
    if (!this.speaker) return;
    // What is on its way of these items must not sound after the silence.
    for (const item of this.soundingItems) this.cutItems.add(item);
    this.soundingItems.clear();
    const latency_ms = this.speaker.latency_ms;
    const items = await this.speaker.flush();
    for (const correction of corrections(items, latency_ms)) this.link?.send(correction);
  }

  private closed({ code, reason }: Ending): void {
    const isOver = code === 1000 || this.state.entries.at(-1)?.type === "session.ended";
    if (isOver) forgetCall();
    this.release();
    if (isOver) this.update({ status: "ended" });
    else this.update({ status: "lost", notice: reason || "The connection to the server was lost." });
  }

  private release(): void {
    this.owned.close();
    this.owned = new Owned();
    this.link = this.microphone = this.speaker = this.responseId = null;
    this.soundingItems.clear();
    this.cutItems.clear();
    this.cutSpeeches.clear();
    Object.assign(this.meters, { caller: 0, agent: 0, items: [] });
  }

  private update(change: Partial<LiveState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}

type Closable = { close: () => void };

/** What one call holds; all of it is closed together, and what comes too late is closed at once. */
class Owned {
  isClosed = false;
  private readonly resources: Closable[] = [];

  take<T extends Closable>(resource: T): T {
    if (this.isClosed) {
      resource.close();
      throw new Error("The call was over before it began.");
    }
    this.resources.push(resource);
    return resource;
  }

  close(): void {
    this.isClosed = true;
    for (const resource of this.resources.splice(0)) resource.close();
  }
}

/** Antiphon's own manners: words decide when a turn is over, and "uh-huh" does not cut the agent. */
const MANNERS = {
  type: "session.update",
  session: { type: "realtime", audio: { input: { turn_detection: { type: "semantic_vad", eagerness: "auto" } } } },
};

/** Answers to events that crossed the server's on the way: nothing is wrong. */
const BENIGN = new Set([
  "response_cancel_not_active",
  "conversation_already_has_active_response",
  "input_audio_buffer_commit_empty",
  "item_truncate_invalid_item_id",
  "item_delete_invalid_item_id",
]);

const REMEMBERED = new Set([
  "session.started",
  "user.turn_completed",
  "user.typed",
  "agent.speech_started",
  "agent.speech_completed",
  "agent.speech_interrupted",
]);
