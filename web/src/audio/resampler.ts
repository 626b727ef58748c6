/** How many zero crossings of the sinc lie on each side of its centre: sharper is longer. */
const ZERO_CROSSINGS = 10;
/** Rows of the kernel table between two input samples. */
const PHASES = 256;

/** A streaming resampler: windowed sinc, low-pass at the lower of both rates, so that nothing folds back. */
export class Resampler {
  private readonly step: number;
  private readonly half: number;
  private readonly kernel: Float32Array;
  private history: Float32Array;
  /** Where the next output lies, in input samples from the start of `history`. */
  private position: number;

  constructor(from_hz: number, to_hz: number) {
    this.step = from_hz / to_hz;
    const cutoff = Math.min(1, to_hz / from_hz);
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.kernel = kernelTable(this.half, cutoff);
    this.history = new Float32Array(this.half);
    this.position = this.half;
  }

  /** The samples that this block makes ready, at the new rate. */
  push(block: Float32Array): Float32Array {
    const input = new Float32Array(this.history.length + block.length);
    input.set(this.history);
    input.set(block, this.history.length);
    const last = input.length - this.half - 1;
    const count = Math.max(0, Math.floor((last - this.position) / this.step) + 1);
    const output = new Float32Array(count);
    for (let at = 0; at < count; at++) output[at] = this.at(input, this.position + at * this.step);
    const next = this.position + count * this.step;
    const keepFrom = Math.max(0, Math.floor(next) - this.half);
    this.history = input.slice(keepFrom);
    this.position = next - keepFrom;
    return output;
  }

  private at(input: Float32Array, position: number): number {
    const centre = Math.floor(position);
    const taps = 2 * this.half;
    const row = Math.round((position - centre) * PHASES) * taps;
    const start = centre - this.half + 1;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) sum += (input[start + tap] ?? 0) * (this.kernel[row + tap] as number);
    return sum;
  }
}

/** One row of taps for each fraction of an input sample, each row with unity gain. */
function kernelTable(half: number, cutoff: number): Float32Array {
  const taps = 2 * half;
  const table = new Float32Array((PHASES + 1) * taps);
  for (let phase = 0; phase <= PHASES; phase++) {
    let gain = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - half + 1 - phase / PHASES;
      const window = Math.abs(x) >= half ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
      const angle = Math.PI * x * cutoff;
      const value = window * (angle === 0 ? 1 : Math.sin(angle) / angle);
      table[phase * taps + tap] = value;
      gain += value;
    }
    for (let tap = 0; tap < taps; tap++) (table[phase * taps + tap] as number) /= gain;
  }
  return table;
}
