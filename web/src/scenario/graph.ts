/** A scenario as nodes and edges for a drawing. Pure. */

import type { GenericHandoff, ScenarioHandoff } from "../api/types";

/** Of a scenario, what its drawing tells; the start agent comes first. */
export type GraphSource = {
  agents: readonly { name: string }[];
  handoffs: readonly Pick<ScenarioHandoff, "from" | "to" | "type" | "condition" | "tool">[];
  generic_handoff: Pick<GenericHandoff, "targets"> | null;
};

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

export function graphOf({ agents, handoffs, generic_handoff }: GraphSource): Graph {
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
