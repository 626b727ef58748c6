import { Maximize2, Minus, Plus } from "lucide-react";
import type { CSSProperties, KeyboardEvent, MouseEvent, PointerEvent } from "react";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Bar, Lane, Timeline } from "../call/timeline";
import { clock, milliseconds } from "./format";
import { useWidth } from "./use-size";

type Props = {
  timeline: Timeline;
  /** The live call's clock, in seconds; null for a call that is over. */
  now?: number | null;
  /** Where the recording plays, in seconds. */
  playhead?: number | null;
  onSeek?: ((at: number) => void) | undefined;
};

const LIVE_SCALE = 44;
const MAX_SCALE = 1200;
const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
const TICK_PX = 76;

type Tip = { bar: Bar; x: number; y: number };

/** All lanes of a call on one time axis, to zoom and scroll. */
export function TimelineView({ timeline, now = null, playhead = null, onSeek }: Props) {
  const viewport = useRef<HTMLDivElement>(null);
  const width = useWidth(viewport);
  const [chosen, setChosen] = useState<number | null>(null);
  const [left, setLeft] = useState(0);
  const [tip, setTip] = useState<Tip | null>(null);
  const isLive = now !== null;
  const end = Math.max(timeline.end, now ?? 0, 1);
  const fit = width > 0 ? width / (end * 1.01) : 1;
  const scale = chosen ?? (isLive ? Math.max(LIVE_SCALE, Math.min(fit, 2 * LIVE_SCALE)) : fit);
  const visible = useMemo(
    () => ({ from: (left - width) / scale, to: (left + 2 * width) / scale }),
    [left, width, scale],
  );
  const follow = useFollowing(viewport, isLive, end * scale);

  useInView(viewport, playhead === null ? null : playhead * scale);

  const zoom = (factor: number, around = left + width / 2) => {
    const next = Math.min(MAX_SCALE, Math.max(fit, scale * factor));
    const at = around / scale;
    setChosen(next <= fit ? null : next);
    follow.release();
    requestAnimationFrame(() => viewport.current?.scrollTo({ left: at * next - (around - left) }));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") setChosen(null);
    else return;
    event.preventDefault();
  };
  useWheelZoom(viewport, zoom);

  const timeAt = (event: MouseEvent) => {
    const box = viewport.current?.getBoundingClientRect();
    return box ? Math.max(0, (event.clientX - box.left + left) / scale) : 0;
  };
  return (
    <section className="timeline" aria-label="Timeline">
      <header className="panel-head">
        <h2>Timeline</h2>
        <span className="muted num">{clock(end)}</span>
        <div className="zoom">
          <ZoomButton name="Zoom out" onClick={() => zoom(1 / 1.6)} icon={<Minus size={14} aria-hidden />} />
          <ZoomButton name="Zoom in" onClick={() => zoom(1.6)} icon={<Plus size={14} aria-hidden />} />
          <ZoomButton name="Fit" onClick={() => setChosen(null)} icon={<Maximize2 size={13} aria-hidden />} />
        </div>
      </header>
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
          onScroll={(event) => {
            setLeft(event.currentTarget.scrollLeft);
            follow.note();
          }}
          onKeyDown={onKeyDown}
          onPointerLeave={() => setTip(null)}
        >
          <div className="tl-content" style={{ width: end * scale }}>
            <Axis
              end={end}
              scale={scale}
              visible={visible}
              onClick={onSeek ? (event) => onSeek(timeAt(event)) : null}
            />
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

function ZoomButton({ name, icon, onClick }: { name: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <button type="button" className="button ghost small icon" aria-label={name} title={name} onClick={onClick}>
      {icon}
    </button>
  );
}

type Range = { from: number; to: number };
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

const LABELLED = new Set(["transcript", "agent", "tools"]);
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
        {bar.start.toFixed(2)} s{took_ms === null ? ", goes on" : ` · ${milliseconds(took_ms)}`}
        {bar.isCut ? " · cut" : ""}
      </span>
      {bar.detail && bar.detail !== bar.title && <span>{bar.detail}</span>}
    </div>
  );
}

/** Keeps the newest moment of a live call in view, until somebody scrolls back. */
function useFollowing(viewport: React.RefObject<HTMLDivElement | null>, isLive: boolean, contentWidth: number) {
  const isFollowing = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the content's width is what moves the end.
  useLayoutEffect(() => {
    const element = viewport.current;
    if (isLive && isFollowing.current && element) element.scrollLeft = element.scrollWidth;
  }, [isLive, contentWidth]);
  return {
    release: () => {
      isFollowing.current = false;
    },
    note: () => {
      const element = viewport.current;
      if (element) isFollowing.current = element.scrollLeft + element.clientWidth >= element.scrollWidth - 24;
    },
  };
}

/** Scrolls on when the playhead leaves what is shown. */
function useInView(viewport: React.RefObject<HTMLDivElement | null>, x: number | null): void {
  useEffect(() => {
    const element = viewport.current;
    if (!element || x === null) return;
    const { scrollLeft, clientWidth } = element;
    if (x < scrollLeft || x > scrollLeft + clientWidth) element.scrollLeft = x - clientWidth / 10;
  }, [viewport, x]);
}

/** Pinch, or the wheel with Ctrl or Cmd, zooms around the pointer. React's own wheel listener could not stop the page's zoom. */
function useWheelZoom(
  viewport: React.RefObject<HTMLDivElement | null>,
  zoom: (factor: number, around: number) => void,
) {
  const current = useRef(zoom);
  current.current = zoom;
  useEffect(() => {
    const element = viewport.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const around = event.clientX - element.getBoundingClientRect().left + element.scrollLeft;
      current.current(Math.exp(-event.deltaY / 300), around);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [viewport]);
}
