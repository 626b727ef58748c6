import { KeyRound } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { savedKey } from "../api/client";
import { useAccess } from "../api/hooks";

/** Asks for the server's key when a request was refused. */
export function KeyDialog() {
  const { isKeyWanted, enter } = useAccess();
  const dialog = useRef<HTMLDialogElement>(null);
  const [key, setKey] = useState("");
  const wasRefused = savedKey() !== null;
  useEffect(() => {
    if (isKeyWanted) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isKeyWanted]);
  return (
    <dialog ref={dialog} aria-labelledby="key-title" className="key-dialog">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim()) enter(key.trim());
        }}
      >
        <KeyRound size={20} aria-hidden />
        <h2 id="key-title">This server wants a key</h2>
        <p className="muted">
          {wasRefused ? "The key was not accepted. " : ""}It is one of the server's <code>ANTIPHON_API_KEYS</code> and
          stays in this tab only.
        </p>
        <label>
          <span className="sr-only">Key</span>
          <input
            className="input"
            type="password"
            autoComplete="off"
            placeholder="Key"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
        <button type="submit" className="button primary" disabled={!key.trim()}>
          Continue
        </button>
      </form>
    </dialog>
  );
}
