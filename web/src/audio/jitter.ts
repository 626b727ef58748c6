/** How much is kept back before a reply sounds, so that an uneven network does not tear it. */
export const JITTER_MS = 120;

type Chunk = { item: string; samples: Int16Array; at: number };

/** What of one item came and what of it sounded, in samples. */
export type Progress = { item: string; received: number; played: number; isComplete: boolean };

/**
 * The queue between the wire and the loudspeaker. Pure: the clock is the caller's, the audio is pulled block by block.
 *
 * A reply starts when 120 ms of it are there, when 120 ms have passed since its first sample, or when all of it is
 * there; after an underrun the same holds again. It counts to the sample what was played of each item.
 */
export class JitterBuffer {
  /** Times that a reply ran dry in its middle. */
  underruns = 0;
  private chunks: Chunk[] = [];
  private queued = 0;
  private isFlowing = false;
  private waitingSince_ms: number | null = null;
  private readonly items = new Map<string, Progress>();

  constructor(private readonly rate_hz: number) {}

  /** Audio of an item has come. */
  push(item: string, samples: Int16Array, now_ms: number): void {
    const progress = this.items.get(item) ?? { item, received: 0, played: 0, isComplete: false };
    progress.received += samples.length;
    this.items.set(item, progress);
    this.chunks.push({ item, samples, at: 0 });
    this.queued += samples.length;
    if (!this.isFlowing) this.waitingSince_ms ??= now_ms;
  }

  /** All audio of the item has come. */
  complete(item: string): void {
    const progress = this.items.get(item);
    if (!progress) return;
    progress.isComplete = true;
    if (progress.played >= progress.received) this.items.delete(item);
  }

  /** Fill `output` with what is due, silence where nothing is; returns the samples that were played. */
  pull(output: Float32Array, now_ms: number): number {
    this.isFlowing ||= this.isDue(now_ms);
    let filled = 0;
    while (this.isFlowing && filled < output.length) {
      const chunk = this.chunks[0];
      if (!chunk) break;
      const count = Math.min(output.length - filled, chunk.samples.length - chunk.at);
      for (let n = 0; n < count; n++) output[filled + n] = (chunk.samples[chunk.at + n] as number) / 32768;
      filled += count;
      this.advance(chunk, count);
    }
    output.fill(0, filled);
    if (this.isFlowing && this.queued === 0) this.dry();
    return filled;
  }

  /** Drop everything that is still to come; what each unfinished item had is the answer. */
  flush(): Progress[] {
    const cut = this.progress();
    this.chunks = [];
    this.queued = 0;
    this.isFlowing = false;
    this.waitingSince_ms = null;
    this.items.clear();
    return cut;
  }

  /** The items that have not been played to their end, oldest first. */
  progress(): Progress[] {
    return [...this.items.values()].map((progress) => ({ ...progress }));
  }

  private isDue(now_ms: number): boolean {
    const first = this.chunks[0];
    if (!first || this.waitingSince_ms === null) return false;
    const isThere = this.queued * 1000 >= JITTER_MS * this.rate_hz;
    return isThere || now_ms - this.waitingSince_ms >= JITTER_MS || this.items.get(first.item)?.isComplete === true;
  }

  private advance(chunk: Chunk, count: number): void {
    chunk.at += count;
    this.queued -= count;
    if (chunk.at === chunk.samples.length) this.chunks.shift();
    const progress = this.items.get(chunk.item);
    if (!progress) return;
    progress.played += count;
    if (progress.isComplete && progress.played >= progress.received) this.items.delete(chunk.item);
  }

  private dry(): void {
    this.isFlowing = false;
    this.waitingSince_ms = null;
    if (this.items.size > 0) this.underruns += 1;
  }
}
