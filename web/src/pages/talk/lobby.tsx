import { Info, Keyboard, Mic, RotateCcw, Sparkles, TriangleAlert } from "lucide-react";
import { useState } from "react";
import type { Query } from "../../api/hooks";
import type { AgentInfo, ScenarioOutline, ServerInfo } from "../../api/types";
import { useLiveCall } from "../../realtime/hooks";
import type { Transport } from "../../realtime/links";
import { forgetCall, savedCall } from "../../realtime/saved";
import { readValues } from "../../realtime/values";

/** What can be called: an agent, or a scenario, which begins with its own first agent. */
type Choice = { name: string; icon: string; about: string; agent: string; scenario: string | null };

type Wanted = { scenario: string | null; agent: string | null };

type Props = {
  server: ServerInfo | null;
  agents: Query<AgentInfo[]>;
  scenarios: Query<ScenarioOutline[]>;
  /** What the address names. */
  wanted: Wanted;
  notice: string | null;
};

/** Before the call: whom to call, and how. */
export function Lobby({ server, agents, scenarios, wanted, notice }: Props) {
  const { call } = useLiveCall();
  const [named, setNamed] = useState<Wanted>(wanted);
  const [transport, setTransport] = useState<Transport>("websocket");
  const [values, setValues] = useState("");
  const inScenario = (scenarios.data ?? []).map(scenarioChoice);
  const alone = (agents.data ?? []).map(agentChoice);
  const isLoaded = (agents.data ?? agents.error) !== null && (scenarios.data ?? scenarios.error) !== null;
  const chosen = isLoaded ? choose(inScenario, alone, { named, scenarios: scenarios.data, agents: agents.data }) : null;
  const start = (useMicrophone: boolean) => {
    if (!chosen) return;
    forgetCall();
    void call.start({
      agent: chosen.agent,
      scenario: chosen.scenario,
      values: readValues(values),
      transport,
      useMicrophone,
    });
  };
  const pick = ({ scenario, agent }: Choice) => setNamed({ scenario, agent: scenario ? null : agent });
  const count = inScenario.length + alone.length;
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
          <h1>{chosen ? `Talk to ${chosen.name}` : "Talk to an agent"}</h1>
          <p className="muted">{chosen ? chosen.about : agents.error || "Looking for agents…"}</p>
        </header>
        <button type="button" className="talk-button" disabled={!chosen} onClick={() => start(true)}>
          <span className="talk-disc">
            <Mic size={34} aria-hidden />
          </span>
          Start talking
        </button>
        <div className="lobby-choices">
          <TransportChoice chosen={transport} hasWebRtc={server?.webrtc === true} onChoose={setTransport} />
          <button type="button" className="button ghost" disabled={!chosen} onClick={() => start(false)}>
            <Keyboard size={16} aria-hidden /> Type instead
          </button>
        </div>
        {inScenario.length > 0 && <Picker legend="Scenario" choices={inScenario} chosen={chosen} onChoose={pick} />}
        {count > 1 && <Picker legend="Agent" choices={alone} chosen={chosen} onChoose={pick} />}
        <ValuesField text={values} onChange={setValues} />
        {server?.is_embedded_llm && <EmbeddedNote model={server.models.llm ?? ""} />}
      </div>
    </div>
  );
}

function agentChoice(agent: AgentInfo): Choice {
  return { name: agent.name, icon: "", about: agent.description || summary(agent), agent: agent.name, scenario: null };
}

function scenarioChoice({ name, icon, description, start_agent, agents }: ScenarioOutline): Choice {
  return { name, icon, about: description || agents.join(", "), agent: start_agent, scenario: name };
}

type Known = { named: Wanted; scenarios: ScenarioOutline[] | null; agents: AgentInfo[] | null };

/** What was named, by the address or a click; else the server's default scenario, its default agent, or the first. */
function choose(inScenario: Choice[], alone: Choice[], { named, scenarios, agents }: Known): Choice | null {
  const scenarioCalled = (name: string | undefined | null) => inScenario.find((each) => each.name === name);
  const agentCalled = (name: string | undefined | null) => alone.find((each) => each.name === name);
  return (
    scenarioCalled(named.scenario) ??
    agentCalled(named.agent) ??
    scenarioCalled(scenarios?.find((each) => each.is_default)?.name) ??
    agentCalled(agents?.find((each) => each.is_default)?.name) ??
    alone[0] ??
    null
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

type PickerProps = { legend: string; choices: Choice[]; chosen: Choice | null; onChoose: (choice: Choice) => void };

function Picker({ legend, choices, chosen, onChoose }: PickerProps) {
  return (
    <fieldset className="picker">
      <legend>{legend}</legend>
      <div className="picker-cards">
        {choices.map((choice) => (
          <label key={choice.name} className="picker-card">
            <input
              type="radio"
              name="choice"
              checked={choice.name === chosen?.name && choice.scenario === chosen.scenario}
              onChange={() => onChoose(choice)}
            />
            <strong>
              {choice.icon && <span aria-hidden>{choice.icon} </span>}
              {choice.name}
            </strong>
            <span className="muted">{choice.about}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What is known of the caller beforehand, as a carrier's parameters would tell it. */
function ValuesField({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  return (
    <details className="values">
      <summary>Values for templates</summary>
      <label>
        <span className="muted">One a line, such as caller_name=Ada. Prompts and greetings use them.</span>
        <textarea
          className="input"
          rows={3}
          spellCheck={false}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      </label>
    </details>
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
  const { messages, ...how } = saved;
  const discard = () => {
    setSaved(null);
    call.reset();
  };
  return (
    <section className="banner go-on" aria-label="Call that was broken off">
      <Info size={16} aria-hidden />
      <p className="grow">
        Your call with <strong>{how.agent}</strong> was broken off. It can go on where it was.
      </p>
      <button
        type="button"
        className="button small primary"
        onClick={() => void call.start({ ...how, past: messages })}
      >
        <RotateCcw size={14} aria-hidden /> Go on
      </button>
      <button type="button" className="button small ghost" onClick={discard}>
        Discard
      </button>
    </section>
  );
}
