import { useMemo, useState } from "react";
import type { Entry } from "../../call/entries";

/** More rows than this are not drawn at once. */
const ROWS = 400;

/** Every entry of the log as it was written. */
export function RawEvents({ entries, isShown }: { entries: readonly Entry[]; isShown: boolean }) {
  const [text, setText] = useState("");
  const [isAll, setAll] = useState(false);
  const found = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return wanted ? entries.filter((entry) => JSON.stringify(entry).toLowerCase().includes(wanted)) : entries;
  }, [entries, text]);
  if (!isShown) return null;
  const shown = isAll ? found : found.slice(0, ROWS);
  return (
    <div className="events">
      <label>
        <span className="sr-only">Filter events</span>
        <input
          className="input"
          type="search"
          placeholder="Filter, such as turn.metrics"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <ol tabIndex={0} aria-label="Events">
        {shown.map((entry) => {
          const { seq, at, type, ...fields } = entry;
          return (
            <li key={seq}>
              <details>
                <summary>
                  <span className="num muted">{at.toFixed(3)}</span>
                  <code data-family={type.split(".")[0]}>{type}</code>
                  <span className="muted fields">{JSON.stringify(fields)}</span>
                </summary>
                <pre>{JSON.stringify(entry, null, 2)}</pre>
              </details>
            </li>
          );
        })}
      </ol>
      {shown.length < found.length && (
        <button type="button" className="button small" onClick={() => setAll(true)}>
          Show all {found.length}
        </button>
      )}
    </div>
  );
}
