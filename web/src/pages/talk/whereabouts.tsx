import { scenario as loadScenario } from "../../api/client";
import { useQuery } from "../../api/hooks";
import type { Entry } from "../../call/entries";
import { only } from "../../call/entries";
import type { Where } from "../../ui/scenario-graph";
import { ScenarioGraph } from "../../ui/scenario-graph";
import { GraphLegend } from "../scenarios/handoffs";

type Props = { name: string; entries: readonly Entry[]; isLive: boolean };

/** The scenario of a call as a graph, with the agent that answers now. */
export function Whereabouts({ name, entries, isLive }: Props) {
  const { data } = useQuery(`scenario/${name}`, (signal) => loadScenario(name, signal));
  if (!data) return null;
  return (
    <section className="card graph-card" aria-label="Scenario">
      <header className="panel-head">
        <h2>{name}</h2>
        <GraphLegend scenario={data} />
      </header>
      <ScenarioGraph scenario={data} where={isLive ? whereabouts(entries) : null} />
    </section>
  );
}

function whereabouts(entries: readonly Entry[]): Where | null {
  const last = only(entries, "agent.handoff").at(-1);
  if (last) return { agent: last.new_agent, from: last.previous_agent };
  const started = only(entries, "session.started").at(-1);
  return started ? { agent: started.agent, from: null } : null;
}
