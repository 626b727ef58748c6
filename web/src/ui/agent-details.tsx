import { ArrowRightLeft, Languages, Mic2, Sparkles, Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { useState } from "react";
import type { AgentInfo, ServerInfo } from "../api/types";
import { words } from "./format";

const EXCERPT = 260;

type HeadProps = { agent: AgentInfo; chip?: string; children?: ReactNode };

/** Its name and what it is for; `chip` says what the first one of all is. */
export function AgentHead({ agent, chip = "default", children }: HeadProps) {
  return (
    <header>
      <span className="call-avatar" aria-hidden>
        {agent.name.slice(0, 1).toUpperCase()}
      </span>
      <div className="grow">
        <h2>
          {agent.name} {agent.is_default && <span className="chip agent">{chip}</span>}
        </h2>
        {agent.description && <p className="muted">{agent.description}</p>}
      </div>
      {children}
    </header>
  );
}

type DetailsProps = { agent: AgentInfo; server: ServerInfo | null; onTarget?: (name: string) => void };

/** What an agent is told, says first and can do. With `onTarget` its handoffs lead there. */
export function AgentDetails({ agent, server, onTarget }: DetailsProps) {
  const [isOpen, setOpen] = useState(false);
  const text = agent.instructions.trim();
  const isLong = text.length > EXCERPT;
  return (
    <>
      {agent.greeting && <blockquote>{agent.greeting}</blockquote>}
      <p className="instructions">
        {isLong && !isOpen ? `${text.slice(0, EXCERPT).trimEnd()}… ` : `${text} `}
        {isLong && (
          <button type="button" className="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? "Less" : "More"}
          </button>
        )}
      </p>
      <dl className="facts">
        <Fact icon={<Sparkles size={14} aria-hidden />} name="Model" value={agent.model ?? server?.models.llm} />
        <Fact icon={<Mic2 size={14} aria-hidden />} name="Voice" value={agent.voice ?? server?.models.tts} />
        <Fact icon={<Languages size={14} aria-hidden />} name="Language" value={agent.language ?? undefined} />
      </dl>
      <Tools agent={agent} />
      <Handoffs agent={agent} onTarget={onTarget} />
    </>
  );
}

function Tools({ agent: { name, tools } }: { agent: AgentInfo }) {
  if (tools.length === 0) return null;
  return (
    <section aria-label={`Tools of ${name}`}>
      <h3>
        <Wrench size={13} aria-hidden /> Tools
      </h3>
      <ul className="tool-list">
        {tools.map((tool) => (
          <li key={tool.name}>
            <code>{tool.name}</code> <span className="muted">{tool.description.split("\n")[0]}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

type HandoffsProps = { agent: AgentInfo; onTarget: ((name: string) => void) | undefined };

function Handoffs({ agent: { name, handoffs }, onTarget }: HandoffsProps) {
  if (handoffs.length === 0) return null;
  return (
    <section aria-label={`Handoffs of ${name}`}>
      <h3>
        <ArrowRightLeft size={13} aria-hidden /> Hands over to
      </h3>
      <ul className="tool-list">
        {handoffs.map((handoff) => (
          <li key={`${handoff.target} ${handoff.when}`}>
            {onTarget ? (
              <button type="button" className="link" onClick={() => onTarget(handoff.target)}>
                <code>{handoff.target}</code>
              </button>
            ) : (
              <a href={`#${handoff.target}`}>
                <code>{handoff.target}</code>
              </a>
            )}{" "}
            <span className="muted">
              {handoff.when} {handoff.type && `(${words(handoff.type)})`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Fact({ icon, name, value }: { icon: ReactNode; name: string; value: string | undefined }) {
  if (!value) return null;
  return (
    <div className="row">
      <dt>
        {icon} {name}
      </dt>
      <dd>{value}</dd>
    </div>
  );
}
