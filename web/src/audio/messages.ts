import type { Progress } from "./jitter";

/** What the page tells the playback worklet. */
export type PlaybackCommand =
  | { type: "push"; item: string; samples: Int16Array }
  | { type: "complete"; item: string }
  | { type: "flush" };

/** What the playback worklet tells the page; `level` is 0..1. */
export type PlaybackReport =
  | { type: "progress"; items: Progress[]; level: number }
  | { type: "flushed"; items: Progress[] };

/** What the capture worklet tells the page: 20 ms of the microphone. */
export type CapturedFrame = { samples: Int16Array; level: number };
