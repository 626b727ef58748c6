import { ArrowRight } from "lucide-react";
import type { ScenarioInfo } from "../api/types";
import type { GraphSource } from "../scenario/graph";

/** What the lines of the graph mean; only those that it has. */
export function GraphLegend({ scenario: { handoffs, generic_handoff } }: { scenario: GraphSource }) {
  const hasAnnounced = handoffs.some((each) => each.type !== "discrete");
  const hasDiscrete = handoffs.some((each) => each.type === "discrete");
  return (
    <ul className="graph-legend">
      {hasAnnounced && (
        <li>
          <span className="graph-key" /> announced: the new agent says hello
        </li>
      )}
      {hasDiscrete && (
        <li>
          <span className="graph-key" data-discrete /> silent: the caller notices nothing
        </li>
      )}
      {generic_handoff && (
        <li>
          <span className="graph-key" data-anyones /> from every agent
        </li>
      )}
    </ul>
  );
}

type ListProps = { scenario: ScenarioInfo; onSelect: (name: string) => void };

/** The graph in words: the same for those who do not see it. */
export function HandoffList({ scenario: { handoffs, generic_handoff }, onSelect }: ListProps) {
  return (
    <section className="card handoff-list" aria-label="Handoffs">
      <header className="panel-head">
        <h2>Handoffs</h2>
      </header>
      {handoffs.length === 0 && !generic_handoff && <p className="panel-empty">Nobody hands over.</p>}
      <ol>
        {handoffs.map((each) => (
          <li key={`${each.from} ${each.to} ${each.tool}`}>
            <p className="handoff-way">
              <AgentLink name={each.from} onSelect={onSelect} />
              <ArrowRight size={14} role="img" aria-label="hands over to" />
              <AgentLink name={each.to} onSelect={onSelect} />
              <span className="chip">{each.type === "discrete" ? "silent" : "announced"}</span>
              {!each.share_context && <span className="chip warn">starts afresh</span>}
            </p>
            {each.condition && <p>{each.condition}</p>}
            <p className="muted">
              by <code>{each.tool}</code>
            </p>
          </li>
        ))}
        {generic_handoff && (
          <li>
            <p className="handoff-way">
              <strong>every agent</strong>
              <ArrowRight size={14} role="img" aria-label="hands over to" />
              {generic_handoff.targets.map((name) => (
                <AgentLink key={name} name={name} onSelect={onSelect} />
              ))}
              <span className="chip">{generic_handoff.type === "discrete" ? "silent" : "announced"}</span>
            </p>
            {generic_handoff.require_client_id && <p>Only where it is known who the caller is.</p>}
            <p className="muted">
              by <code>handoff_to_agent</code>
            </p>
          </li>
        )}
      </ol>
    </section>
  );
}

function AgentLink({ name, onSelect }: { name: string; onSelect: (name: string) => void }) {
  return (
    <button type="button" className="link" onClick={() => onSelect(name)}>
      {name}
    </button>
  );
}
