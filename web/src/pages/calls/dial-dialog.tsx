import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { dial, agents as loadAgents, scenarios as loadScenarios } from "../../api/client";
import { useQuery } from "../../api/hooks";

/** Whom to call, and who speaks; leads to the call's page. */
export function DialDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [, go] = useLocation();
  const agents = useQuery("agents", loadAgents);
  const scenarios = useQuery("scenarios", loadScenarios);
  const [number, setNumber] = useState("");
  const [speaker, setSpeaker] = useState("");
  const [detects, setDetects] = useState(true);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const call = async () => {
    setBusy(true);
    setError(null);
    const [kind, ...name] = speaker.split(" ");
    const who = kind ? { [kind]: name.join(" ") } : {};
    const wanted = {
      target_number: number.replaceAll(/[\s()-]/g, ""),
      ...who,
      ...(detects ? { voicemail_detect: true } : {}),
    };
    try {
      const made = await dial(wanted);
      go(`/calls/${made.call_id}`);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="dial-title" className="transfer-dialog" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (number.trim() && !isBusy) void call();
        }}
      >
        <h2 id="dial-title">Call a phone</h2>
        <label>
          Number
          <input
            className="input"
            type="tel"
            placeholder="+14155550123"
            autoComplete="off"
            value={number}
            onChange={(event) => setNumber(event.target.value)}
          />
        </label>
        <label>
          Who speaks
          <select className="input" value={speaker} onChange={(event) => setSpeaker(event.target.value)}>
            <option value="">as for callers</option>
            {scenarios.data?.map(({ name }) => (
              <option key={name} value={`scenario ${name}`}>
                scenario {name}
              </option>
            ))}
            {agents.data?.map(({ name }) => (
              <option key={name} value={`agent ${name}`}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="check">
          <input type="checkbox" checked={detects} onChange={(event) => setDetects(event.target.checked)} />
          Find out if a machine answers
        </label>
        {error && (
          <p className="banner warn" role="alert">
            {error}
          </p>
        )}
        <div className="dialog-buttons">
          <button type="button" className="button ghost" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={!number.trim() || isBusy}>
            Call
          </button>
        </div>
      </form>
    </dialog>
  );
}
