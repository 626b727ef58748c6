import { useEffect, useRef } from "react";
import type { Meters } from "../realtime/live";

const BAR_PX = 3;
const GAP_PX = 2;
const BARS_PER_S = 20;

/** The two voices as they sound: the caller above the line, the agent below it, the newest at the right. */
export function Duet({ meters, isActive }: { meters: Meters; isActive: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element || !isActive) return;
    const history: { caller: number; agent: number }[] = [];
    let peak = { caller: 0, agent: 0 };
    let last = performance.now();
    let frame = 0;
    const draw = (now: number) => {
      frame = requestAnimationFrame(draw);
      peak = { caller: Math.max(peak.caller, meters.caller), agent: Math.max(peak.agent, meters.agent) };
      if (now - last < 1000 / BARS_PER_S) return;
      last = now;
      history.push(peak);
      peak = { caller: 0, agent: 0 };
      const bars = Math.ceil(element.clientWidth / (BAR_PX + GAP_PX));
      if (history.length > bars) history.splice(0, history.length - bars);
      paint(element, history);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [meters, isActive]);
  return <canvas ref={canvas} className="duet" aria-hidden />;
}

/** Loudness as the eye expects it: -54 dB is nothing, -6 dB is all. */
export function loudness(level: number): number {
  if (level <= 0) return 0;
  return Math.min(1, Math.max(0, (20 * Math.log10(level) + 54) / 48));
}

function paint(element: HTMLCanvasElement, history: readonly { caller: number; agent: number }[]): void {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = element;
  if (element.width !== width * ratio) element.width = width * ratio;
  if (element.height !== height * ratio) element.height = height * ratio;
  const context = element.getContext("2d");
  if (!context) return;
  // A canvas knows no custom properties: the stylesheet hands it both colours as plain ones.
  const style = getComputedStyle(element);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const middle = height / 2;
  history.forEach(({ caller, agent }, index) => {
    const x = width - (history.length - index) * (BAR_PX + GAP_PX);
    const up = Math.max(1, loudness(caller) * (middle - 2));
    const down = Math.max(1, loudness(agent) * (middle - 2));
    context.fillStyle = style.color;
    context.globalAlpha = up > 1 ? 1 : 0.3;
    context.fillRect(x, middle - 1 - up, BAR_PX, up);
    context.fillStyle = style.borderTopColor;
    context.globalAlpha = down > 1 ? 1 : 0.3;
    context.fillRect(x, middle + 1, BAR_PX, down);
  });
}
