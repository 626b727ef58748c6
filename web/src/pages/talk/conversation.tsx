import { Timer, TriangleAlert, Wifi } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { ServerInfo } from "../../api/types";
import type { Line } from "../../call/conversation";
import { conversation } from "../../call/conversation";
import type { Entry } from "../../call/entries";
import { only } from "../../call/entries";
import { firstAudio, measuredTurns } from "../../call/latency";
import { useLiveCall, usePolled } from "../../realtime/hooks";
import type { LiveState, Status } from "../../realtime/live";
import { CallGraph, scenarioOf } from "../../ui/call-graph";
import { CaptionLine, CaptionsForReaders } from "../../ui/captions";
import { Duet } from "../../ui/duet";
import { clock, milliseconds } from "../../ui/format";
import { Inspector } from "../../ui/inspector";
import { Tabs } from "../../ui/tabs";
import { Dock } from "./dock";
import { EmbeddedNote, GoOn } from "./lobby";

const CLOCK_MS = 200;
/** Until the length of a speech is known, it is taken to go on at this rate. */
const CHARACTERS_PER_S = 15;

/** In the call, and after it: captions, controls, timeline and latency. */
export function Conversation({ server }: { server: ServerInfo | null }) {
  const { call, state } = useLiveCall();
  const isLive = state.status === "live";
  const now = usePolled(call.now, CLOCK_MS, isLive);
  const lines = useMemo(() => conversation(state.entries), [state.entries]);
  const scenario = scenarioOf(state.entries) || state.scenario;
  const [tab, setTab] = useState<"talk" | "detail">("talk");
  const talk = (
    <div className="talk-column">
      <Duet meters={call.meters} isActive={isLive} />
      <CallNotice state={state} />
      <Captions lines={lines} state={state} now={now} />
    </div>
  );
  const detail = (
    <div className="detail-column">
      {server?.is_embedded_llm && <EmbeddedNote model={server.models.llm ?? ""} />}
      {scenario && <CallGraph name={scenario} entries={state.entries} isLive={isLive} />}
      <Inspector entries={state.entries} now={isLive ? now : null} />
    </div>
  );
  return (
    <div className="in-call" data-tab={tab}>
      <h1 className="sr-only">Call with {state.agent}</h1>
      <CallBar state={state} now={now} />
      <div className="call-tabs">
        <Tabs
          label="Views of the call"
          selected={tab}
          onSelect={setTab}
          tabs={[
            { id: "talk", name: "Conversation", body: talk },
            { id: "detail", name: "Timeline and latency", body: detail },
          ]}
        />
        <Dock />
      </div>
      <CaptionsForReaders lines={lines} />
    </div>
  );
}

const STATUS_WORDS: Record<Status, string> = {
  idle: "Not connected",
  connecting: "Connecting…",
  live: "Connected",
  ended: "Call ended",
  lost: "Connection lost",
};

const AGENT_WORDS: Record<string, string> = {
  initializing: "Getting ready",
  idle: "Idle",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

function CallBar({ state, now }: { state: LiveState; now: number }) {
  const agentState = only(state.entries, "agent.state_changed").at(-1)?.new_state;
  const last = useMemo(() => firstAudio(measuredTurns(state.entries)).at(-1), [state.entries]);
  const isLive = state.status === "live";
  const agent = currentAgent(state.entries) ?? state.agent;
  const text = isLive && agentState ? (AGENT_WORDS[agentState] ?? agentState) : STATUS_WORDS[state.status];
  const length_s = isLive ? now : (state.entries.at(-1)?.at ?? 0);
  return (
    <div className="call-bar">
      <span className="call-avatar" aria-hidden>
        {agent.slice(0, 1).toUpperCase()}
      </span>
      <div className="call-who">
        <strong>{agent}</strong>
        <span className="call-state" role="status" data-state={isLive ? agentState : state.status}>
          <span className="dot" /> {text}
        </span>
      </div>
      <span className="call-facts num">
        {last !== undefined && (
          <span title="Latest answer: the caller's last sound to the agent's first">
            <Timer size={14} aria-label="Latency" /> {milliseconds(last)}
          </span>
        )}
        <span title="What carries the audio">
          <Wifi size={14} aria-hidden /> {state.transport === "webrtc" ? "WebRTC" : "WebSocket"}
        </span>
        <time>{clock(length_s)}</time>
      </span>
    </div>
  );
}

function currentAgent(entries: readonly Entry[]): string | undefined {
  return only(entries, "agent.handoff").at(-1)?.new_agent;
}

function CallNotice({ state }: { state: LiveState }) {
  return (
    <>
      {state.notice && (
        <p className="banner warn" role="alert">
          <TriangleAlert size={16} aria-hidden /> <span className="grow">{state.notice}</span>
        </p>
      )}
      {state.status === "lost" && <GoOn />}
    </>
  );
}

type CaptionsProps = { lines: readonly Line[]; state: LiveState; now: number };

function Captions({ lines, state, now }: CaptionsProps) {
  const scroller = useRef<HTMLElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: every new word keeps the end in view.
  useEffect(() => {
    const element = scroller.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [lines]);
  const isEmpty = lines.length === 0 && state.past.length === 0;
  return (
    <section
      className="captions"
      ref={scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
      tabIndex={0}
      aria-label="Conversation"
      onScroll={({ currentTarget: element }) => {
        isAtEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - 40;
      }}
    >
      {isEmpty && <p className="captions-empty">{EMPTY[state.status]}</p>}
      {state.past.length > 0 && (
        <ol className="lines past" aria-label="Before the connection was made again">
          {state.past.map((message, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes.
            <li key={index} className={`line ${message.role === "user" ? "caller" : "agent"}`}>
              <div className="line-head">
                <span className="line-who">{message.role === "user" ? "Caller" : state.agent}</span>
              </div>
              <p className="line-text">{message.text}</p>
            </li>
          ))}
          <li className="note plain">The call goes on from here</li>
        </ol>
      )}
      <ol className="lines" data-testid="captions">
        {lines.map((line) => (
          <CaptionLine key={line.key} line={line} share={spokenShare(line, state, now)} />
        ))}
      </ol>
    </section>
  );
}

const EMPTY: Record<Status, string> = {
  idle: "",
  connecting: "Connecting…",
  live: "Say hello, or type below.",
  ended: "Nothing was said.",
  lost: "",
};

/** How much of a sounding speech was said, by the clock and the usual rate of speech. */
function spokenShare(line: Line, state: LiveState, now: number): number | null {
  if (line.kind !== "agent" || state.status !== "live") return null;
  if (line.state === "waiting") return 0;
  if (line.state !== "speaking" || line.startedAt === null) return null;
  return Math.min(1, ((now - line.startedAt) * CHARACTERS_PER_S) / Math.max(1, line.text.length));
}
