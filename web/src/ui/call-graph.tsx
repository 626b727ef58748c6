import { useMemo } from "react";
import { scenario as loadScenario } from "../api/client";
import { useQuery } from "../api/hooks";
import type { Entry } from "../call/entries";
import { only } from "../call/entries";
import { GraphLegend } from "./handoffs";
import type { Way } from "./scenario-graph";
import { ScenarioGraph } from "./scenario-graph";

type Props = { name: string; entries: readonly Entry[]; isLive: boolean };

/** The scenario of a call as a graph, with the way that the call took and the agent that answers now. */
export function CallGraph({ name, entries, isLive }: Props) {
  const { data, error } = useQuery(`scenario/${name}`, (signal) => loadScenario(name, signal));
  const way = useMemo(() => wayOf(entries, isLive), [entries, isLive]);
  if (error) return <p className="banner warn">{error}</p>;
  if (!data) return null;
  return (
    <section className="card graph-card" aria-label="Scenario">
      <header className="panel-head">
        <h2>{name}</h2>
        <GraphLegend scenario={data} />
      </header>
      <ScenarioGraph scenario={data} way={way} />
    </section>
  );
}

function wayOf(entries: readonly Entry[], isLive: boolean): Way {
  const handoffs = only(entries, "agent.handoff");
  const last = handoffs.at(-1)?.new_agent ?? only(entries, "session.started").at(-1)?.agent;
  const taken = new Set(handoffs.map(({ previous_agent, new_agent }) => `${previous_agent}→${new_agent}`));
  return { agent: isLive ? (last ?? null) : null, taken };
}

/** The scenario that a call goes by; empty for none, or of a call before there were any. */
export function scenarioOf(entries: readonly Entry[]): string {
  return only(entries, "session.started").at(-1)?.scenario ?? "";
}
