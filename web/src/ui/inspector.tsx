import { useMemo } from "react";
import type { Entry } from "../call/entries";
import { measuredTurns } from "../call/latency";
import { timeline } from "../call/timeline";
import { TimelineView } from "./timeline";
import { Waterfall } from "./waterfall";

type Props = {
  entries: readonly Entry[];
  now?: number | null;
  playhead?: number | null;
  onSeek?: ((at: number) => void) | undefined;
};

/** What happened under the conversation: the timeline, and each turn's latency. */
export function Inspector({ entries, now = null, playhead = null, onSeek }: Props) {
  const lanes = useMemo(() => timeline(entries), [entries]);
  const turns = useMemo(() => measuredTurns(entries), [entries]);
  return (
    <div className="inspector">
      <TimelineView timeline={lanes} now={now} playhead={playhead} onSeek={onSeek} />
      <Waterfall turns={turns} isNewestFirst={now !== null} onSeek={onSeek} />
    </div>
  );
}
