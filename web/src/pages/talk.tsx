import { useEffect } from "react";
import { useSearchParams } from "wouter";
import { agents as loadAgents } from "../api/client";
import { useQuery } from "../api/hooks";
import type { ServerInfo } from "../api/types";
import { useLiveCall } from "../realtime/hooks";
import { Conversation } from "./talk/conversation";
import { Lobby } from "./talk/lobby";

/** Talk to an agent: the lobby before a call, the conversation in it and after it. */
export function TalkPage({ server }: { server: ServerInfo | null }) {
  const agents = useQuery("agents", loadAgents);
  const [search] = useSearchParams();
  const { state } = useLiveCall();
  useEffect(() => {
    document.title = state.status === "live" ? `● ${state.agent} · Antiphon` : "Talk · Antiphon";
  }, [state.status, state.agent]);
  if (state.status === "idle") {
    return <Lobby server={server} agents={agents} wanted={search.get("agent")} notice={state.notice} />;
  }
  return <Conversation server={server} />;
}
