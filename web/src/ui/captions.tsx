import {
  ArrowRight,
  ClipboardPen,
  CornerDownLeft,
  Disc,
  Ear,
  Grip,
  Info,
  Keyboard,
  type LucideIcon,
  Music,
  Pause,
  PhoneForwarded,
  PhoneOff,
  TriangleAlert,
  UserCheck,
  Voicemail,
  Wrench,
} from "lucide-react";
import { memo } from "react";
import type { AgentLine, CallerLine, HandoffLine, KeysLine, Line, NoteLine, ToolLine } from "../call/conversation";
import { saidLength } from "../call/conversation";
import type { Sign } from "../call/happenings";
import { clock, hue, milliseconds, plural, words } from "./format";

export type LineProps = {
  line: Line;
  /** How much of an agent's speech has sounded, 0..1; null when it is not sounding now. */
  share?: number | null;
  isCurrent?: boolean;
  onSeek?: ((at: number) => void) | undefined;
};

/** One line of a conversation. */
export const CaptionLine = memo(function CaptionLine({ line, share = null, isCurrent = false, onSeek }: LineProps) {
  switch (line.kind) {
    case "caller":
      return (
        <Bubble side="caller" line={line} isCurrent={isCurrent} onSeek={onSeek} body={<CallerText line={line} />} />
      );
    case "agent":
      return (
        <Bubble
          side="agent"
          line={line}
          isCurrent={isCurrent}
          onSeek={onSeek}
          body={<AgentText line={line} share={share} />}
        />
      );
    case "tool":
      return <ToolCard line={line} />;
    case "keys":
      return <Keys line={line} />;
    case "handoff":
      return <Handoff line={line} />;
    case "note":
      return <Note line={line} />;
  }
});

type BubbleProps = {
  side: "caller" | "agent";
  line: CallerLine | AgentLine;
  isCurrent: boolean;
  onSeek: ((at: number) => void) | undefined;
  body: React.ReactNode;
};

function Bubble({ side, line, isCurrent, onSeek, body }: BubbleProps) {
  const at = (line.kind === "agent" ? line.startedAt : null) ?? line.at;
  const name = line.kind === "agent" ? line.agent || "Agent" : "Caller";
  return (
    <li
      className={`line ${side}`}
      data-current={isCurrent || undefined}
      data-who={line.kind === "agent" ? hue(line.who) : undefined}
      data-testid={`line-${side}`}
    >
      <div className="line-head">
        <span className="line-who">{name}</span>
        {line.kind === "agent" && line.speechKind !== "reply" && <span className="chip">{words(line.speechKind)}</span>}
        {line.kind === "caller" && line.isTyped && <Keyboard size={13} aria-label="typed" />}
        {line.kind === "caller" && line.overlap === "backchannel" && (
          <span className="chip">
            <Ear size={12} aria-hidden /> listening sound
          </span>
        )}
        {line.kind === "caller" && line.overlap === "interruption" && (
          <span className="chip caller">
            <CornerDownLeft size={12} aria-hidden /> cuts in
          </span>
        )}
        <Time at={at} onSeek={onSeek} />
      </div>
      <p className="line-text">{body}</p>
    </li>
  );
}

function Time({ at, onSeek }: { at: number; onSeek: ((at: number) => void) | undefined }) {
  if (!onSeek) return <time className="line-time">{clock(at)}</time>;
  return (
    <button type="button" className="line-time" onClick={() => onSeek(at)} aria-label={`Play from ${clock(at)}`}>
      {clock(at)}
    </button>
  );
}

function CallerText({ line }: { line: CallerLine }) {
  if (line.isFinal) return line.text;
  return (
    <em className="interim" data-testid="interim">
      {line.text}
      <span className="caret" aria-hidden />
    </em>
  );
}

function AgentText({ line, share }: { line: AgentLine; share: number | null }) {
  if (line.state === "interrupted") {
    return (
      <>
        {line.heard && <span data-testid="heard">{line.heard} </span>}
        {line.unheard && (
          <del className="unheard" data-testid="not-heard">
            <span className="sr-only">Not heard: </span>
            {line.unheard}
          </del>
        )}
      </>
    );
  }
  if (share === null || line.state === "completed") return line.text;
  const said = saidLength(line.text, share);
  return (
    <>
      {line.text.slice(0, said)}
      <span className="coming">{line.text.slice(said)}</span>
    </>
  );
}

function ToolCard({ line }: { line: ToolLine }) {
  const given = Object.entries(line.arguments);
  return (
    <li
      className="tool-card"
      data-collector={line.isCollector || undefined}
      data-error={line.isError || undefined}
      data-testid="tool-card"
    >
      <div className="tool-head">
        {line.isCollector ? <ClipboardPen size={14} aria-hidden /> : <Wrench size={14} aria-hidden />}
        <span className="sr-only">{line.isCollector ? "Collector" : "Tool"}</span>
        <code>{line.name}</code>
        <span className="tool-took num">
          {line.duration_ms === null ? (
            <span className="working">{line.isCollector ? "asking…" : "running…"}</span>
          ) : (
            `${line.isError ? "failed, " : ""}${milliseconds(line.duration_ms)}`
          )}
        </span>
      </div>
      {given.length > 0 && (
        <dl className="tool-arguments">
          {given.map(([name, value]) => (
            <div key={name} className="row">
              <dt>{name}</dt>
              <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      {line.output && <p className="tool-output">{line.output}</p>}
    </li>
  );
}

/** So many dots are drawn at most. */
const MOST_DOTS = 24;

function Keys({ line }: { line: KeysLine }) {
  const pressed = `${plural(line.count, "key")} pressed`;
  return (
    <li className="line caller" data-testid="line-keys">
      <div className="line-head">
        <Grip size={13} aria-hidden />
        <span className="line-who">Keypad</span>
        <Time at={line.at} onSeek={undefined} />
      </div>
      <p className="line-text keys" title={pressed}>
        <span className="sr-only">{pressed}</span>
        <span aria-hidden>{"●".repeat(Math.min(line.count, MOST_DOTS))}</span>
      </p>
    </li>
  );
}

function Handoff({ line }: { line: HandoffLine }) {
  return (
    <li className="handoff" data-who={hue(line.who)} data-testid="line-handoff">
      <p>
        <span className="muted">{line.from}</span>
        <ArrowRight size={14} role="img" aria-label="hands over to" />
        <strong>{line.to}</strong>
        {line.isDiscrete && <span className="chip">silently</span>}
        <Time at={line.at} onSeek={undefined} />
      </p>
      {line.reason && <p className="handoff-reason">{line.reason}</p>}
    </li>
  );
}

const SIGNS: Partial<Record<Sign, LucideIcon>> = {
  transfer: PhoneForwarded,
  voicemail: Voicemail,
  recording: Disc,
  sound: Music,
  hold: Pause,
  approval: UserCheck,
  warning: TriangleAlert,
  end: PhoneOff,
  other: Info,
};

function Note({ line }: { line: NoteLine }) {
  const Icon = SIGNS[line.sign];
  return (
    <li className={`note ${line.tone}`}>
      {Icon && <Icon size={13} aria-hidden />}
      <span>{line.text}</span>
      <time className="line-time">{clock(line.at)}</time>
    </li>
  );
}

/** Says the newest finished line to screen readers; the visible lines change too often to be read. */
export function CaptionsForReaders({ lines }: { lines: readonly Line[] }) {
  const last = lines.findLast(
    (line) => (line.kind === "caller" && line.isFinal) || (line.kind === "agent" && line.state !== "waiting"),
  );
  return (
    <div className="sr-only" role="log" aria-live="polite" aria-label="Captions">
      {last?.kind === "caller" && `Caller: ${last.text}`}
      {last?.kind === "agent" &&
        (last.state === "interrupted"
          ? `${last.agent}, cut off after: ${last.heard || "nothing"}`
          : `${last.agent}: ${last.text}`)}
    </div>
  );
}
