import { Maximize2, Minus, Plus } from "lucide-react";
import type { CSSProperties, MouseEvent, PointerEvent } from "react";
import { memo, useRef, useState } from "react";
import type { Bar, Lane, Timeline } from "../call/timeline";
import { clock, hue, milliseconds } from "./format";
import type { Range, Zoom } from "./use-zoom";
import { useInView, useZoom } from "./use-zoom";

type Props = {
  timeline: Timeline;
  /** The live call's clock, in seconds; null for a call that is over. */
  now?: number | null;
  /** Where the recording plays, in seconds. */
  playhead?: number | null;
  onSeek?: ((at: number) => void) | undefined;
};

const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
const TICK_PX = 76;

type Tip = { bar: Bar; x: number; y: number };

/** All lanes of a call on one time axis, to zoom and scroll. */
export function TimelineView({ timeline, now = null, playhead = null, onSeek }: Props) {
  const viewport = useRef<HTMLDivElement>(null);
  const [tip, setTip] = useState<Tip | null>(null);
  const end = Math.max(timeline.end, now ?? 0, 1);
  const zoom = useZoom(viewport, end, now !== null);
  const { scale, visible } = zoom;
  useInView(viewport, playhead === null ? null : playhead * scale);
  const seek = onSeek ? (event: MouseEvent) => onSeek(zoom.timeAt(event.clientX)) : null;
  return (
    <section className="timeline" aria-label="Timeline">
      <Head end={end} zoom={zoom} />
      <div className="tl-body">
        <div className="tl-names" aria-hidden>
          {timeline.lanes.map((lane) => (
            <div key={lane.id} data-lane={lane.id}>
              {lane.name}
            </div>
          ))}
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: a scrolled drawing is no fieldset. */}
        <div
          className="tl-scroll"
          ref={viewport}
          role="group"
          aria-label="Lanes of the call. Arrow keys scroll, plus and minus zoom, 0 fits."
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
          tabIndex={0}
          onScroll={zoom.onScroll}
          onWheel={zoom.onTouch}
          onPointerDown={zoom.onTouch}
          onTouchMove={zoom.onTouch}
          onKeyDown={zoom.onKeyDown}
          onPointerLeave={() => setTip(null)}
        >
          <div className="tl-content" style={{ width: end * scale }}>
            <Axis end={end} scale={scale} visible={visible} onClick={seek} />
            {timeline.turns.map(({ turn, at }) => (
              <div key={turn} className="tl-turn" style={{ left: at * scale }}>
                <span>{turn}</span>
              </div>
            ))}
            {timeline.lanes.map((lane) => (
              <LaneRow key={lane.id} lane={lane} scale={scale} visible={visible} onTip={setTip} />
            ))}
            {playhead !== null && <div className="tl-playhead" style={{ left: playhead * scale }} />}
          </div>
        </div>
      </div>
      {tip && <Tooltip tip={tip} />}
    </section>
  );
}

function Head({ end, zoom }: { end: number; zoom: Zoom }) {
  return (
    <header className="panel-head">
      <h2>Timeline</h2>
      <span className="muted num">{clock(end)}</span>
      <div className="zoom">
        <ZoomButton name="Zoom out" onClick={zoom.zoomOut} icon={<Minus size={14} aria-hidden />} />
        <ZoomButton name="Zoom in" onClick={zoom.zoomIn} icon={<Plus size={14} aria-hidden />} />
        <ZoomButton name="Fit" onClick={zoom.showAll} icon={<Maximize2 size={13} aria-hidden />} />
      </div>
    </header>
  );
}

function ZoomButton({ name, icon, onClick }: { name: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <button type="button" className="button ghost small icon" aria-label={name} title={name} onClick={onClick}>
      {icon}
    </button>
  );
}

type AxisProps = { end: number; scale: number; visible: Range; onClick: ((event: MouseEvent) => void) | null };

function Axis({ end, scale, visible, onClick }: AxisProps) {
  const step = STEPS_S.find((seconds) => seconds * scale >= TICK_PX) ?? 1200;
  const first = Math.max(0, Math.floor(visible.from / step));
  const last = Math.floor(Math.min(end, visible.to) / step);
  const ticks = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the player's slider seeks by keyboard.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the same.
    <div className="tl-axis" data-seeks={onClick !== null || undefined} onClick={onClick ?? undefined}>
      {ticks.map((at) => (
        <span key={at} style={{ left: at * scale }}>
          {step < 1 ? `${at.toFixed(step < 0.1 ? 2 : 1)} s` : clock(at)}
        </span>
      ))}
    </div>
  );
}

type LaneProps = { lane: Lane; scale: number; visible: Range; onTip: (tip: Tip | null) => void };

const LaneRow = memo(function LaneRow({ lane, scale, visible, onTip }: LaneProps) {
  const shown = lane.bars.filter(
    (bar) => bar.start <= visible.to && (bar.end ?? Number.POSITIVE_INFINITY) >= visible.from,
  );
  const total_s = lane.bars.reduce((sum, bar) => sum + ((bar.end ?? bar.start) - bar.start), 0);
  const tipFor = (bar: Bar) => (event: PointerEvent) => onTip({ bar, x: event.clientX, y: event.clientY });
  return (
    <div
      className="tl-lane"
      data-lane={lane.id}
      role="img"
      aria-label={`${lane.name}: ${lane.bars.length} bars, ${total_s.toFixed(1)} seconds in all`}
    >
      {shown.map((bar) => (
        <div
          key={bar.key}
          className="tl-bar"
          data-tone={bar.tone}
          data-cut={bar.isCut || undefined}
          data-open={bar.end === null || undefined}
          data-who={bar.who === undefined ? undefined : hue(bar.who)}
          data-moment={bar.isMoment}
          style={barStyle(bar, scale)}
          onPointerMove={tipFor(bar)}
          onPointerLeave={() => onTip(null)}
        >
          {bar.marks?.map((at) => (
            <i key={at} style={{ left: (at - bar.start) * scale }} />
          ))}
          {LABELLED.has(lane.id) && isWide(bar, scale) && <span>{bar.title}</span>}
        </div>
      ))}
    </div>
  );
});

const LABELLED = new Set(["answering", "transcript", "agent", "tools", "notable"]);
const LABEL_PX = 56;

function isWide(bar: Bar, scale: number): boolean {
  return bar.end === null || (bar.end - bar.start) * scale >= LABEL_PX;
}

function barStyle(bar: Bar, scale: number): CSSProperties {
  const left = bar.start * scale;
  // An open bar reaches the right end, which moves with the call.
  return bar.end === null ? { left, right: 0 } : { left, width: Math.max(2, (bar.end - bar.start) * scale) };
}

function Tooltip({ tip: { bar, x, y } }: { tip: Tip }) {
  const isRight = x > window.innerWidth - 300;
  const style = { top: y + 16, ...(isRight ? { right: window.innerWidth - x + 8 } : { left: x + 8 }) };
  const took_ms = bar.end === null ? null : (bar.end - bar.start) * 1000;
  return (
    <div className="tl-tip" style={style} aria-hidden>
      <strong>{bar.title}</strong>
      <span className="muted num">
        {bar.start.toFixed(2)} s{took_ms === null && ", goes on"}
        {took_ms !== null && !bar.isMoment && ` · ${milliseconds(took_ms)}`}
        {bar.isCut ? " · cut" : ""}
      </span>
      {bar.detail && bar.detail !== bar.title && <span>{bar.detail}</span>}
    </div>
  );
}
