import { PhoneOff, PhoneOutgoing } from "lucide-react";
import { useState } from "react";
import { command, outgoingStates } from "../../api/client";
import { useFollow } from "../../api/hooks";
import type { OutgoingState } from "../../api/types";
import { words } from "../../ui/format";

type Props = { first: OutgoingState; onAnswered: () => void };

/** A call that is made: until somebody answers it, or nobody will. */
export function Outgoing({ first, onAnswered }: Props) {
  const [state, setState] = useState(first);
  const isPending = state.status === "initiating" || state.status === "ringing";
  useFollow(
    isPending ? first.call_id : null,
    (signal) => outgoingStates(first.call_id, signal),
    (told) => {
      setState(told);
      if (told.status === "connected" || told.status === "disconnected") onAnswered();
    },
  );
  return (
    <section className="card outgoing" aria-label="Call that is made">
      <span className="outgoing-sign" data-rings={isPending || undefined}>
        <PhoneOutgoing size={26} aria-hidden />
      </span>
      <h1>{state.target_number}</h1>
      <p role="status">{told(state)}</p>
      <p className="muted">
        {state.agent} calls by {state.carrier} from {state.caller_id}.
      </p>
      {isPending && (
        <button
          type="button"
          className="button danger"
          // A call that is over meanwhile has told so already.
          onClick={() => void command(first.call_id, "terminate").catch(() => undefined)}
        >
          <PhoneOff size={15} aria-hidden /> Call it off
        </button>
      )}
    </section>
  );
}

function told({ status, reason, message }: OutgoingState): string {
  switch (status) {
    case "initiating":
      return "The carrier is asked to call…";
    case "ringing":
      return "It rings…";
    case "failed":
      return message || `Nobody was reached: ${words(reason ?? "unknown")}.`;
    default:
      return "Answered.";
  }
}
