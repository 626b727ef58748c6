import { ArrowLeft, Download, FileText, PhoneOutgoing } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { callEntries, callPath, callReport, call as loadCall, request } from "../api/client";
import { useFollow, useQuery } from "../api/hooks";
import type { CallDetail, CallSummary, OutgoingDetail } from "../api/types";
import type { Line, ToolLine } from "../call/conversation";
import { conversation } from "../call/conversation";
import type { Entry } from "../call/entries";
import { only } from "../call/entries";
import { firstAudio, measuredTurns, percentile } from "../call/latency";
import { CallGraph, scenarioOf } from "../ui/call-graph";
import { CaptionLine } from "../ui/captions";
import { save } from "../ui/download";
import { clock, fullDate, milliseconds, plural, words } from "../ui/format";
import { Inspector } from "../ui/inspector";
import { ReportView } from "../ui/report";
import { Tabs } from "../ui/tabs";
import { LiveControls } from "./calls/live-controls";
import { Outgoing } from "./calls/outgoing";
import { Player } from "./calls/player";
import { RawEvents } from "./calls/raw-events";

/** One call: what was said, beside its recording, its timeline and its latencies. */
export function CallPage({ id }: { id: string }) {
  const { data, error, reload } = useQuery(`call/${id}`, (signal) => loadCall(id, signal));
  useEffect(() => {
    document.title = `Call with ${data?.call.agent ?? "…"} · Antiphon`;
  }, [data]);
  return (
    <div className="page wide">
      <Link href="/calls" className="back">
        <ArrowLeft size={15} aria-hidden /> Calls
      </Link>
      {error && (
        <p className="banner warn" role="alert">
          {error}
        </p>
      )}
      {data &&
        (isMade(data) ? (
          <Outgoing key={id} first={data.call} onAnswered={reload} />
        ) : (
          <Detail key={id} detail={data} onEnded={reload} />
        ))}
    </div>
  );
}

/** Whether it is a call of ours that nobody has answered. */
function isMade(detail: CallDetail | OutgoingDetail): detail is OutgoingDetail {
  return "status" in detail.call;
}

type DetailProps = { detail: CallDetail; onEnded: () => void };

function Detail({ detail, onEnded }: DetailProps) {
  const { call } = detail;
  const entries = useEntries(detail, onEnded);
  const lines = useMemo(() => conversation(entries), [entries]);
  const [playhead, setPlayhead] = useState<number | null>(null);
  const seeker = useRef<(at: number) => void>(() => {});
  const seek = useCallback((at: number) => seeker.current(at), []);
  const onSeek = call.has_recording ? seek : undefined;
  const [tab, setTab] = useState<"timeline" | "report" | "scenario" | "tools" | "events">("timeline");
  const tools = lines.filter((line): line is ToolLine => line.kind === "tool");
  const isLive = call.state === "live";
  const scenario = scenarioOf(entries);
  return (
    <>
      <Head detail={detail} entries={entries} />
      {isLive && <LiveControls call={call} entries={entries} />}
      {call.has_recording && <Player id={call.id} onTime={setPlayhead} seeker={seeker} />}
      <div className="detail">
        <section className="card transcript" aria-label="Transcript">
          <header className="panel-head">
            <h2>Transcript</h2>
            {onSeek && <span className="muted">click a time to play from there</span>}
          </header>
          <Transcript lines={lines} playhead={playhead} onSeek={onSeek} />
        </section>
        <div className="detail-side">
          <Tabs
            label="Details"
            selected={tab}
            onSelect={setTab}
            tabs={[
              {
                id: "timeline",
                name: "Timeline",
                body: (
                  <Inspector
                    entries={entries}
                    now={isLive ? (entries.at(-1)?.at ?? 0) : null}
                    playhead={playhead}
                    onSeek={onSeek}
                  />
                ),
              },
              { id: "report", name: "Report", body: tab === "report" && <CallReport call={call} /> },
              ...(scenario
                ? [
                    {
                      id: "scenario" as const,
                      name: "Scenario",
                      body: tab === "scenario" && <CallGraph name={scenario} entries={entries} isLive={isLive} />,
                    },
                  ]
                : []),
              { id: "tools", name: `Tools ${tools.length || ""}`, body: <ToolList tools={tools} /> },
              { id: "events", name: "Events", body: <RawEvents entries={entries} isShown={tab === "events"} /> },
            ]}
          />
        </div>
      </div>
    </>
  );
}

const REPORT_EVERY_MS = 5_000;

/** The server's report; of a live call it is asked for again and again. */
function CallReport({ call }: { call: CallSummary }) {
  const load = (signal: AbortSignal) => callReport(call.id, signal);
  const isLive = call.state === "live";
  const { data, error } = useQuery(`report/${call.id}/${call.state}`, load, isLive ? REPORT_EVERY_MS : undefined);
  if (error) return <p className="banner warn">{error}</p>;
  return data && <ReportView report={data} />;
}

/** The call's entries; those of a live call go on coming. */
function useEntries({ call, entries }: CallDetail, onEnded: () => void): readonly Entry[] {
  const [live, setLive] = useState<readonly Entry[]>([]);
  const isLive = call.state === "live";
  useFollow(
    isLive ? call.id : null,
    (signal) => callEntries(call.id, signal),
    (entry) => {
      setLive((known) => (entry.seq > (known.at(-1)?.seq ?? 0) ? [...known, entry] : known));
      if (entry.type === "session.ended") setTimeout(onEnded, 800);
    },
  );
  return entries.length >= live.length ? entries : live;
}

function Head({ detail: { call, models }, entries }: { detail: CallDetail; entries: readonly Entry[] }) {
  const turns = useMemo(() => measuredTurns(entries), [entries]);
  const p50 = percentile(firstAudio(turns), 0.5) ?? call.first_audio_p50_ms;
  const started = only(entries, "session.started").at(-1);
  const usage = only(entries, "session.usage").at(-1);
  const isLive = call.state === "live";
  const length_s = call.duration_s ?? entries.at(-1)?.at ?? 0;
  return (
    <header className="call-head">
      <div className="call-title">
        <h1>{call.agent}</h1>
        <span className="chip">{call.carrier}</span>
        {started?.direction === "outbound" && (
          <span className="chip agent">
            <PhoneOutgoing size={12} aria-hidden /> called {started.called}
          </span>
        )}
        {isLive ? (
          <span className="chip live">
            <span className="dot live" /> live
          </span>
        ) : (
          <span className="chip">{words(call.end_reason ?? "ended")}</span>
        )}
        <span className="muted call-id mono" title="Call id">
          {call.call_id}
        </span>
        <Downloads id={call.id} hasRecording={call.has_recording} entries={entries} />
      </div>
      <dl className="stats">
        <Stat name="Started" value={fullDate(call.started_at)} />
        <Stat name="Length" value={clock(length_s)} />
        <Stat name="Turns" value={String(call.turns)} />
        <Stat name="First audio, p50" value={p50 === null ? "–" : milliseconds(p50)} />
        <Stat name="Interrupted" value={call.interruptions === 0 ? "never" : plural(call.interruptions, "time")} />
        {usage && <Stat name="Tokens in / out" value={`${usage.llm_input_tokens} / ${usage.llm_output_tokens}`} />}
        {models.stt && <Stat name="Models" value={modelNames(models)} />}
      </dl>
    </header>
  );
}

function modelNames(models: Record<string, string>): string {
  const names = [models.stt, models.llm, models.tts].filter((name) => name !== undefined);
  return names.map((name) => name.split("/").at(-1)).join(" · ");
}

function Stat({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="num" title={value}>
        {value}
      </dd>
    </div>
  );
}

type DownloadsProps = { id: string; hasRecording: boolean; entries: readonly Entry[] };

/** Files are fetched by the page and then saved: a plain link could not carry the key. */
function Downloads({ id, hasRecording, entries }: DownloadsProps) {
  const recording = async () => {
    const response = await request(`${callPath(id)}/recording`);
    save(await response.blob(), `${id}.wav`);
  };
  const log = () => {
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
    save(new Blob(lines, { type: "application/x-ndjson" }), `${id}.jsonl`);
  };
  return (
    <div className="downloads">
      {hasRecording && (
        <button type="button" className="button small" onClick={() => void recording()}>
          <Download size={14} aria-hidden /> Recording
        </button>
      )}
      <button type="button" className="button small" onClick={log}>
        <FileText size={14} aria-hidden /> Log
      </button>
    </div>
  );
}

type TranscriptProps = {
  lines: readonly Line[];
  playhead: number | null;
  onSeek: ((at: number) => void) | undefined;
};

function Transcript({ lines, playhead, onSeek }: TranscriptProps) {
  const list = useRef<HTMLOListElement>(null);
  const current = playhead === null ? undefined : currentLine(lines, playhead);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new current line is what scrolls.
  useEffect(() => {
    const element = list.current?.querySelector<HTMLElement>("[data-current]");
    const box = list.current;
    if (element && box) box.scrollTo({ top: element.offsetTop - box.clientHeight / 3, behavior: "smooth" });
  }, [current?.key]);
  if (lines.length === 0) return <p className="panel-empty">Nothing was said.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <ol className="lines" ref={list} tabIndex={0} aria-label="Lines of the call" data-testid="captions">
      {lines.map((line) => (
        <CaptionLine
          key={line.key}
          line={line}
          share={line === current ? playedShare(line, playhead) : null}
          isCurrent={line === current}
          onSeek={onSeek}
        />
      ))}
    </ol>
  );
}

/** The spoken line that sounds at this moment: the last one that has begun and is not over. */
function currentLine(lines: readonly Line[], at: number): Line | undefined {
  return lines.findLast((line) => {
    if (line.kind !== "caller" && line.kind !== "agent") return false;
    const start = (line.kind === "agent" ? line.startedAt : null) ?? line.at;
    return start <= at && at < (line.end ?? start + 1) + 0.2;
  });
}

function playedShare(line: Line, playhead: number | null): number | null {
  if (line.kind !== "agent" || line.startedAt === null || line.end === null || playhead === null) return null;
  return (playhead - line.startedAt) / Math.max(0.1, line.end - line.startedAt);
}

function ToolList({ tools }: { tools: readonly ToolLine[] }) {
  if (tools.length === 0) return <p className="panel-empty">No tool was called.</p>;
  return (
    <ol className="lines tools">
      {tools.map((line) => (
        <CaptionLine key={line.key} line={line} />
      ))}
    </ol>
  );
}
