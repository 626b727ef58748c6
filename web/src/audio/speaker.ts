import type { Progress } from "./jitter";
import type { PlaybackCommand, PlaybackReport } from "./messages";
import { WIRE_HZ } from "./pcm";
import playbackUrl from "./playback.worklet.ts?worker&url";

/** The loudspeaker behind the jitter buffer. */
export class Speaker {
  private flushed: ((items: Progress[]) => void)[] = [];

  private constructor(
    private readonly context: AudioContext,
    private readonly node: AudioWorkletNode,
    onProgress: (items: Progress[], level: number) => void,
  ) {
    node.port.onmessage = ({ data }: MessageEvent<PlaybackReport>) => {
      if (data.type === "progress") onProgress(data.items, data.level);
      else this.flushed.shift()?.(data.items);
    };
    node.connect(context.destination);
  }

  static async open(onProgress: (items: Progress[], level: number) => void): Promise<Speaker> {
    const context = new AudioContext({ sampleRate: WIRE_HZ, latencyHint: "interactive" });
    await context.audioWorklet.addModule(playbackUrl);
    await context.resume();
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    return new Speaker(context, node, onProgress);
  }

  /** Sound that left the page and is not heard yet. */
  get latency_ms(): number {
    return (this.context.outputLatency || 0) * 1000;
  }

  push(item: string, samples: Int16Array<ArrayBuffer>): void {
    this.send({ type: "push", item, samples }, [samples.buffer]);
  }

  complete(item: string): void {
    this.send({ type: "complete", item });
  }

  /** Be silent at once; the answer is what was cut. */
  flush(): Promise<Progress[]> {
    this.send({ type: "flush" });
    return new Promise((resolve) => this.flushed.push(resolve));
  }

  close(): void {
    this.node.port.onmessage = null;
    void this.context.close();
  }

  private send(command: PlaybackCommand, transfer: Transferable[] = []): void {
    this.node.port.postMessage(command, transfer);
  }
}
