/** PCM16 little-endian mono at the wire's rate, and its base64. */

export const WIRE_HZ = 24_000;

/** The length of `samples` samples of the wire's audio. */
export function samplesToMs(samples: number): number {
  return (samples * 1000) / WIRE_HZ;
}

/** Base64 of the samples as they lie in memory (little-endian on every machine that runs a browser). */
export function toBase64(samples: Int16Array): string {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** The samples of a base64 text; a half sample at its end is dropped. */
export function fromBase64(text: string): Int16Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length & ~1);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return new Int16Array(bytes.buffer);
}

/** -1..1 to PCM16, clipped. */
export function toPcm16(value: number): number {
  return Math.round(Math.max(-1, Math.min(1, value)) * 32767);
}

/** Root mean square of samples in -1..1. */
export function rms(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < samples.length; at++) sum += (samples[at] as number) ** 2;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}
