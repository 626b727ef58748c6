/** Reading from the server inside components; a refused request asks for the key once, for all of them. */

import type { ReactNode } from "react";
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { saveKey, Unauthorized } from "./client";

type Access = {
  /** Changes when a key was entered: every request is then made again. */
  epoch: number;
  isKeyWanted: boolean;
  refuse: () => void;
  enter: (key: string) => void;
};

const AccessContext = createContext<Access | null>(null);

export function AccessProvider({ children }: { children: ReactNode }) {
  const [epoch, setEpoch] = useState(0);
  const [isKeyWanted, setKeyWanted] = useState(false);
  const refuse = useCallback(() => setKeyWanted(true), []);
  const enter = useCallback((key: string) => {
    saveKey(key);
    setKeyWanted(false);
    setEpoch((count) => count + 1);
  }, []);
  const access = useMemo(() => ({ epoch, isKeyWanted, refuse, enter }), [epoch, isKeyWanted, refuse, enter]);
  return <AccessContext value={access}>{children}</AccessContext>;
}

export function useAccess(): Access {
  const access = useContext(AccessContext);
  if (!access) throw new Error("useAccess needs an AccessProvider above it.");
  return access;
}

export type Query<T> = { data: T | null; error: string | null; reload: () => void };

/**
 * Load something, and again when `key` changes; what was loaded before stays until then.
 * With `every_ms` it is loaded again and again.
 */
export function useQuery<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every_ms?: number): Query<T> {
  const { epoch, refuse } = useAccess();
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((count) => count + 1), []);
  const loader = useRef(load);
  loader.current = load;
  // biome-ignore lint/correctness/useExhaustiveDependencies: key, epoch and round are what makes it load again.
  useEffect(() => {
    const abort = new AbortController();
    loader
      .current(abort.signal)
      .then((loaded) => {
        setData(loaded);
        setError(null);
      })
      .catch((failure: unknown) => {
        if (abort.signal.aborted) return;
        if (failure instanceof Unauthorized) refuse();
        setError(failure instanceof Error ? failure.message : String(failure));
      });
    return () => abort.abort();
  }, [key, epoch, round, refuse]);
  useEffect(() => {
    if (every_ms === undefined) return;
    const timer = setInterval(reload, every_ms);
    return () => clearInterval(timer);
  }, [every_ms, reload]);
  return { data, error, reload };
}

const RECONNECT_MS = 2_000;

/** Follow a stream as long as the component is there; a stream that ends is opened again. `key` null follows nothing. */
export function useFollow<T>(
  key: string | null,
  open: (signal: AbortSignal) => AsyncIterable<T>,
  onItem: (item: T) => void,
): void {
  const { epoch, refuse } = useAccess();
  const current = useRef({ open, onItem });
  current.current = { open, onItem };
  // biome-ignore lint/correctness/useExhaustiveDependencies: epoch is what makes it open again.
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    void followForever(abort.signal, current, refuse);
    return () => abort.abort();
  }, [key, epoch, refuse]);
}

async function followForever<T>(
  signal: AbortSignal,
  current: { current: { open: (signal: AbortSignal) => AsyncIterable<T>; onItem: (item: T) => void } },
  refuse: () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const item of current.current.open(signal)) current.current.onItem(item);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Unauthorized) return refuse();
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}
