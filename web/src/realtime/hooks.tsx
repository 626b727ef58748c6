/** The page's one call, for every component that shows it. It goes on while other pages are looked at. */

import type { ReactNode } from "react";
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { LiveState } from "./live";
import { LiveCall } from "./live";

const LiveContext = createContext<LiveCall | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const [call] = useState(() => new LiveCall());
  return <LiveContext value={call}>{children}</LiveContext>;
}

export function useLiveCall(): { call: LiveCall; state: LiveState } {
  const call = useContext(LiveContext);
  if (!call) throw new Error("useLiveCall needs a LiveProvider above it.");
  return { call, state: useSyncExternalStore(call.subscribe, call.snapshot) };
}

/** The value of `read`, again every `period_ms` while `isActive`. */
export function usePolled<T>(read: () => T, period_ms: number, isActive: boolean): T {
  const [value, setValue] = useState(read);
  const reader = useRef(read);
  reader.current = read;
  useEffect(() => {
    if (!isActive) return;
    const timer = setInterval(() => setValue(reader.current()), period_ms);
    return () => clearInterval(timer);
  }, [period_ms, isActive]);
  return value;
}
