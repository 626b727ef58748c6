import { AudioLines, Bot } from "lucide-react";
import { useEffect } from "react";
import { Link } from "wouter";
import { agents as loadAgents } from "../api/client";
import { useQuery } from "../api/hooks";
import type { ServerInfo } from "../api/types";
import { AgentDetails, AgentHead } from "../ui/agent-details";

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
          <li key={agent.name} className="card agent-card" id={agent.name}>
            <AgentHead agent={agent}>
              <Link href={`/?agent=${encodeURIComponent(agent.name)}`} className="button">
                <AudioLines size={16} aria-hidden /> Talk to it
              </Link>
            </AgentHead>
            <AgentDetails agent={agent} server={server} />
          </li>
        ))}
      </ul>
    </div>
  );
}
