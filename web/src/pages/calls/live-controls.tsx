import { CircleDot, CirclePause, Pause, PhoneForwarded, PhoneOff, Play, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { command } from "../../api/client";
import type { CallSummary } from "../../api/types";
import type { Entry, EntryType } from "../../call/entries";
import { only } from "../../call/entries";

type Props = { call: CallSummary; entries: readonly Entry[] };

/** What a supervisor can do with a call that goes on. What came of it is told by the call's own entries. */
export function LiveControls({ call, entries }: Props) {
  const [error, setError] = useState<string | null>(null);
  const [isTransferring, setTransferring] = useState(false);
  const order = (path: string, body?: object) => {
    setError(null);
    command(call.id, path, body).catch((failure: unknown) => {
      setError(failure instanceof Error ? failure.message : String(failure));
    });
  };
  const isHeld = isOn(entries, "call.held", "call.resumed");
  const isPaused = isOn(entries, "recording.paused", "recording.resumed");
  return (
    <section className="live-controls" aria-label="Controls of the call">
      <div className="live-buttons">
        <button type="button" className="button small" onClick={() => order(isHeld ? "resume" : "hold")}>
          {isHeld ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
          {isHeld ? "Back from hold" : "Hold"}
        </button>
        {call.has_recording && (
          <button
            type="button"
            className="button small"
            onClick={() => order("recording", { action: isPaused ? "resume" : "pause" })}
          >
            {isPaused ? <CircleDot size={14} aria-hidden /> : <CirclePause size={14} aria-hidden />}
            {isPaused ? "Record again" : "Pause recording"}
          </button>
        )}
        <button type="button" className="button small" onClick={() => setTransferring(true)}>
          <PhoneForwarded size={14} aria-hidden /> Transfer
        </button>
        <button type="button" className="button small danger" onClick={() => order("terminate")}>
          <PhoneOff size={14} aria-hidden /> End call
        </button>
      </div>
      {error && (
        <p className="banner warn" role="alert">
          <TriangleAlert size={16} aria-hidden /> <span className="grow">{error}</span>
        </p>
      )}
      {isTransferring && (
        <TransferDialog
          onClose={() => setTransferring(false)}
          onTransfer={(wish) => {
            setTransferring(false);
            order("transfer", wish);
          }}
        />
      )}
    </section>
  );
}

/** Whether the last of the two entries was the first one. */
function isOn(entries: readonly Entry[], on: EntryType, off: EntryType): boolean {
  return only(entries, on, off).at(-1)?.type === on;
}

type Wish = { destination: string; type: "blind" | "warm"; context_summary: string };

type DialogProps = { onClose: () => void; onTransfer: (wish: Wish) => void };

function TransferDialog({ onClose, onTransfer }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [destination, setDestination] = useState("");
  const [summary, setSummary] = useState("");
  const [isWarm, setWarm] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="transfer-title" className="transfer-dialog" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const wish = { destination: destination.trim(), context_summary: isWarm ? summary.trim() : "" };
          if (wish.destination) onTransfer({ ...wish, type: isWarm ? "warm" : "blind" });
        }}
      >
        <h2 id="transfer-title">Transfer the caller</h2>
        <label>
          To
          <input
            className="input"
            placeholder="+14155550123 or sip:desk@example.com"
            value={destination}
            autoComplete="off"
            maxLength={256}
            onChange={(event) => setDestination(event.target.value)}
          />
        </label>
        <label className="check">
          <input type="checkbox" checked={isWarm} onChange={(event) => setWarm(event.target.checked)} />
          Tell them first what it is about
        </label>
        {isWarm && (
          <label>
            What they are told
            <textarea
              className="input"
              rows={3}
              value={summary}
              maxLength={1000}
              onChange={(event) => setSummary(event.target.value)}
            />
          </label>
        )}
        <div className="dialog-buttons">
          <button type="button" className="button ghost" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={!destination.trim()}>
            Transfer
          </button>
        </div>
      </form>
    </dialog>
  );
}
