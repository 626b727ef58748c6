import { Info, Keyboard, Mic, RotateCcw, Sparkles, TriangleAlert } from "lucide-react";
import { useState } from "react";
import type { Query } from "../../api/hooks";
import type { AgentInfo, ServerInfo } from "../../api/types";
import { useLiveCall } from "../../realtime/hooks";
import type { Transport } from "../../realtime/links";
import { forgetCall, savedCall } from "../../realtime/saved";

type Props = {
  server: ServerInfo | null;
  agents: Query<AgentInfo[]>;
  /** The agent that the address names. */
  wanted: string | null;
  notice: string | null;
};

/** Before the call: whom to call, and how. */
export function Lobby({ server, agents, wanted, notice }: Props) {
  const { call } = useLiveCall();
  const [chosen, setChosen] = useState<string | null>(wanted);
  const [transport, setTransport] = useState<Transport>("websocket");
  const list = agents.data ?? [];
  const agent = list.find(({ name }) => name === chosen) ?? list.find((each) => each.is_default) ?? list[0];
  const start = (useMicrophone: boolean) => {
    if (!agent) return;
    forgetCall();
    void call.start({ agent: agent.name, transport, useMicrophone });
  };
  return (
    <div className="lobby">
      <div className="lobby-inner">
        <GoOn />
        {notice && (
          <p className="banner warn" role="alert">
            <TriangleAlert size={16} aria-hidden /> <span className="grow">{notice}</span>
          </p>
        )}
        <header className="lobby-head">
          <h1>{agent ? `Talk to ${agent.name}` : "Talk to an agent"}</h1>
          <p className="muted">{agent ? agent.description || summary(agent) : agents.error || "Looking for agents…"}</p>
        </header>
        <button type="button" className="talk-button" disabled={!agent} onClick={() => start(true)}>
          <span className="talk-disc">
            <Mic size={34} aria-hidden />
          </span>
          Start talking
        </button>
        <div className="lobby-choices">
          <TransportChoice chosen={transport} hasWebRtc={server?.webrtc === true} onChoose={setTransport} />
          <button type="button" className="button ghost" disabled={!agent} onClick={() => start(false)}>
            <Keyboard size={16} aria-hidden /> Type instead
          </button>
        </div>
        {list.length > 1 && <AgentPicker agents={list} chosen={agent?.name ?? ""} onChoose={setChosen} />}
        {server?.is_embedded_llm && <EmbeddedNote model={server.models.llm ?? ""} />}
      </div>
    </div>
  );
}

type TransportProps = { chosen: Transport; hasWebRtc: boolean; onChoose: (transport: Transport) => void };

function TransportChoice({ chosen, hasWebRtc, onChoose }: TransportProps) {
  return (
    <fieldset className="segmented" title="What carries the audio">
      <legend className="sr-only">Connection</legend>
      <label>
        <input type="radio" name="transport" checked={chosen === "websocket"} onChange={() => onChoose("websocket")} />
        WebSocket
      </label>
      <label title={hasWebRtc ? undefined : "The server needs its extra: pip install 'antiphon[webrtc]'"}>
        <input
          type="radio"
          name="transport"
          disabled={!hasWebRtc}
          checked={chosen === "webrtc"}
          onChange={() => onChoose("webrtc")}
        />
        WebRTC
      </label>
    </fieldset>
  );
}

function summary(agent: AgentInfo): string {
  const text = agent.instructions.trim().split("\n")[0] ?? "";
  return text.length > 140 ? `${text.slice(0, 139)}…` : text;
}

type PickerProps = { agents: AgentInfo[]; chosen: string; onChoose: (name: string) => void };

function AgentPicker({ agents, chosen, onChoose }: PickerProps) {
  return (
    <fieldset className="picker">
      <legend>Agent</legend>
      <div className="picker-cards">
        {agents.map((agent) => (
          <label key={agent.name} className="picker-card">
            <input type="radio" name="agent" checked={agent.name === chosen} onChange={() => onChoose(agent.name)} />
            <strong>{agent.name}</strong>
            <span className="muted">{agent.description || summary(agent)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** Says that the small model answers, and the one setting that plugs in a real one. */
export function EmbeddedNote({ model }: { model: string }) {
  return (
    <aside className="banner embedded" aria-label="About the language model">
      <Sparkles size={16} aria-hidden />
      <p className="grow">
        The small embedded model{model && ` (${model.split("/").at(-1)})`} answers: no key, no network, simple answers.
        Set <code>ANTIPHON_LLM=openai/gpt-4o-mini</code> and its key to plug in a real one.
      </p>
    </aside>
  );
}

/** Offers to go on with the call that a reload or a lost connection broke off. */
export function GoOn() {
  const { call, state } = useLiveCall();
  const [saved, setSaved] = useState(savedCall);
  if (!saved || state.status === "connecting" || state.status === "live") return null;
  const { agent, transport, messages } = saved;
  const discard = () => {
    setSaved(null);
    call.reset();
  };
  return (
    <section className="banner go-on" aria-label="Call that was broken off">
      <Info size={16} aria-hidden />
      <p className="grow">
        Your call with <strong>{agent}</strong> was broken off. It can go on where it was.
      </p>
      <button
        type="button"
        className="button small primary"
        onClick={() => void call.start({ agent, transport, past: messages })}
      >
        <RotateCcw size={14} aria-hidden /> Go on
      </button>
      <button type="button" className="button small ghost" onClick={discard}>
        Discard
      </button>
    </section>
  );
}
