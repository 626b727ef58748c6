import { PhoneCall, PhoneOutgoing, Scissors, Search } from "lucide-react";
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { callUpdates, agents as loadAgents, calls as loadCalls } from "../api/client";
import { useFollow, useQuery } from "../api/hooks";
import type { CallPage, CallSummary } from "../api/types";
import type { Filter } from "../call/list";
import { merged, updated } from "../call/list";
import { clock, fullDate, milliseconds, when, words } from "../ui/format";
import { DialDialog } from "./calls/dial-dialog";

const PAGE = 50;

/** Every call: the live ones first, then the newest; the list keeps itself up to date. */
export function CallsPage() {
  const [text, setText] = useState("");
  const [agent, setAgent] = useState("");
  const [carrier, setCarrier] = useState("");
  const [isDialling, setDialling] = useState(false);
  const q = useDeferredValue(text.trim());
  const filter = useMemo(() => ({ q, agent, carrier }), [q, agent, carrier]);
  const list = useCalls(filter);
  const agents = useQuery("agents", loadAgents);
  useEffect(() => {
    document.title = "Calls · Antiphon";
  }, []);
  const carriers = [...new Set(["realtime", ...list.calls.map((call) => call.carrier)])].sort();
  const isFiltered = Boolean(q || agent || carrier);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Calls</h1>
          <p>Live and past, with what was said and how fast.</p>
        </div>
        <search className="filters">
          <label className="search">
            <Search size={15} aria-hidden />
            <span className="sr-only">Search calls</span>
            <input
              className="input"
              type="search"
              placeholder="Search what was said"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          </label>
          <Choice
            name="Agent"
            value={agent}
            onChange={setAgent}
            options={(agents.data ?? []).map(({ name }) => name)}
          />
          <Choice name="Carrier" value={carrier} onChange={setCarrier} options={carriers} />
        </search>
        <button type="button" className="button" onClick={() => setDialling(true)}>
          <PhoneOutgoing size={16} aria-hidden /> Call a phone
        </button>
      </header>
      {list.error && (
        <p className="banner warn" role="alert">
          {list.error}
        </p>
      )}
      {isDialling && <DialDialog onClose={() => setDialling(false)} />}
      <CallTable calls={list.calls} />
      {list.isLoaded && list.calls.length === 0 && <NoCalls isFiltered={isFiltered} />}
      {list.more && (
        <button type="button" className="button more" onClick={list.more}>
          Show older calls
        </button>
      )}
    </div>
  );
}

type ChoiceProps = { name: string; value: string; options: string[]; onChange: (value: string) => void };

function Choice({ name, value, options, onChange }: ChoiceProps) {
  return (
    <label>
      <span className="sr-only">{name}</span>
      <select className="input" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{`Any ${name.toLowerCase()}`}</option>
        {options.map((option) => (
          <option key={option}>{option}</option>
        ))}
      </select>
    </label>
  );
}

function useCalls(filter: Filter) {
  const key = JSON.stringify(filter);
  const [older, setOlder] = useState<{ key: string; pages: CallPage[] }>({ key, pages: [] });
  const [updates, setUpdates] = useState<readonly CallSummary[]>([]);
  const first = useQuery(key, (signal) => loadCalls({ ...filter, limit: PAGE }, signal));
  useFollow("calls", callUpdates, (call) => setUpdates((known) => merged(known, [call])));
  const pages = useMemo(() => (older.key === key ? older.pages : []), [older, key]);
  const next = (pages.at(-1) ?? first.data)?.next ?? null;
  const calls = useMemo(() => {
    const loaded = [first.data, ...pages].flatMap((page) => page?.calls ?? []);
    return updated(loaded, updates, filter);
  }, [first.data, pages, updates, filter]);
  const more = useCallback(() => {
    if (!next) return;
    void loadCalls({ ...filter, limit: PAGE, before: next }, AbortSignal.timeout(20_000)).then((page) =>
      setOlder({ key, pages: [...pages, page] }),
    );
  }, [filter, key, next, pages]);
  return { calls, error: first.error, isLoaded: first.data !== null, more: next ? more : null };
}

function CallTable({ calls }: { calls: readonly CallSummary[] }) {
  if (calls.length === 0) return null;
  return (
    <table className="calls card">
      <thead>
        <tr>
          <th scope="col">Call</th>
          <th scope="col">When</th>
          <th scope="col" className="end">
            Length
          </th>
          <th scope="col" className="end">
            Turns
          </th>
          <th scope="col" className="end">
            First audio
          </th>
          <th scope="col">End</th>
        </tr>
      </thead>
      <tbody>
        {calls.map((call) => (
          <CallRow key={call.id} call={call} />
        ))}
      </tbody>
    </table>
  );
}

function CallRow({ call }: { call: CallSummary }) {
  const isLive = call.state === "live";
  return (
    <tr data-live={isLive || undefined}>
      <td className="call-cell">
        <Link href={`/calls/${encodeURIComponent(call.id)}`}>
          <strong>{call.agent}</strong>
          <span className="chip">{call.carrier}</span>
          {isLive && (
            <span className="chip live">
              <span className="dot live" /> live
            </span>
          )}
          <span className="preview">{call.preview || "Nothing was said"}</span>
        </Link>
      </td>
      <td data-label="When" title={fullDate(call.started_at)}>
        {when(call.started_at)}
      </td>
      <td data-label="Length" className="end num">
        {call.duration_s === null ? "–" : clock(call.duration_s)}
      </td>
      <td data-label="Turns" className="end num">
        {call.turns}
        {call.interruptions > 0 && (
          <span className="cuts" title={`${call.interruptions} interrupted`}>
            <Scissors size={12} aria-label="interrupted" /> {call.interruptions}
          </span>
        )}
      </td>
      <td data-label="First audio" className="end num">
        {call.first_audio_p50_ms === null ? "–" : milliseconds(call.first_audio_p50_ms)}
      </td>
      <td data-label="End" className="muted">
        {isLive ? "going on" : words(call.end_reason ?? "unknown")}
      </td>
    </tr>
  );
}

function NoCalls({ isFiltered }: { isFiltered: boolean }) {
  return (
    <div className="empty card">
      <PhoneCall size={28} aria-hidden />
      <h2>{isFiltered ? "No call matches" : "No calls yet"}</h2>
      <p>
        {isFiltered ? (
          "Try other words or filters."
        ) : (
          <>
            <Link href="/" className="link">
              Talk to an agent
            </Link>{" "}
            or phone the server; every call appears here.
          </>
        )}
      </p>
    </div>
  );
}
