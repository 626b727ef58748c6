import { ArrowUp, Grip, Mic, MicOff, PhoneCall, PhoneOff, ScrollText } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { Entry } from "../../call/entries";
import { only } from "../../call/entries";
import { useLiveCall, usePolled } from "../../realtime/hooks";
import { loudness } from "../../ui/duet";
import { Keypad } from "./keypad";

/** The controls of the call: mute, type, hang up; after it, what comes next. */
export function Dock() {
  const { call, state } = useLiveCall();
  const [text, setText] = useState("");
  const [isKeypadOpen, setKeypadOpen] = useState(false);
  if (state.status === "ended" || state.status === "lost") {
    return (
      <div className="dock over">
        <RecordLink entries={state.entries} />
        <button type="button" className="button primary" onClick={() => call.reset()}>
          <PhoneCall size={16} aria-hidden /> New call
        </button>
      </div>
    );
  }
  const isLive = state.status === "live";
  const send = () => {
    const said = text.trim();
    if (!said || !isLive) return;
    void call.type(said);
    setText("");
  };
  return (
    <form
      className="dock"
      aria-label="Call controls"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {isKeypadOpen && isLive && <Keypad onPress={(key) => call.press(key)} onClose={() => setKeypadOpen(false)} />}
      <MuteButton />
      <button
        type="button"
        className="round"
        aria-label="Keypad"
        title="Keypad"
        aria-expanded={isKeypadOpen && isLive}
        disabled={!isLive}
        onClick={() => setKeypadOpen(!isKeypadOpen)}
      >
        <Grip size={18} aria-hidden />
      </button>
      <div className="dock-input">
        <input
          className="input"
          aria-label="Type a message"
          placeholder={state.hasMicrophone ? "Or type a message" : "Type a message"}
          value={text}
          maxLength={4000}
          autoComplete="off"
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="send" aria-label="Send" disabled={!isLive || !text.trim()}>
          <ArrowUp size={16} aria-hidden />
        </button>
      </div>
      <button type="button" className="hang-up" onClick={() => call.hangUp()}>
        <PhoneOff size={18} aria-hidden />
        <span>Hang up</span>
      </button>
    </form>
  );
}

/** To the call's record: calls are kept by day and call id. */
function RecordLink({ entries }: { entries: readonly Entry[] }) {
  const started = only(entries, "session.started").at(-1);
  if (!started) return null;
  return (
    <Link href={`/calls/${started.started_at.slice(0, 10)}.${started.call_id}`} className="button">
      <ScrollText size={15} aria-hidden /> Open this call
    </Link>
  );
}

function MuteButton() {
  const { call, state } = useLiveCall();
  const isHeard = state.hasMicrophone && !state.isMuted;
  const level = usePolled(() => call.meters.caller, 100, isHeard);
  const name = state.isMuted ? "Unmute" : "Mute";
  return (
    <button
      type="button"
      className="round mute"
      aria-pressed={state.isMuted}
      aria-label={state.hasMicrophone ? name : "No microphone"}
      title={state.hasMicrophone ? name : "No microphone"}
      disabled={!state.hasMicrophone}
      onClick={() => call.mute(!state.isMuted)}
    >
      <span className="mute-level" style={{ transform: `scaleY(${isHeard ? loudness(level) : 0})` }} aria-hidden />
      {isHeard ? <Mic size={18} aria-hidden /> : <MicOff size={18} aria-hidden />}
    </button>
  );
}
