/// <reference path="./worklet.d.ts" />
import { JitterBuffer } from "./jitter";
import type { PlaybackCommand, PlaybackReport } from "./messages";
import { rms } from "./pcm";

/** Blocks of 128 samples between two reports: about 43 ms at 24 kHz. */
const REPORT_BLOCKS = 8;

/** Plays what it is sent through a jitter buffer and tells how far each item has come. */
class Playback extends AudioWorkletProcessor {
  private readonly buffer = new JitterBuffer(sampleRate);
  private block = 0;
  private wasIdle = true;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<PlaybackCommand>) => this.on(data);
  }

  override process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const channels = outputs[0] ?? [];
    const first = channels[0];
    if (!first) return true;
    const played = this.buffer.pull(first, currentTime * 1000);
    for (const channel of channels.slice(1)) channel.set(first);
    this.block += 1;
    const progress = this.block % REPORT_BLOCKS === 0 ? this.buffer.progress() : null;
    const isIdle = progress?.length === 0;
    if (progress && !(isIdle && this.wasIdle)) {
      this.report({ type: "progress", items: progress, level: played > 0 ? rms(first) : 0 });
      this.wasIdle = isIdle;
    }
    return true;
  }

  private on(command: PlaybackCommand): void {
    if (command.type === "push") this.buffer.push(command.item, command.samples, currentTime * 1000);
    else if (command.type === "complete") this.buffer.complete(command.item);
    else this.report({ type: "flushed", items: this.buffer.flush() });
  }

  private report(message: PlaybackReport): void {
    this.port.postMessage(message);
  }
}

registerProcessor("playback", Playback);
