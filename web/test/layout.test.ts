import { describe, expect, test } from "vitest";
import type { ScenarioInfo } from "../src/api/types";
import type { Graph } from "../src/scenario/graph";
import { graphOf } from "../src/scenario/graph";
import type { Sizes } from "../src/scenario/layout";
import { layersOf, layout } from "../src/scenario/layout";

const SIZES: Sizes = {
  agent: { along: 160, across: 60 },
  label: { along: 150, across: 36 },
  gapAlong: 20,
  gapAcross: 20,
};

function graph(count: number, ways: readonly [number, number][]): Graph {
  const edges = ways.map(([from, to], index) => ({ key: `${index}`, from, to, isDiscrete: false, labels: ["when"] }));
  return { agents: Array.from({ length: count }, (_, index) => `agent ${index}`), edges, anyones: new Set() };
}

/** The same numbers at every run. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (state * 48271) % 2147483647;
    yield state;
  }
}

function anyGraph(count: number, edges: number, seed: number): Graph {
  const next = numbers(seed);
  const pick = () => (next.next().value as number) % count;
  return graph(
    count,
    Array.from({ length: edges }, () => [pick(), pick()] as [number, number]).filter(([from, to]) => from !== to),
  );
}

test("who answers first stands first, and each stands behind those that hand over to it", () => {
  expect(
    layersOf(
      graph(4, [
        [0, 1],
        [0, 2],
        [1, 3],
        [2, 3],
        [0, 3],
      ]),
    ),
  ).toEqual([0, 1, 1, 2]);
});

test("handoffs that lead back move nobody", () => {
  expect(
    layersOf(
      graph(3, [
        [0, 1],
        [1, 0],
        [1, 2],
        [2, 0],
      ]),
    ),
  ).toEqual([0, 1, 2]);
});

test("an agent that only the generic handoff reaches stands beside the first targets", () => {
  expect(layersOf(graph(3, [[0, 1]]))).toEqual([0, 1, 1]);
});

test("a way begins at its agent and ends at the other, also one that leads back", () => {
  const { agents, routes } = layout(
    graph(2, [
      [0, 1],
      [1, 0],
    ]),
    SIZES,
  );
  const [one, other] = agents;
  const [there, back] = routes;
  expect(there?.points.at(0)?.along).toBe((one?.along ?? 0) + 80);
  expect(there?.points.at(-1)?.along).toBe((other?.along ?? 0) - 80);
  expect(back?.points.at(0)?.along).toBe((other?.along ?? 0) - 80);
  expect(back?.points.at(-1)?.along).toBe((one?.along ?? 0) + 80);
});

describe.each<[string, Graph]>([
  [
    "a bank",
    graph(5, [
      [0, 1],
      [1, 0],
      [0, 2],
      [2, 0],
      [0, 3],
      [3, 4],
      [0, 4],
      [3, 0],
      [1, 2],
    ]),
  ],
  ["one agent", graph(1, [])],
  ["agents without handoffs", graph(4, [])],
  ["the largest scenario", anyGraph(64, 256, 7)],
  ...[1, 2, 3, 4, 5].map((seed) => [`graph ${seed}`, anyGraph(9, 20, seed)] as [string, Graph]),
])("%s", (_name, drawn) => {
  const { agents, routes, size } = layout(drawn, SIZES);

  test("has a place for all, inside of its size", () => {
    expect(agents).toHaveLength(drawn.agents.length);
    expect(routes).toHaveLength(drawn.edges.length);
    for (const { along, across } of [...agents, ...routes.flatMap((route) => [route.label, ...route.points])]) {
      expect(along).toBeGreaterThanOrEqual(0);
      expect(along).toBeLessThanOrEqual(size.along);
      expect(across).toBeGreaterThanOrEqual(-0.001);
      expect(across).toBeLessThanOrEqual(size.across + 0.001);
    }
  });

  test("lays no box over another", () => {
    const boxes = [
      ...agents.map((spot) => ({ ...spot, ...half(SIZES.agent) })),
      ...routes.map(({ label }) => ({ ...label, ...half(SIZES.label) })),
    ];
    for (const [index, one] of boxes.entries()) {
      for (const other of boxes.slice(index + 1)) {
        const isApart =
          Math.abs(one.along - other.along) >= one.halfAlong + other.halfAlong ||
          Math.abs(one.across - other.across) >= one.halfAcross + other.halfAcross - 0.001;
        expect(isApart, JSON.stringify([one, other])).toBe(true);
      }
    }
  });
});

function half({ along, across }: { along: number; across: number }) {
  return { halfAlong: along / 2, halfAcross: across / 2 };
}

test("handoffs of the same kind between two agents are one arrow with both conditions", () => {
  const handoff = { from: "desk", to: "billing", share_context: true, context_vars: {} };
  const scenario = {
    agents: [{ name: "desk" }, { name: "billing" }],
    handoffs: [
      { ...handoff, tool: "handoff_to_billing", type: "announced", condition: "A bill." },
      { ...handoff, tool: "pay", type: "announced", condition: "" },
      { ...handoff, tool: "quietly", type: "discrete", condition: "Anger." },
    ],
    generic_handoff: { targets: ["desk"], type: "announced", share_context: true, require_client_id: false },
  } as unknown as ScenarioInfo;
  const { edges, anyones } = graphOf(scenario);
  expect(edges).toMatchObject([
    { from: 0, to: 1, isDiscrete: false, labels: ["A bill.", "pay"] },
    { from: 0, to: 1, isDiscrete: true, labels: ["Anger."] },
  ]);
  expect([...anyones]).toEqual([0]);
});
