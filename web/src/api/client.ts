/** The server's REST interface: one function a route. */

import type { Entry } from "../call/entries";
import { serverEvents } from "./sse";
import type {
  AgentInfo,
  CallDetail,
  CallPage,
  CallSummary,
  CarrierInfo,
  OutgoingDetail,
  OutgoingState,
  PoolInfo,
  Report,
  ScenarioInfo,
  ScenarioOutline,
  ServerInfo,
} from "./types";

const KEY = "antiphon.key";
const TIMEOUT_MS = 15_000;

/** The server wants a key, or refused the one it got. */
export class Unauthorized extends Error {}

/** The server's answer was an error, or there was none; the message can be shown. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** The key that was asked for in this tab, or null. */
export function savedKey(): string | null {
  return sessionStorage.getItem(KEY);
}

export function saveKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

export function authHeaders(): Record<string, string> {
  const key = savedKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** A request with the key; raises `Unauthorized` or `ApiError` for anything but success. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...authHeaders(), ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it running?", 0);
  }
  if (response.status === 401) throw new Unauthorized("This server wants a key.");
  if (!response.ok) throw new ApiError(await reason(response), response.status);
  return response;
}

async function reason(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => null);
  if (body && typeof body === "object") {
    const { error, detail } = body as { error?: { message?: string } | string; detail?: string | { msg?: string }[] };
    const told = Array.isArray(detail) ? sentence(detail[0]?.msg ?? "") : detail;
    const text = typeof error === "string" ? error : (error?.message ?? told);
    if (typeof text === "string") return text;
  }
  return `The server answered ${response.status}.`;
}

/** What a field of the request should have been, without the validator's own words. */
function sentence(message: string): string {
  const text = message.replace(/^Value error, /, "");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

async function json<T>(path: string, signal: AbortSignal): Promise<T> {
  const response = await request(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
  return (await response.json()) as T;
}

export const serverInfo = (signal: AbortSignal) => json<ServerInfo>("/v1/server", signal);

export const agents = async (signal: AbortSignal) => (await json<{ agents: AgentInfo[] }>("/v1/agents", signal)).agents;

export const scenarios = async (signal: AbortSignal) =>
  (await json<{ scenarios: ScenarioOutline[] }>("/v1/scenarios", signal)).scenarios;

export const scenario = (name: string, signal: AbortSignal) =>
  json<ScenarioInfo>(`/v1/scenarios/${encodeURIComponent(name)}`, signal);

export type CallQuery = { q?: string; agent?: string; carrier?: string; before?: string; limit?: number };

export function calls(query: CallQuery, signal: AbortSignal): Promise<CallPage> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, String(value));
  return json<CallPage>(`/v1/calls?${parameters}`, signal);
}

export const callPath = (id: string) => `/v1/calls/${encodeURIComponent(id)}`;

export const call = (id: string, signal: AbortSignal) => json<CallDetail | OutgoingDetail>(callPath(id), signal);

export type Dialled = { target_number: string; agent?: string; scenario?: string; voicemail_detect?: boolean };

/** Have somebody called. */
export async function dial(wanted: Dialled): Promise<OutgoingState> {
  const response = await request("/v1/calls", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wanted),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return (await response.json()) as OutgoingState;
}

/** How far a call is that this server makes, until somebody answers it or nobody will. */
export const outgoingStates = (id: string, signal: AbortSignal) =>
  follow<OutgoingState>(`${callPath(id)}/events`, "status", signal);

export const callReport = async (id: string, signal: AbortSignal) =>
  (await json<{ report: Report }>(`${callPath(id)}/report`, signal)).report;

/** The same of all calls of the last minutes. */
export const recentReport = (minutes: number, signal: AbortSignal) =>
  json<Report>(`/v1/metrics/summary?window_minutes=${minutes}`, signal);

export const pools = async (signal: AbortSignal) => (await json<{ pools: PoolInfo[] }>("/v1/pools", signal)).pools;

/** Who can be told to transfer and end calls, and what that still needs. */
export const carriers = async (signal: AbortSignal) =>
  (await json<{ providers: CarrierInfo[] }>("/v1/calls/providers", signal)).providers;

/** Have something done with a live call: `hold`, `resume`, `recording`, `transfer`, `terminate`. */
export async function command(id: string, path: string, body?: object): Promise<void> {
  await request(`${callPath(id)}/${path}`, {
    method: "POST",
    headers: body ? { "Content-Type": "application/json" } : {},
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}

/** Summaries of calls as they begin, go on and end. */
export const callUpdates = (signal: AbortSignal) => follow<CallSummary>("/v1/calls/stream", "call", signal);

/** A live call's entries: first those that it has, then each as it comes. */
export const callEntries = (id: string, signal: AbortSignal) =>
  follow<Entry>(`${callPath(id)}/events`, "entry", signal);

async function* follow<T>(path: string, event: string, signal: AbortSignal): AsyncGenerator<T> {
  const response = await request(path, { signal, headers: { Accept: "text/event-stream" } });
  if (!response.body) return;
  for await (const message of serverEvents(response.body)) {
    if (message.event === event) yield JSON.parse(message.data) as T;
  }
}
