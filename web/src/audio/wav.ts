/** The loudness of a recording over time, read while its bytes come: long calls are never held in memory. */

export type Peaks = {
  duration_s: number;
  /** Loudest sample (0..1) of each of the equal stretches, by channel: the caller, the agent. */
  channels: [Float32Array, Float32Array];
};

type Format = { channels: number; rate_hz: number; dataAt: number; frames: number };

/** Reads a PCM16 WAV, chunk by chunk, into a fixed number of peaks for each channel. */
export class PeakReader {
  private head = new Uint8Array(0);
  private format: Format | null = null;
  private frame = 0;
  private rest = new Uint8Array(0);
  private readonly channels: [Float32Array, Float32Array];

  constructor(private readonly buckets: number) {
    this.channels = [new Float32Array(buckets), new Float32Array(buckets)];
  }

  push(chunk: Uint8Array): void {
    if (this.format) return this.samples(chunk);
    this.head = joined(this.head, chunk);
    this.format = readFormat(this.head);
    if (this.format) this.samples(this.head.subarray(this.format.dataAt));
  }

  /** What was read; null when it was no PCM16 WAV. */
  peaks(): Peaks | null {
    if (!this.format) return null;
    const mono = this.format.channels === 1;
    return {
      duration_s: this.format.frames / this.format.rate_hz,
      channels: mono ? [this.channels[0], new Float32Array(this.buckets)] : this.channels,
    };
  }

  private samples(chunk: Uint8Array): void {
    const format = this.format as Format;
    const bytes = this.rest.length ? joined(this.rest, chunk) : chunk;
    const size = 2 * format.channels;
    const whole = Math.floor(bytes.length / size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, whole * size);
    for (let index = 0; index < whole && this.frame < format.frames; index++, this.frame++) {
      const bucket = Math.min(this.buckets - 1, Math.floor((this.frame / format.frames) * this.buckets));
      for (let channel = 0; channel < Math.min(2, format.channels); channel++) {
        const value = Math.abs(view.getInt16(index * size + 2 * channel, true)) / 32768;
        const peaks = this.channels[channel as 0 | 1];
        if (value > (peaks[bucket] as number)) peaks[bucket] = value;
      }
    }
    this.rest = bytes.slice(whole * size);
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/** The format, once the `data` chunk's header is there. */
function readFormat(bytes: Uint8Array): Format | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let channels = 0;
  let rate_hz = 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (id === "data") return channels ? { channels, rate_hz, dataAt: at + 8, frames: size / (2 * channels) } : null;
    if (id === "fmt " && at + 24 <= bytes.length) {
      if (view.getUint16(at + 8, true) !== 1 || view.getUint16(at + 22, true) !== 16) return null;
      channels = view.getUint16(at + 10, true);
      rate_hz = view.getUint32(at + 12, true);
    }
    at += 8 + size + (size & 1);
  }
  return null;
}
