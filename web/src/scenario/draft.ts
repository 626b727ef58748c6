/** A scenario that is being written, and the file that it becomes. Pure. */

import type { ScenarioInfo } from "../api/types";
import type { GraphSource } from "./graph";

export type DraftHandoff = {
  id: number;
  from: string;
  to: string;
  type: "announced" | "discrete";
  condition: string;
  tool: string;
  shares: boolean;
  values: Record<string, unknown>;
};

export type Draft = {
  name: string;
  description: string;
  /** Who takes part, the one that answers first at the head. */
  agents: string[];
  handoffs: DraftHandoff[];
  /** Those that every agent may hand over to. */
  anyones: string[];
};

export const EMPTY: Draft = { name: "", description: "", agents: [], handoffs: [], anyones: [] };

/** A copy to change. What the graph does not tell, such as its tools, is not in it. */
export function draftOf({ name, description, agents, handoffs, generic_handoff }: ScenarioInfo): Draft {
  return {
    name: `${name}-copy`,
    description,
    agents: agents.map((agent) => agent.name),
    handoffs: handoffs.map((each, index) => ({
      id: index,
      from: each.from,
      to: each.to,
      type: each.type === "discrete" ? "discrete" : "announced",
      condition: each.condition,
      tool: each.tool,
      shares: each.share_context,
      values: each.context_vars,
    })),
    anyones: generic_handoff?.targets ?? [],
  };
}

/** The draft as the graph draws it. */
export function sourceOf({ agents, handoffs, anyones }: Draft): GraphSource {
  return {
    agents: agents.map((name) => ({ name })),
    handoffs,
    generic_handoff: anyones.length ? { targets: anyones } : null,
  };
}

export function withHandoff(draft: Draft, from: string, to: string): Draft {
  const id = Math.max(-1, ...draft.handoffs.map((each) => each.id)) + 1;
  const added: DraftHandoff = { id, from, to, type: "announced", condition: "", tool: "", shares: true, values: {} };
  return { ...draft, handoffs: [...draft.handoffs, added] };
}

/** The draft without an agent, and without what led to it or from it. */
export function withoutAgent(draft: Draft, name: string): Draft {
  return {
    ...draft,
    agents: draft.agents.filter((each) => each !== name),
    handoffs: draft.handoffs.filter(({ from, to }) => from !== name && to !== name),
    anyones: draft.anyones.filter((each) => each !== name),
  };
}

/** What keeps the draft from being a scenario. */
export function problems({ name, agents, handoffs }: Draft): string[] {
  const found: string[] = [];
  if (!/^[\w-]{1,64}$/.test(name)) found.push("Give it a name of letters, digits, _ and -: it names a folder.");
  if (agents.length === 0) found.push("Choose at least one agent.");
  const ways = handoffs.map(({ from, to, tool }) => `${from} ${tool || to}`);
  if (new Set(ways).size < ways.length) found.push("Two handoffs lead from one agent to the same other one.");
  return found;
}

/** The file `scenario.yaml`. Texts are quoted as in JSON, which is YAML too. */
export function toYaml({ name, description, agents, handoffs, anyones }: Draft): string {
  const lines = [`name: ${JSON.stringify(name)}`];
  if (description.trim()) lines.push(`description: ${JSON.stringify(description.trim())}`);
  lines.push(`agents: ${JSON.stringify(agents)}`);
  if (agents[0]) lines.push(`start_agent: ${JSON.stringify(agents[0])}`);
  if (handoffs.length) lines.push("handoffs:", ...handoffs.flatMap(handoffLines));
  if (anyones.length) lines.push(`generic_handoff: {"enabled": true, "allowed_targets": ${JSON.stringify(anyones)}}`);
  return `${lines.join("\n")}\n`;
}

function handoffLines({ from, to, type, condition, tool, shares, values }: DraftHandoff): string[] {
  const lines = [`from: ${JSON.stringify(from)}`, `to: ${JSON.stringify(to)}`, `type: ${type}`];
  if (tool) lines.push(`tool: ${JSON.stringify(tool)}`);
  if (condition.trim()) lines.push(`handoff_condition: ${JSON.stringify(condition.trim())}`);
  if (!shares) lines.push("share_context: false");
  if (Object.keys(values).length) lines.push(`context_vars: ${JSON.stringify(values)}`);
  return lines.map((line, index) => `${index ? "    " : "  - "}${line}`);
}
