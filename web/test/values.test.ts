import { expect, test } from "vitest";
import { readValues } from "../src/realtime/values";

test("lines of NAME=VALUE are values, and others are none", () => {
  expect(readValues("caller_name = Ada Okafor \nplan=a=b\n\nno line\n=x\n1st=x\nempty=")).toEqual({
    caller_name: "Ada Okafor",
    plan: "a=b",
  });
});
