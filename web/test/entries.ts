import { readFileSync } from "node:fs";
import type { Entry } from "../src/call/entries";

/** A real call's log: six turns, a listening sound, a filler, tools and a cut reply. */
export function recordedCall(): Entry[] {
  const text = readFileSync(new URL("./fixtures/call.jsonl", import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Entry);
}

let seq = 0;

/** An entry with the given fields. */
export function entry(at: number, type: string, fields: Record<string, unknown> = {}): Entry {
  seq += 1;
  return { seq, at, type, ...fields } as Entry;
}
