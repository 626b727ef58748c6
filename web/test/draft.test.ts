import { expect, test } from "vitest";
import type { ScenarioInfo } from "../src/api/types";
import { draftOf, EMPTY, problems, toYaml, withHandoff, withoutAgent } from "../src/scenario/draft";

const TEAM = { ...EMPTY, name: "energy", agents: ["reception", "billing"] };

test("a draft becomes a file", () => {
  const draft = withHandoff({ ...TEAM, description: 'The "line".', anyones: ["billing"] }, "reception", "billing");
  const [handoff] = draft.handoffs;
  const told = {
    ...handoff,
    condition: "A bill: any.",
    type: "discrete" as const,
    shares: false,
    values: { topic: "bill" },
  };
  expect(toYaml({ ...draft, handoffs: [{ ...handoff, ...told }] as typeof draft.handoffs })).toBe(
    [
      'name: "energy"',
      'description: "The \\"line\\"."',
      'agents: ["reception","billing"]',
      'start_agent: "reception"',
      "handoffs:",
      '  - from: "reception"',
      '    to: "billing"',
      "    type: discrete",
      '    handoff_condition: "A bill: any."',
      "    share_context: false",
      '    context_vars: {"topic":"bill"}',
      'generic_handoff: {"enabled": true, "allowed_targets": ["billing"]}',
      "",
    ].join("\n"),
  );
});

test("a copy has the handoffs of its scenario, tools and values too", () => {
  const scenario = {
    name: "energy",
    description: "",
    agents: [{ name: "reception" }, { name: "billing" }],
    handoffs: [
      {
        from: "reception",
        to: "billing",
        tool: "go_to_billing",
        type: "announced",
        share_context: true,
        condition: "A bill.",
        context_vars: { topic: "bill" },
      },
    ],
    generic_handoff: null,
  } as unknown as ScenarioInfo;
  const draft = draftOf(scenario);
  expect(draft).toMatchObject({ name: "energy-copy", agents: ["reception", "billing"], anyones: [] });
  expect(toYaml(draft)).toContain('    tool: "go_to_billing"\n    handoff_condition: "A bill."');
});

test("an agent leaves with all that leads to it", () => {
  const draft = withHandoff(withHandoff(TEAM, "reception", "billing"), "billing", "reception");
  expect(withoutAgent({ ...draft, anyones: ["billing"] }, "billing")).toMatchObject({
    agents: ["reception"],
    handoffs: [],
    anyones: [],
  });
});

test("what keeps it from being a scenario is told", () => {
  expect(problems(TEAM)).toEqual([]);
  expect(problems(EMPTY)).toHaveLength(2);
  expect(problems({ ...TEAM, name: "two words" })).toHaveLength(1);
  const twice = withHandoff(withHandoff(TEAM, "reception", "billing"), "reception", "billing");
  expect(problems(twice)).toHaveLength(1);
  expect(new Set(twice.handoffs.map((each) => each.id)).size).toBe(2);
});
