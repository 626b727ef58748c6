/** A scenario as nodes and edges for a drawing. Pure. */

import type { ScenarioInfo } from "../api/types";

/** Handoffs from one agent to another of the same kind are one arrow. */
export type GraphEdge = {
  key: string;
  from: number;
  to: number;
  isDiscrete: boolean;
  /** When it is taken, one text a handoff; the tool's name where nothing is said. */
  labels: string[];
};

export type Graph = {
  agents: string[];
  edges: GraphEdge[];
  /** Agents that every other one may hand over to. */
  anyones: ReadonlySet<number>;
};

/** The start agent comes first, as the server tells it. */
export function graphOf({ agents, handoffs, generic_handoff }: ScenarioInfo): Graph {
  const names = agents.map((agent) => agent.name);
  const edges = new Map<string, GraphEdge>();
  for (const { from, to, type, condition, tool } of handoffs) {
    const isDiscrete = type === "discrete";
    const key = `${from}→${to}${isDiscrete ? "…" : ""}`;
    const known = edges.get(key);
    const label = condition.trim() || tool;
    if (known) known.labels.push(label);
    else edges.set(key, { key, from: names.indexOf(from), to: names.indexOf(to), isDiscrete, labels: [label] });
  }
  const anyones = new Set((generic_handoff?.targets ?? []).map((name) => names.indexOf(name)));
  return { agents: names, edges: [...edges.values()], anyones };
}
