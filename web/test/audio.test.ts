import { describe, expect, test } from "vitest";
import { JITTER_MS, JitterBuffer } from "../src/audio/jitter";
import { fromBase64, rms, samplesToMs, toBase64, toPcm16, WIRE_HZ } from "../src/audio/pcm";
import { Resampler } from "../src/audio/resampler";
import { PeakReader } from "../src/audio/wav";

const BLOCK = 240;
const BLOCK_MS = 10;

function sound(ms: number, value = 1000): Int16Array {
  return new Int16Array((ms * WIRE_HZ) / 1000).fill(value);
}

/** Pull for some time; the answer is what was played, in milliseconds. */
function play(buffer: JitterBuffer, from_ms: number, ms: number): number {
  let played = 0;
  for (let at = 0; at < ms; at += BLOCK_MS) played += buffer.pull(new Float32Array(BLOCK), from_ms + at);
  return samplesToMs(played);
}

describe("the jitter buffer", () => {
  test("starts at once when enough has come", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(JITTER_MS), 0);
    expect(play(buffer, 0, BLOCK_MS)).toBe(BLOCK_MS);
  });

  test("waits for more, but not longer than its length", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(40), 1000);
    expect(play(buffer, 1000, 100)).toBe(0);
    expect(buffer.pull(new Float32Array(BLOCK), 1000 + JITTER_MS)).toBe(BLOCK);
  });

  test("does not wait for more of what is complete", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(40), 0);
    buffer.complete("a");
    expect(play(buffer, 0, 100)).toBe(40);
    expect(buffer.progress()).toEqual([]);
  });

  test("fills up again after it ran dry", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(JITTER_MS), 0);
    expect(play(buffer, 0, 200)).toBe(JITTER_MS);
    expect(buffer.underruns).toBe(1);
    buffer.push("a", sound(20), 200);
    expect(play(buffer, 200, 50)).toBe(0);
    buffer.push("a", sound(JITTER_MS - 20), 250);
    expect(play(buffer, 250, 200)).toBe(JITTER_MS);
  });

  test("counts to the sample what was played of each item", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(100), 0);
    buffer.push("b", sound(100), 0);
    buffer.complete("a");
    expect(play(buffer, 0, 130)).toBe(130);
    expect(buffer.progress()).toEqual([{ item: "b", received: 2400, played: 720, isComplete: false }]);
  });

  test("is silent at once when it is flushed, and plays the next item", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    buffer.push("a", sound(500), 0);
    play(buffer, 0, 70);
    expect(buffer.flush()).toEqual([{ item: "a", received: 12_000, played: 1680, isComplete: false }]);
    expect(play(buffer, 70, 100)).toBe(0);
    buffer.push("b", sound(JITTER_MS), 200);
    expect(play(buffer, 200, BLOCK_MS)).toBe(BLOCK_MS);
  });

  test("plays what it was given", () => {
    const buffer = new JitterBuffer(WIRE_HZ);
    const samples = Int16Array.from({ length: 3000 }, (_, index) => index - 1500);
    for (let at = 0; at < samples.length; at += 700) buffer.push("a", samples.slice(at, at + 700), 0);
    const output = new Float32Array(3100);
    expect(buffer.pull(output, 0)).toBe(3000);
    expect([...output.slice(0, 3000)].map((value) => Math.round(value * 32768))).toEqual([...samples]);
    expect(output.slice(3000).every((value) => value === 0)).toBe(true);
  });
});

describe("the resampler", () => {
  function resampled(from_hz: number, hz: number, blocks: number[]): Float32Array {
    const resampler = new Resampler(from_hz, WIRE_HZ);
    const parts: number[] = [];
    let n = 0;
    for (let index = 0; n < from_hz / 2; index++) {
      const length = blocks[index % blocks.length] as number;
      const block = Float32Array.from({ length }, (_, at) => Math.sin((2 * Math.PI * hz * (n + at)) / from_hz));
      parts.push(...resampler.push(block));
      n += length;
    }
    return Float32Array.from(parts);
  }

  test.each([48_000, 44_100, 16_000])("keeps a tone of 1 kHz from %i Hz", (from_hz) => {
    const output = resampled(from_hz, 1000, [128]);
    expect(Math.abs(output.length - WIRE_HZ / 2)).toBeLessThan(100);
    const middle = output.slice(2000, 10_000);
    expect(rms(middle)).toBeCloseTo(Math.SQRT1_2, 2);
    const ups = middle.findLastIndex((value, at) => at > 0 && (middle[at - 1] as number) < 0 && value >= 0);
    const first = middle.findIndex((value, at) => at > 0 && (middle[at - 1] as number) < 0 && value >= 0);
    const periods = middle
      .slice(first, ups + 1)
      .filter((value, at, all) => at > 0 && (all[at - 1] as number) < 0 && value >= 0);
    expect((ups - first) / periods.length).toBeCloseTo(24, 1);
  });

  test("lets nothing above half the new rate fold back", () => {
    expect(rms(resampled(48_000, 18_000, [128]).slice(500))).toBeLessThan(0.005);
  });

  test("does not care how its input is cut", () => {
    const one = resampled(44_100, 700, [128]);
    const other = resampled(44_100, 700, [1, 300, 77]);
    for (let at = 0; at < 9000; at += 97) expect(other[at]).toBeCloseTo(one[at] as number, 5);
  });
});

test("base64 keeps every sample", () => {
  const samples = Int16Array.from({ length: 20_001 }, (_, index) => ((index * 7919) % 65_536) - 32_768);
  expect(fromBase64(toBase64(samples))).toEqual(samples);
  expect(toBase64(Int16Array.of(1, -2))).toBe("AQD+/w==");
});

test("half a sample at the end of a delta is dropped", () => {
  expect([...fromBase64(btoa("\x01\x00\x02"))]).toEqual([1]);
});

test("PCM16 is clipped", () => {
  expect([-2, -1, 0, 1, 2].map(toPcm16)).toEqual([-32767, -32767, 0, 32767, 32767]);
});

describe("a recording's peaks", () => {
  function wav(frames: [number, number][], rate_hz = 8000): Uint8Array {
    const bytes = new Uint8Array(44 + frames.length * 4);
    const view = new DataView(bytes.buffer);
    const text = (at: number, word: string) => {
      for (let index = 0; index < word.length; index++) bytes[at + index] = word.charCodeAt(index);
    };
    text(0, "RIFF");
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, 2, true);
    view.setUint32(24, rate_hz, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, frames.length * 4, true);
    frames.forEach(([left, right], index) => {
      view.setInt16(44 + 4 * index, left, true);
      view.setInt16(46 + 4 * index, right, true);
    });
    return bytes;
  }

  test.each([1, 3, 7, 1000, 100_000])("are the same in chunks of %i bytes", (size) => {
    const frames = Array.from({ length: 8000 }, (_, at): [number, number] => (at < 4000 ? [16_384, 0] : [0, -8192]));
    const bytes = wav(frames);
    const reader = new PeakReader(4);
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.slice(at, at + size));
    const peaks = reader.peaks();
    expect(peaks?.duration_s).toBe(1);
    expect([...(peaks?.channels[0] ?? [])]).toEqual([0.5, 0.5, 0, 0]);
    expect([...(peaks?.channels[1] ?? [])]).toEqual([0, 0, 0.25, 0.25]);
  });

  test("are none of what is no WAV", () => {
    const reader = new PeakReader(4);
    reader.push(new TextEncoder().encode("this is not a recording at all, whatever its name says"));
    expect(reader.peaks()).toBeNull();
  });
});
