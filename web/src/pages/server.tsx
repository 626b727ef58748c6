import { CircleAlert, CircleCheck } from "lucide-react";
import { useEffect, useState } from "react";
import { carriers as loadCarriers, pools as loadPools, recentReport } from "../api/client";
import { useQuery } from "../api/hooks";
import type { CarrierInfo, PoolInfo, ServerInfo } from "../api/types";
import { plural } from "../ui/format";
import { ReportView } from "../ui/report";

const EVERY_MS = 10_000;
const WINDOWS = [
  [15, "15 minutes"],
  [60, "hour"],
  [24 * 60, "day"],
] as const;

/** How the server does: its calls of late, its models and connections, and what each carrier still needs. */
export function ServerPage({ server }: { server: ServerInfo | null }) {
  const [minutes, setMinutes] = useState<number>(60);
  const report = useQuery(`recent/${minutes}`, (signal) => recentReport(minutes, signal), EVERY_MS);
  const pools = useQuery("pools", loadPools, EVERY_MS);
  const carriers = useQuery("carriers", loadCarriers);
  useEffect(() => {
    document.title = "Server · Antiphon";
  }, []);
  const error = report.error ?? pools.error ?? carriers.error;
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Server</h1>
          <p>{server ? state(server) : "Looking for the server…"}</p>
        </div>
        <fieldset className="segmented">
          <legend className="sr-only">Calls of the last</legend>
          {WINDOWS.map(([length, name]) => (
            <label key={length}>
              <input type="radio" name="window" checked={minutes === length} onChange={() => setMinutes(length)} />
              {name}
            </label>
          ))}
        </fieldset>
      </header>
      {error && (
        <p className="banner warn" role="alert">
          {error}
        </p>
      )}
      <div className="server-page">
        {server && <Facts server={server} />}
        {report.data && <ReportView report={report.data} />}
        {pools.data && <Pools pools={pools.data} />}
        {carriers.data && <Carriers carriers={carriers.data} />}
      </div>
    </div>
  );
}

function state({ ready, version, uptime_s }: ServerInfo): string {
  return `${ready ? "Ready" : "Warming up"}, version ${version}, up for ${uptime(uptime_s)}.`;
}

function uptime(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return plural(minutes, "minute");
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? plural(hours, "hour") : plural(Math.floor(hours / 24), "day");
}

const ROLES = [
  ["vad", "Speech detector"],
  ["stt", "Hears with"],
  ["llm", "Thinks with"],
  ["tts", "Speaks with"],
] as const;

function Facts({ server }: { server: ServerInfo }) {
  return (
    <section className="card server-facts" aria-label="Calls and models">
      <div>
        <div className="server-load">
          <strong className="num">{server.calls_live}</strong> of {plural(server.slots, "call")} at once
        </div>
        <meter min={0} max={server.slots} value={server.calls_live} aria-label="Calls at once" />
      </div>
      <dl>
        {ROLES.map(([role, name]) => (
          <div key={role} className="row">
            <dt>{name}</dt>
            <dd>{server.models[role] ?? "–"}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Pools({ pools }: { pools: PoolInfo[] }) {
  if (pools.length === 0) return null;
  return (
    <section className="card report-stages" aria-label="Connections to providers">
      <header className="panel-head">
        <h2>Connections to providers</h2>
        <span className="muted">kept open, so that no caller waits for one</span>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <section className="report-scroll" aria-label="Pools" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {["Pool", "In use", "Waiting", "Given", "Failed ahead"].map((name, column) => (
                <th key={name} scope="col" className={column > 0 ? "end" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {pools.map((pool) => (
              <tr key={pool.name} data-severity={pool.exhausted ? "error" : undefined}>
                <th scope="row">
                  {pool.name} {pool.exhausted && <span className="chip warn">full</span>}
                </th>
                <td className="end num">{pool.active}</td>
                <td className="end num">{pool.warm + pool.dedicated}</td>
                <td className="end num">{pool.allocations_total}</td>
                <td className="end num" title={pool.counters.last_warmup_error}>
                  {pool.counters.warmup_failures}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function Carriers({ carriers }: { carriers: CarrierInfo[] }) {
  return (
    <section className="card carriers" aria-label="Carriers">
      <header className="panel-head">
        <h2>Carriers</h2>
        <span className="muted">that transfer and end calls on the server's word</span>
      </header>
      <ul>
        {carriers.map(({ carrier, configured, missing }) => (
          <li key={carrier}>
            {configured ? (
              <CircleCheck size={15} role="img" aria-label="ready" data-ok />
            ) : (
              <CircleAlert size={15} role="img" aria-label="not set up" />
            )}
            <strong>{carrier}</strong>
            <span className="muted">
              {configured ? "is set up" : "needs "}
              {missing.map((name) => (
                <code key={name}>{name}</code>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
