import { ArrowLeft, Check, Copy, Download, Plus, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { agents as loadAgents, scenario as loadScenario, scenarios as loadScenarios } from "../api/client";
import { useQuery } from "../api/hooks";
import type { Draft, DraftHandoff } from "../scenario/draft";
import { draftOf, EMPTY, problems, sourceOf, toYaml, withHandoff, withoutAgent } from "../scenario/draft";
import { save } from "../ui/download";
import { GraphLegend } from "../ui/handoffs";
import { ScenarioGraph } from "../ui/scenario-graph";

/** Write a scenario, or change a copy of one; what comes out is its file. */
export function BuilderPage() {
  const [search] = useSearchParams();
  const from = search.get("from");
  const agents = useQuery("agents", loadAgents);
  const scenarios = useQuery("scenarios", loadScenarios);
  const original = useQuery(`builder/${from}`, async (signal) => (from ? loadScenario(from, signal) : null));
  useEffect(() => {
    document.title = "New scenario · Antiphon";
  }, []);
  const error = agents.error ?? scenarios.error ?? original.error;
  const isLoaded = agents.data && scenarios.data && (!from || original.data);
  const names = [agents.data?.map((each) => each.name), scenarios.data?.flatMap((each) => each.agents)];
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
      {isLoaded && (
        <Builder
          names={[...new Set(names.flat())].filter((name) => name !== undefined)}
          start={original.data ? draftOf(original.data) : EMPTY}
          title={from ? `A copy of ${from}` : "New scenario"}
        />
      )}
    </div>
  );
}

type BuilderProps = { names: string[]; start: Draft; title: string };

function Builder({ names, start, title }: BuilderProps) {
  const [draft, setDraft] = useState(start);
  const [source, setSource] = useState<string | null>(null);
  const graph = sourceOf(draft);
  // The first click says who hands over, the second one to whom.
  const onNode = (name: string) => {
    if (source && source !== name) setDraft(withHandoff(draft, source, name));
    setSource(source ? null : name);
  };
  return (
    <>
      <header className="scenario-head">
        <div className="grow">
          <h1>{title}</h1>
          <p className="muted">
            Choose agents, click on one and then on the one that it hands over to.
            {start !== EMPTY && " Tools and values for templates are not copied: they stand in the scenario's file."}
          </p>
        </div>
      </header>
      <div className="builder">
        <About draft={draft} names={names} onChange={setDraft} />
        <section className="card graph-card" aria-label="Graph">
          <header className="panel-head">
            <h2>{source ? `${source} hands over to …` : "Who hands over to whom"}</h2>
            <GraphLegend scenario={graph} />
          </header>
          {draft.agents.length > 0 ? (
            <ScenarioGraph scenario={graph} selected={source} onSelect={onNode} />
          ) : (
            <p className="panel-empty">Choose the agents that take part.</p>
          )}
        </section>
        <Handoffs draft={draft} onChange={setDraft} />
        <File draft={draft} />
      </div>
    </>
  );
}

type PartProps = { draft: Draft; onChange: (draft: Draft) => void };

function About({ draft, names, onChange }: PartProps & { names: string[] }) {
  const toggle = (name: string, isIn: boolean) =>
    onChange(isIn ? { ...draft, agents: [...draft.agents, name] } : withoutAgent(draft, name));
  return (
    <section className="card builder-form" aria-label="About the scenario">
      <label>
        Name
        <input
          className="input"
          value={draft.name}
          maxLength={64}
          placeholder="phone-line"
          onChange={(event) => onChange({ ...draft, name: event.target.value })}
        />
      </label>
      <label>
        Description
        <input
          className="input"
          value={draft.description}
          maxLength={512}
          onChange={(event) => onChange({ ...draft, description: event.target.value })}
        />
      </label>
      <fieldset>
        <legend>Agents</legend>
        {names.map((name) => (
          <label key={name} className="check">
            <input
              type="checkbox"
              checked={draft.agents.includes(name)}
              onChange={(event) => toggle(name, event.target.checked)}
            />
            {name}
          </label>
        ))}
      </fieldset>
      {draft.agents.length > 0 && (
        <div className="builder-field">
          <span aria-hidden>Answers first</span>
          <Choice
            label="Answers first"
            names={draft.agents}
            chosen={draft.agents[0] ?? ""}
            onChoose={(name) => onChange({ ...draft, agents: [name, ...draft.agents.filter((each) => each !== name)] })}
          />
        </div>
      )}
      {draft.agents.length > 1 && (
        <fieldset>
          <legend>Every agent may hand over to</legend>
          {draft.agents.map((name) => (
            <label key={name} className="check">
              <input
                type="checkbox"
                checked={draft.anyones.includes(name)}
                onChange={(event) => {
                  const others = draft.anyones.filter((each) => each !== name);
                  onChange({ ...draft, anyones: event.target.checked ? [...others, name] : others });
                }}
              />
              {name}
            </label>
          ))}
        </fieldset>
      )}
    </section>
  );
}

type ChoiceProps = { label: string; names: readonly string[]; chosen: string; onChoose: (name: string) => void };

function Choice({ label, names, chosen, onChoose }: ChoiceProps) {
  return (
    <select className="input" aria-label={label} value={chosen} onChange={(event) => onChoose(event.target.value)}>
      {names.map((name) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
}

function Handoffs({ draft, onChange }: PartProps) {
  const { agents, handoffs } = draft;
  const change = (id: number, part: Partial<DraftHandoff>) =>
    onChange({ ...draft, handoffs: handoffs.map((each) => (each.id === id ? { ...each, ...part } : each)) });
  const remove = (id: number) => onChange({ ...draft, handoffs: handoffs.filter((each) => each.id !== id) });
  const [first, second] = agents;
  return (
    <section className="card builder-handoffs" aria-label="Handoffs">
      <header className="panel-head">
        <h2>Handoffs</h2>
        <button
          type="button"
          className="button small"
          disabled={!first || !second}
          onClick={() => first && second && onChange(withHandoff(draft, first, second))}
        >
          <Plus size={14} aria-hidden /> Add
        </button>
      </header>
      <ol>
        {handoffs.map((each) => (
          <li key={each.id}>
            <HandoffRow
              handoff={each}
              agents={agents}
              onChange={(part) => change(each.id, part)}
              onRemove={() => remove(each.id)}
            />
          </li>
        ))}
      </ol>
    </section>
  );
}

type RowProps = {
  handoff: DraftHandoff;
  agents: readonly string[];
  onChange: (part: Partial<DraftHandoff>) => void;
  onRemove: () => void;
};

function HandoffRow({ handoff, agents, onChange, onRemove }: RowProps) {
  const { from, to, type, condition } = handoff;
  const others = (name: string) => agents.filter((each) => each !== name);
  return (
    <>
      <Choice label="From" names={others(to)} chosen={from} onChoose={(name) => onChange({ from: name })} />
      {/* The tool belongs to the target that it was made for. */}
      <Choice label="To" names={others(from)} chosen={to} onChoose={(name) => onChange({ to: name, tool: "" })} />
      <select
        className="input"
        aria-label="How"
        value={type}
        onChange={(event) => onChange({ type: event.target.value === "discrete" ? "discrete" : "announced" })}
      >
        <option value="announced">announced</option>
        <option value="discrete">silent</option>
      </select>
      <input
        className="input"
        aria-label="When"
        placeholder="When? The caller asks about …"
        value={condition}
        maxLength={2048}
        onChange={(event) => onChange({ condition: event.target.value })}
      />
      <button type="button" className="button ghost icon" aria-label={`Remove ${from} to ${to}`} onClick={onRemove}>
        <Trash2 size={15} aria-hidden />
      </button>
    </>
  );
}

function File({ draft }: { draft: Draft }) {
  const [isCopied, setCopied] = useState(false);
  const wrong = problems(draft);
  const text = toYaml(draft);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was copied is no longer what stands here.
  useEffect(() => setCopied(false), [text]);
  return (
    <section className="card builder-file" aria-label="File">
      <header className="panel-head">
        <h2>scenarios/{draft.name || "NAME"}/scenario.yaml</h2>
        <span className="builder-actions">
          <button
            type="button"
            className="button small"
            disabled={wrong.length > 0}
            onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
          >
            {isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
            {isCopied ? "Copied" : "Copy"}
          </button>
          <button
            type="button"
            className="button small primary"
            disabled={wrong.length > 0}
            onClick={() => save(new Blob([text], { type: "application/yaml" }), "scenario.yaml")}
          >
            <Download size={14} aria-hidden /> Download
          </button>
        </span>
      </header>
      {wrong.map((each) => (
        <p key={each} className="builder-wrong">
          {each}
        </p>
      ))}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <pre tabIndex={0}>{text}</pre>
      <p className="muted">
        Put it there beside your agents. A server that runs with <code>--reload</code> takes it at once.
      </p>
    </section>
  );
}
