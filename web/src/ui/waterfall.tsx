import { Zap } from "lucide-react";
import type { Turn } from "../call/latency";
import { firstAudio, percentile } from "../call/latency";
import { milliseconds } from "./format";

type Props = {
  turns: readonly Turn[];
  /** While a call goes on its newest turn is the first. */
  isNewestFirst: boolean;
  onSeek?: ((at: number) => void) | undefined;
};

/** Where the time of each turn went, from the caller's last sound to the agent's first. */
export function Waterfall({ turns, isNewestFirst, onSeek }: Props) {
  const longest_ms = Math.max(500, ...turns.flatMap((turn) => turn.stages.map((stage) => stage.to_ms)));
  const values = firstAudio(turns);
  return (
    <section className="waterfall" aria-label="Latency">
      <header className="panel-head">
        <h2>Latency</h2>
        <span className="muted">from the caller's last sound</span>
        {values.length > 0 && (
          <span className="wf-summary num">
            <Percentile name="p50" value={percentile(values, 0.5)} />
            <Percentile name="p95" value={percentile(values, 0.95)} />
          </span>
        )}
      </header>
      {turns.length === 0 ? (
        <p className="panel-empty">Each turn's stages appear here once it was answered.</p>
      ) : (
        <ol className="wf-turns">
          {(isNewestFirst ? turns.toReversed() : turns).map((turn) => (
            <TurnRow key={turn.turn} turn={turn} longest_ms={longest_ms} onSeek={onSeek} />
          ))}
        </ol>
      )}
    </section>
  );
}

function Percentile({ name, value }: { name: string; value: number | null }) {
  return (
    <span>
      <span className="muted">{name}</span> {value === null ? "–" : milliseconds(value)}
    </span>
  );
}

type RowProps = { turn: Turn; longest_ms: number; onSeek: ((at: number) => void) | undefined };

function TurnRow({ turn, longest_ms, onSeek }: RowProps) {
  const title = turn.question || "The agent began";
  return (
    <li className="wf-turn">
      <div className="wf-head">
        <span className="wf-number">{turn.turn}</span>
        {onSeek ? (
          <button type="button" className="wf-question" onClick={() => onSeek(turn.at)} title={title}>
            {title}
          </button>
        ) : (
          <span className="wf-question" title={title}>
            {title}
          </span>
        )}
        {turn.isSpeculative && (
          <span className="wf-flag" title="The answer was begun before the turn was sure">
            <Zap size={12} aria-label="speculative" />
          </span>
        )}
        {turn.isInterrupted && <span className="chip warn">cut</span>}
        <strong className="num">{turn.firstAudio_ms === null ? "–" : milliseconds(turn.firstAudio_ms)}</strong>
      </div>
      <dl className="wf-stages">
        {turn.stages.map((stage) => (
          <div key={stage.id} className="row">
            <dt>{stage.name}</dt>
            <dd>
              <span className="wf-track">
                <span
                  className="wf-bar"
                  data-stage={stage.id}
                  style={{
                    left: `${(100 * stage.from_ms) / longest_ms}%`,
                    width: `${Math.max(0.6, (100 * (stage.to_ms - stage.from_ms)) / longest_ms)}%`,
                  }}
                />
              </span>
              <span className="num">{milliseconds(stage.to_ms)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
