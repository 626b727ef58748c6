import type { KeyboardEvent, RefObject } from "react";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useWidth } from "./use-size";

/** Pixels a second of a live call, at least and at most. */
const LIVE_SCALE = 44;
const LIVE_MAX_SCALE = 88;
const MAX_SCALE = 1200;
const STEP = 1.6;
/** A scroll so soon after a hand was laid on it was its doing, not that of the call going on. */
const HAND_MS = 1_000;

/** A stretch of the time axis, in seconds. */
export type Range = { from: number; to: number };

export type Zoom = {
  /** Pixels a second. */
  scale: number;
  /** What is near the view: the rest need not be drawn. */
  visible: Range;
  zoomIn: () => void;
  zoomOut: () => void;
  showAll: () => void;
  onScroll: () => void;
  /** To be called when somebody lays hand on it: what scrolls then is meant. */
  onTouch: () => void;
  onKeyDown: (event: KeyboardEvent) => void;
  /** The moment under a place on the screen. */
  timeAt: (clientX: number) => number;
};

/** Zoom and scroll of a time axis of `end_s` seconds inside `viewport`; a live one keeps its newest moment in view. */
export function useZoom(viewport: RefObject<HTMLDivElement | null>, end_s: number, isLive: boolean): Zoom {
  const width = useWidth(viewport);
  const [chosen, setChosen] = useState<number | null>(null);
  const [left, setLeft] = useState(0);
  const isFollowing = useRef(true);
  const touchedAt = useRef(Number.NEGATIVE_INFINITY);
  /** Where to scroll to once the new scale is drawn. */
  const nextLeft = useRef<number | null>(null);
  const whole = width > 0 ? width / (end_s * 1.01) : 1;
  const scale = chosen ?? (isLive ? Math.max(LIVE_SCALE, Math.min(whole, LIVE_MAX_SCALE)) : whole);
  const visible = useMemo(
    () => ({ from: (left - width) / scale, to: (left + 2 * width) / scale }),
    [left, width, scale],
  );
  const contentWidth = end_s * scale;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new width of the content is what moves the view.
  useLayoutEffect(() => {
    const element = viewport.current;
    if (!element) return;
    if (isLive && isFollowing.current) element.scrollLeft = element.scrollWidth;
    else if (nextLeft.current !== null) element.scrollLeft = nextLeft.current;
    nextLeft.current = null;
  }, [isLive, contentWidth]);
  const zoom = (factor: number, around = left + width / 2) => {
    const next = Math.min(MAX_SCALE, Math.max(whole, scale * factor));
    setChosen(next <= whole ? null : next);
    nextLeft.current = (around / scale) * next - (around - left);
  };
  useWheelZoom(viewport, zoom);
  const touch = () => {
    touchedAt.current = performance.now();
  };
  const showAll = () => {
    isFollowing.current = true;
    setChosen(null);
  };
  return {
    scale,
    visible,
    zoomIn: () => zoom(STEP),
    zoomOut: () => zoom(1 / STEP),
    showAll,
    onScroll: () => {
      const element = viewport.current;
      if (!element) return;
      setLeft(element.scrollLeft);
      if (performance.now() - touchedAt.current > HAND_MS) return;
      isFollowing.current = element.scrollLeft + element.clientWidth >= element.scrollWidth - 24;
    },
    onTouch: touch,
    onKeyDown: (event) => {
      touch();
      if (event.key === "+" || event.key === "=") zoom(STEP);
      else if (event.key === "-") zoom(1 / STEP);
      else if (event.key === "0") showAll();
      else return;
      event.preventDefault();
    },
    timeAt: (clientX) => {
      const box = viewport.current?.getBoundingClientRect();
      return box ? Math.max(0, (clientX - box.left + left) / scale) : 0;
    },
  };
}

/** Pinch, or the wheel with Ctrl or Cmd, zooms around the pointer. React's wheel listener could not stop the page's zoom. */
function useWheelZoom(
  viewport: RefObject<HTMLDivElement | null>,
  zoom: (factor: number, around: number) => void,
): void {
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

/** Scrolls on when `x` leaves what is shown. */
export function useInView(viewport: RefObject<HTMLDivElement | null>, x: number | null): void {
  useEffect(() => {
    const element = viewport.current;
    if (!element || x === null) return;
    const { scrollLeft, clientWidth } = element;
    if (x < scrollLeft || x > scrollLeft + clientWidth) element.scrollLeft = x - clientWidth / 10;
  }, [viewport, x]);
}
