import { ArrowRightLeft, AudioLines, Bot, Languages, Mic2, Sparkles, Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { agents as loadAgents } from "../api/client";
import { useQuery } from "../api/hooks";
import type { AgentInfo, ServerInfo } from "../api/types";
import { words } from "../ui/format";

/** Who can be called, and what each can do. */
export function AgentsPage({ server }: { server: ServerInfo | null }) {
  const { data, error } = useQuery("agents", loadAgents);
  useEffect(() => {
    document.title = "Agents · Antiphon";
  }, []);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Agents</h1>
          <p>What this server answers with.</p>
        </div>
      </header>
      {error && (
        <p className="banner warn" role="alert">
          {error}
        </p>
      )}
      {data?.length === 0 && (
        <div className="empty card">
          <Bot size={28} aria-hidden />
          <h2>No agents yet</h2>
          <p>
            Start the server with one: <code>antiphon serve front_desk.py</code>
          </p>
        </div>
      )}
      <ul className="agents">
        {data?.map((agent) => (
          <AgentCard key={agent.name} agent={agent} server={server} />
        ))}
      </ul>
    </div>
  );
}

const EXCERPT = 260;

function AgentCard({ agent, server }: { agent: AgentInfo; server: ServerInfo | null }) {
  const [isOpen, setOpen] = useState(false);
  const text = agent.instructions.trim();
  const isLong = text.length > EXCERPT;
  return (
    <li className="card agent-card" id={agent.name}>
      <header>
        <span className="call-avatar" aria-hidden>
          {agent.name.slice(0, 1).toUpperCase()}
        </span>
        <div className="grow">
          <h2>
            {agent.name} {agent.is_default && <span className="chip agent">default</span>}
          </h2>
          {agent.description && <p className="muted">{agent.description}</p>}
        </div>
        <Link href={`/?agent=${encodeURIComponent(agent.name)}`} className="button">
          <AudioLines size={16} aria-hidden /> Talk to it
        </Link>
      </header>
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
      <Handoffs agent={agent} />
    </li>
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

function Handoffs({ agent: { name, handoffs } }: { agent: AgentInfo }) {
  if (handoffs.length === 0) return null;
  return (
    <section aria-label={`Handoffs of ${name}`}>
      <h3>
        <ArrowRightLeft size={13} aria-hidden /> Hands over to
      </h3>
      <ul className="tool-list">
        {handoffs.map((handoff) => (
          <li key={handoff.target}>
            <a href={`#${handoff.target}`}>
              <code>{handoff.target}</code>
            </a>{" "}
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
