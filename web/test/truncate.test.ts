import { expect, test } from "vitest";
import type { Progress } from "../src/audio/jitter";
import { corrections } from "../src/realtime/truncate";

const MS = 24;

function progress(item: string, received_ms: number, played_ms: number, isComplete = false): Progress {
  return { item, received: received_ms * MS, played: played_ms * MS, isComplete };
}

test("an item that was cut is truncated to what was heard", () => {
  expect(corrections([progress("a", 2000, 700)], 0)).toEqual([
    { type: "conversation.item.truncate", item_id: "a", content_index: 0, audio_end_ms: 700 },
  ]);
});

test("what the device holds was not heard yet", () => {
  expect(corrections([progress("a", 2000, 700)], 45)).toMatchObject([{ audio_end_ms: 655 }]);
});

test("an item that never sounded is deleted", () => {
  expect(corrections([progress("a", 2000, 0)], 20)).toEqual([{ type: "conversation.item.delete", item_id: "a" }]);
  expect(corrections([progress("a", 2000, 15)], 20)).toEqual([{ type: "conversation.item.delete", item_id: "a" }]);
});

test("an item that sounded whole needs nothing", () => {
  expect(corrections([progress("a", 500, 500, true)], 30)).toEqual([]);
  expect(corrections([], 30)).toEqual([]);
});

test("an item that ran dry before its end is truncated, for more of it may exist", () => {
  expect(corrections([progress("a", 500, 500)], 0)).toMatchObject([{ audio_end_ms: 500 }]);
});

test("items behind the one that sounds are deleted, and do not shorten it twice", () => {
  expect(corrections([progress("a", 900, 400), progress("b", 600, 0)], 40)).toEqual([
    { type: "conversation.item.truncate", item_id: "a", content_index: 0, audio_end_ms: 360 },
    { type: "conversation.item.delete", item_id: "b" },
  ]);
});

test("the device's sound is of the last item that sounded only", () => {
  expect(corrections([progress("a", 900, 900), progress("b", 600, 100)], 40)).toMatchObject([
    { item_id: "a", audio_end_ms: 900 },
    { item_id: "b", audio_end_ms: 60 },
  ]);
});
