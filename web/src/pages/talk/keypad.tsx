import { X } from "lucide-react";
import type { KeyboardEvent } from "react";
import { useEffect, useRef, useState } from "react";

const KEYS = [
  ["1", ""],
  ["2", "ABC"],
  ["3", "DEF"],
  ["4", "GHI"],
  ["5", "JKL"],
  ["6", "MNO"],
  ["7", "PQRS"],
  ["8", "TUV"],
  ["9", "WXYZ"],
  ["*", ""],
  ["0", "+"],
  ["#", ""],
] as const;

type Props = { onPress: (key: string) => void; onClose: () => void };

/** The keys of a telephone; while it has the focus, the keyboard's do the same. */
export function Keypad({ onPress, onClose }: Props) {
  const [count, setCount] = useState(0);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  const press = (key: string) => {
    onPress(key);
    setCount((before) => before + 1);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (/^[0-9*#]$/.test(event.key)) press(event.key);
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a pad of keys above the controls is no fieldset of theirs.
    <div className="keypad" role="group" aria-label="Keypad" onKeyDown={onKeyDown}>
      <div className="keypad-head">
        <output className="keypad-count" aria-label={`${count} pressed`}>
          {"●".repeat(Math.min(count, 12)) || "Press keys as on a phone"}
        </output>
        <button type="button" className="button ghost small icon" aria-label="Close the keypad" onClick={onClose}>
          <X size={15} aria-hidden />
        </button>
      </div>
      <div className="keypad-keys">
        {KEYS.map(([key, letters]) => (
          <button
            key={key}
            type="button"
            ref={key === "1" ? first : undefined}
            aria-label={NAMES[key]}
            onClick={() => press(key)}
          >
            {key}
            {letters && <small>{letters}</small>}
          </button>
        ))}
      </div>
    </div>
  );
}

const NAMES: Record<string, string> = { "*": "star", "#": "hash" };
