import { Pause, Play } from "lucide-react";
import type { RefObject } from "react";
import { useEffect, useRef, useState } from "react";
import { callPath, request, savedKey } from "../../api/client";
import type { Peaks } from "../../audio/wav";
import { PeakReader } from "../../audio/wav";
import { clock } from "../../ui/format";
import { useWidth } from "../../ui/use-size";

const RATES = [1, 1.25, 1.5, 2, 0.75];
const BUCKETS = 900;

type Props = {
  id: string;
  /** Where it plays, while and after it did. */
  onTime: (at: number) => void;
  /** Filled with the function that plays from a moment. */
  seeker: RefObject<(at: number) => void>;
};

/** The recording: the caller above the line, the agent below it. */
export function Player({ id, onTime, seeker }: Props) {
  const audio = useRef<HTMLAudioElement>(null);
  const { source, peaks, error } = useRecording(`${callPath(id)}/recording`);
  const [time, setTime] = useState(0);
  const [length, setLength] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [rate, setRate] = useState(1);
  const duration = length || peaks?.duration_s || 0;
  const tell = (at: number) => {
    setTime(at);
    onTime(at);
  };
  useEffect(() => {
    seeker.current = (at) => {
      if (!audio.current) return;
      audio.current.currentTime = at;
      void audio.current.play();
    };
  }, [seeker]);
  useSmoothTime(audio, isPlaying, tell);
  const toggle = () => {
    if (isPlaying) audio.current?.pause();
    else void audio.current?.play();
  };
  const nextRate = () => {
    const next = RATES[(RATES.indexOf(rate) + 1) % RATES.length] ?? 1;
    setRate(next);
    if (audio.current) audio.current.playbackRate = next;
  };
  return (
    <section className="card player" aria-label="Recording">
      {/* biome-ignore lint/a11y/useMediaCaption: the transcript beside it is the caption. */}
      <audio
        ref={audio}
        src={source ?? undefined}
        preload="metadata"
        onLoadedMetadata={({ currentTarget }) => setLength(currentTarget.duration)}
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
        onSeeked={({ currentTarget }) => tell(currentTarget.currentTime)}
      />
      <button
        type="button"
        className="play"
        onClick={toggle}
        disabled={!source}
        aria-label={isPlaying ? "Pause" : "Play"}
      >
        {isPlaying ? <Pause size={18} aria-hidden /> : <Play size={18} aria-hidden />}
      </button>
      <div className="wave">
        {error ? <p className="muted">{error}</p> : <Waveform peaks={peaks} share={duration ? time / duration : 0} />}
        <input
          type="range"
          min={0}
          max={duration || 1}
          step={0.05}
          value={time}
          aria-label="Position"
          aria-valuetext={`${clock(time)} of ${clock(duration)}`}
          onChange={(event) => {
            if (audio.current) audio.current.currentTime = Number(event.target.value);
          }}
        />
      </div>
      <span className="num player-time">
        {clock(time)} <span className="muted">/ {clock(duration)}</span>
      </span>
      <button type="button" className="button small num" onClick={nextRate} aria-label={`Speed ${rate}`}>
        {rate}×
      </button>
    </section>
  );
}

/** Follows the element's clock at the screen's rate: `timeupdate` comes four times a second only. */
function useSmoothTime(
  audio: RefObject<HTMLAudioElement | null>,
  isPlaying: boolean,
  tell: (at: number) => void,
): void {
  const teller = useRef(tell);
  teller.current = tell;
  useEffect(() => {
    if (!isPlaying) return;
    let frame = 0;
    const follow = () => {
      if (audio.current) teller.current(audio.current.currentTime);
      frame = requestAnimationFrame(follow);
    };
    frame = requestAnimationFrame(follow);
    return () => cancelAnimationFrame(frame);
  }, [audio, isPlaying]);
}

type Recording = { source: string | null; peaks: Peaks | null; error: string | null };

/** Where the recording plays from, and its waveform; with a key it is fetched whole, since `<audio>` cannot send one. */
function useRecording(path: string): Recording {
  const [recording, setRecording] = useState<Recording>({ source: null, peaks: null, error: null });
  useEffect(() => {
    const abort = new AbortController();
    const isFetched = savedKey() !== null;
    let url: string | null = null;
    if (!isFetched) setRecording({ source: path, peaks: null, error: null });
    read(path, isFetched, abort.signal)
      .then(({ peaks, blob }) => {
        if (abort.signal.aborted) return;
        if (blob) url = URL.createObjectURL(blob);
        setRecording({ source: url ?? path, peaks, error: null });
      })
      .catch((failure: unknown) => {
        if (abort.signal.aborted) return;
        const error = failure instanceof Error ? failure.message : String(failure);
        setRecording((known) => ({ ...known, error }));
      });
    return () => {
      abort.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [path]);
  return recording;
}

async function read(
  path: string,
  isKept: boolean,
  signal: AbortSignal,
): Promise<{ peaks: Peaks | null; blob: Blob | null }> {
  const response = await request(path, { signal });
  const reader = new PeakReader(BUCKETS);
  const kept: Uint8Array<ArrayBuffer>[] = [];
  const body = response.body?.getReader();
  for (;;) {
    const chunk = await body?.read();
    if (!chunk || chunk.done) break;
    reader.push(chunk.value);
    if (isKept) kept.push(chunk.value);
  }
  return { peaks: reader.peaks(), blob: isKept ? new Blob(kept, { type: "audio/wav" }) : null };
}

function Waveform({ peaks, share }: { peaks: Peaks | null; share: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  useEffect(() => {
    if (canvas.current && peaks && width) paint(canvas.current, peaks, share);
  }, [peaks, share, width]);
  return <canvas ref={canvas} aria-hidden />;
}

const STRIDE_PX = 3;

function paint(canvas: HTMLCanvasElement, peaks: Peaks, share: number): void {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== width * ratio) canvas.width = width * ratio;
  if (canvas.height !== height * ratio) canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  if (!context) return;
  // A canvas knows no custom properties: the stylesheet hands it both colours as plain ones.
  const style = getComputedStyle(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const middle = height / 2;
  const columns = Math.floor(width / STRIDE_PX);
  for (let column = 0; column < columns; column++) {
    const [caller, agent] = peaks.channels.map((channel) => loudest(channel, column, columns)) as [number, number];
    context.globalAlpha = column / columns <= share ? 1 : 0.42;
    const up = Math.max(1, caller * (middle - 1));
    const down = Math.max(1, agent * (middle - 1));
    context.fillStyle = style.color;
    context.fillRect(column * STRIDE_PX, middle - up, STRIDE_PX - 1, up);
    context.fillStyle = style.borderTopColor;
    context.fillRect(column * STRIDE_PX, middle, STRIDE_PX - 1, down);
  }
}

function loudest(channel: Float32Array, column: number, columns: number): number {
  const from = Math.floor((column / columns) * channel.length);
  const to = Math.max(from + 1, Math.floor(((column + 1) / columns) * channel.length));
  // The root lifts quiet speech, and keeps the loud parts apart.
  return Math.sqrt(Math.max(...channel.subarray(from, to)));
}
