import { describe, expect, test } from "vitest";
import { SseParser, serverEvents } from "../src/api/sse";

const TEXT =
  'event: entry\nid: 1\ndata: {"seq":1}\n\n: still there\n\nevent: entry\r\nid: 2\r\ndata: {"seq":\r\ndata: 2}\r\n\r\n';
const EVENTS = [
  { event: "entry", id: "1", data: '{"seq":1}' },
  { event: "entry", id: "2", data: '{"seq":\n2}' },
];

describe("the parser", () => {
  test.each([1, 2, 3, 5, 1000])("reads the same events from chunks of %i characters", (size) => {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < TEXT.length; at += size) events.push(...parser.push(TEXT.slice(at, at + size)));
    expect(events).toEqual(EVENTS);
  });

  test("gives no event before its blank line", () => {
    const parser = new SseParser();
    expect(parser.push("data: a\n")).toEqual([]);
    expect(parser.push("\n")).toEqual([{ event: "message", id: "", data: "a" }]);
  });

  test("ignores comments, unknown fields and events without data", () => {
    expect(new SseParser().push(": hello\nretry: 5\nevent: call\n\n")).toEqual([]);
  });

  test("takes one space only from the start of a value", () => {
    expect(new SseParser().push("data:  a\ndata:b\n\n")).toEqual([{ event: "message", id: "", data: " a\nb" }]);
  });
});

test("a body is read to its end, with letters cut in two", async () => {
  const bytes = new TextEncoder().encode("data: größer\n\n");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const events = [];
  for await (const event of serverEvents(body)) events.push(event.data);
  expect(events).toEqual(["größer"]);
});
