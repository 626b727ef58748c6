import { useEffect } from "react";
import { useSearchParams } from "wouter";
import { agents as loadAgents, scenarios as loadScenarios } from "../api/client";
import { useQuery } from "../api/hooks";
import type { ServerInfo } from "../api/types";
import { useLiveCall } from "../realtime/hooks";
import { Conversation } from "./talk/conversation";
import { Lobby } from "./talk/lobby";

/** Talk to an agent: the lobby before a call, the conversation in it and after it. */
export function TalkPage({ server }: { server: ServerInfo | null }) {
  const agents = useQuery("agents", loadAgents);
  const scenarios = useQuery("scenarios", loadScenarios);
  const [search] = useSearchParams();
  const { state } = useLiveCall();
  useEffect(() => {
    document.title = state.status === "live" ? `● ${state.agent} · Antiphon` : "Talk · Antiphon";
  }, [state.status, state.agent]);
  if (state.status === "idle") {
    const wanted = { scenario: search.get("scenario"), agent: search.get("agent") };
    return <Lobby server={server} agents={agents} scenarios={scenarios} wanted={wanted} notice={state.notice} />;
  }
  return <Conversation server={server} />;
}
