import { ArrowLeft, AudioLines, PencilRuler, Plus, Waypoints } from "lucide-react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { scenario as loadScenario, scenarios as loadScenarios } from "../api/client";
import { useQuery } from "../api/hooks";
import type { ScenarioInfo, ScenarioOutline, ServerInfo } from "../api/types";
import { AgentDetails, AgentHead } from "../ui/agent-details";
import { plural } from "../ui/format";
import { GraphLegend, HandoffList } from "../ui/handoffs";
import { ScenarioGraph } from "../ui/scenario-graph";

const pathOf = (name: string) => `/scenarios/${encodeURIComponent(name)}`;
const talkTo = (name: string) => `/?scenario=${encodeURIComponent(name)}`;

/** How agents work together: every scenario of this server. */
export function ScenariosPage() {
  const { data, error } = useQuery("scenarios", loadScenarios);
  useEffect(() => {
    document.title = "Scenarios · Antiphon";
  }, []);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Scenarios</h1>
          <p>How agents work together on a call: who answers first, and who hands over to whom.</p>
        </div>
        <Link href="/new-scenario" className="button">
          <Plus size={16} aria-hidden /> New scenario
        </Link>
      </header>
      {error && (
        <p className="banner warn" role="alert">
          {error}
        </p>
      )}
      {data?.length === 0 && (
        <div className="empty card">
          <Waypoints size={28} aria-hidden />
          <h2>No scenarios yet</h2>
          <p>
            Put a <code>scenario.yaml</code> into a folder <code>scenarios/NAME</code> beside your agents, and serve
            both: <code>antiphon serve FOLDER</code>
          </p>
        </div>
      )}
      <ul className="scenarios">
        {data?.map((scenario) => (
          <ScenarioCard key={scenario.name} scenario={scenario} />
        ))}
      </ul>
    </div>
  );
}

const MOST_CHIPS = 6;

function ScenarioCard({ scenario }: { scenario: ScenarioOutline }) {
  const { name, description, agents, start_agent } = scenario;
  return (
    <li className="card scenario-card">
      <header>
        <ScenarioIcon scenario={scenario} />
        <div className="grow">
          <h2>
            <Link href={pathOf(name)}>{name}</Link>
            {scenario.is_default && <span className="chip agent">default</span>}
          </h2>
          {description && <p className="muted">{description}</p>}
        </div>
      </header>
      <p className="scenario-agents">
        <span className="sr-only">Agents:</span>
        {agents.slice(0, MOST_CHIPS).map((agent) => (
          <span key={agent} className={agent === start_agent ? "chip agent" : "chip"}>
            {agent}
          </span>
        ))}
        {agents.length > MOST_CHIPS && <span className="chip">{agents.length - MOST_CHIPS} more</span>}
      </p>
      <Link href={talkTo(name)} className="button">
        <AudioLines size={16} aria-hidden /> Talk to it
      </Link>
    </li>
  );
}

function ScenarioIcon({ scenario: { icon, name } }: { scenario: Pick<ScenarioOutline, "icon" | "name"> }) {
  return (
    <span className="call-avatar" aria-hidden>
      {icon || name.slice(0, 1).toUpperCase()}
    </span>
  );
}

type DetailProps = { name: string; server: ServerInfo | null };

/** One scenario: its graph, and what each of its agents is told and can do. */
export function ScenarioPage({ name, server }: DetailProps) {
  const { data, error } = useQuery(`scenario/${name}`, (signal) => loadScenario(name, signal));
  useEffect(() => {
    document.title = `${name} · Antiphon`;
  }, [name]);
  return (
    <div className="page wide">
      <Link href="/scenarios" className="back">
        <ArrowLeft size={15} aria-hidden /> Scenarios
      </Link>
      {error && (
        <p className="banner warn" role="alert">
          {error}
        </p>
      )}
      {data && <Detail scenario={data} server={server} />}
    </div>
  );
}

function Detail({ scenario, server }: { scenario: ScenarioInfo; server: ServerInfo | null }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const agent = scenario.agents.find((each) => each.name === chosen) ?? scenario.agents[0];
  return (
    <>
      <header className="scenario-head">
        <ScenarioIcon scenario={scenario} />
        <div className="grow">
          <h1>
            {scenario.name} {scenario.is_default && <span className="chip agent">default</span>}
          </h1>
          <p className="muted">
            {scenario.description && `${scenario.description} `}
            {plural(scenario.agents.length, "agent")}, {plural(scenario.handoffs.length, "handoff")}.
          </p>
        </div>
        <Link href={`/new-scenario?from=${encodeURIComponent(scenario.name)}`} className="button">
          <PencilRuler size={16} aria-hidden /> Change a copy
        </Link>
        <Link href={talkTo(scenario.name)} className="button primary">
          <AudioLines size={16} aria-hidden /> Talk to this scenario
        </Link>
      </header>
      <div className="scenario-detail">
        <section className="card graph-card" aria-label="Graph">
          <header className="panel-head">
            <h2>Who hands over to whom</h2>
            <GraphLegend scenario={scenario} />
          </header>
          <ScenarioGraph scenario={scenario} selected={agent?.name ?? null} onSelect={setChosen} />
        </section>
        {agent && (
          <section className="card agent-card" aria-label={`Agent ${agent.name}`} aria-live="polite">
            <AgentHead agent={agent} chip="answers first" />
            <AgentDetails key={agent.name} agent={agent} server={server} onTarget={setChosen} />
          </section>
        )}
        <HandoffList scenario={scenario} onSelect={setChosen} />
      </div>
    </>
  );
}
