import { CircleAlert, CircleCheck, TriangleAlert } from "lucide-react";
import type { Report, Severity, Spread } from "../api/types";
import { milliseconds, plural, words } from "./format";

/** What each stage of a turn is called; others are told by their own names. */
const STAGE_NAMES: Record<string, string> = {
  first_audio: "Voice to voice",
  decision: "End of turn",
  stt: "Transcript",
  llm_ttft: "Model, first token",
  llm_total: "Model, whole",
  tts_ttfb: "Voice, first sound",
  tts_total: "Voice, whole",
  processing: "Processing",
  barge_in_stop: "Silent when cut",
  tool: "Tools",
};

/** What was measured, stage by stage, and what deserves a look. */
export function ReportView({ report }: { report: Report }) {
  const stages = Object.entries(report.stages).filter(([, spread]) => spread.count > 0);
  const longest_ms = Math.max(1, ...stages.map(([, spread]) => spread.max_ms ?? 0));
  return (
    <section className="report" aria-label="Report">
      <Tiles report={report} />
      <Insights report={report} />
      <div className="card report-stages">
        <header className="panel-head">
          <h2>Stages</h2>
          <span className="muted">from the least to the most; the mark is the median</span>
        </header>
        {stages.length === 0 ? (
          <p className="panel-empty">Stages appear here once a turn was answered.</p>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
          <section className="report-scroll" aria-label="Durations of the stages" tabIndex={0}>
            <StageTable stages={stages} longest_ms={longest_ms} />
          </section>
        )}
      </div>
    </section>
  );
}

function Tiles({ report }: { report: Report }) {
  const headline = report.stages.first_audio;
  const isOfMany = report.calls > 1;
  const errors = Object.values(report.errors).reduce((sum, each) => sum + each, 0);
  const tokens = report.input_tokens + report.output_tokens;
  return (
    <dl className="tiles">
      <Tile name="Voice to voice, p50" value={duration(headline?.p50_ms)} tone={headline?.severity} />
      <Tile name="Voice to voice, p95" value={duration(headline?.p95_ms)} />
      {isOfMany && <Tile name="Calls" value={String(report.calls)} />}
      <Tile name="Turns" value={String(report.turns)} more={`${report.interrupted} cut`} />
      <Tile name="Handoffs" value={String(report.handoffs)} />
      <Tile
        name="Tools"
        value={String(report.tool_calls)}
        more={report.tool_errors > 0 ? `${report.tool_errors} failed` : ""}
        tone={report.tool_errors > 0 ? "warning" : null}
      />
      {isOfMany && <Tile name="Errors" value={String(errors)} tone={errors > 0 ? "error" : null} />}
      <Tile name="Tokens" value={tokens.toLocaleString()} more={cost(report.cost_usd)} />
    </dl>
  );
}

function cost(usd: number | null): string {
  if (usd === null) return "price not known";
  return usd === 0 ? "" : `$${usd.toFixed(usd < 0.01 ? 4 : 2)}`;
}

type TileProps = { name: string; value: string; more?: string; tone?: Severity | null | undefined };

function Tile({ name, value, more = "", tone }: TileProps) {
  return (
    <div className="card tile" data-severity={tone && tone !== "ok" ? tone : undefined}>
      <dt>{name}</dt>
      <dd className="num">
        {value} {more && <small>{more}</small>}
      </dd>
    </div>
  );
}

function Insights({ report: { insights, errors, models } }: { report: Report }) {
  const names = [...new Set(Object.values(models).flat())];
  const count = Object.values(errors).reduce((sum, each) => sum + each, 0);
  return (
    <ul className="card insights" aria-label="Insights">
      {insights.length === 0 && (
        <li data-severity="ok">
          <CircleCheck size={15} aria-hidden /> Nothing stands out{count > 0 ? `, but ${plural(count, "error")}` : ""}.
        </li>
      )}
      {insights.map(({ severity, stage, text }) => (
        <li key={`${stage} ${text}`} data-severity={severity}>
          {severity === "error" ? (
            <CircleAlert size={15} role="img" aria-label="serious" />
          ) : (
            <TriangleAlert size={15} role="img" aria-label="warning" />
          )}
          {readable(stage, text)}
        </li>
      ))}
      {names.length > 0 && <li className="muted">Answered by {names.join(", ")}.</li>}
    </ul>
  );
}

/** An insight with the stage's name as the table has it. */
function readable(stage: string, text: string): string {
  const name = STAGE_NAMES[stage];
  return name && text.startsWith(`${stage} `)
    ? `${name}: ${text.slice(stage.length + 1).replace(/^takes /, "")}`
    : text;
}

const COLUMNS = ["avg", "p50", "p95", "p99", "max"] as const;

type TableProps = { stages: [string, Spread][]; longest_ms: number };

function StageTable({ stages, longest_ms }: TableProps) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">
            <span className="sr-only">Range</span>
          </th>
          {[...COLUMNS, "n"].map((name) => (
            <th key={name} scope="col" className="end">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {stages.map(([stage, spread]) => (
          <tr key={stage} data-severity={spread.severity ?? undefined}>
            <th scope="row">{STAGE_NAMES[stage] ?? words(stage)}</th>
            <td className="range">
              <Range spread={spread} longest_ms={longest_ms} />
            </td>
            {COLUMNS.map((name) => (
              <td key={name} className="end num">
                {duration(spread[`${name}_ms`])}
              </td>
            ))}
            <td className="end num muted">{spread.count}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Range({ spread: { min_ms, max_ms, p50_ms }, longest_ms }: { spread: Spread; longest_ms: number }) {
  const percent = (value: number | null) => (100 * (value ?? 0)) / longest_ms;
  return (
    <span className="range-track" aria-hidden>
      <span style={{ left: `${percent(min_ms)}%`, right: `${100 - percent(max_ms)}%` }} />
      <i style={{ left: `${percent(p50_ms)}%` }} />
    </span>
  );
}

function duration(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : milliseconds(value);
}
