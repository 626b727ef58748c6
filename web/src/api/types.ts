/** What the server's REST interface answers. */

import type { Entry } from "../call/entries";

export type ServerInfo = {
  version: string;
  ready: boolean;
  models: Partial<Record<"vad" | "stt" | "llm" | "tts", string>>;
  is_embedded_llm: boolean;
  webrtc: boolean;
  calls_live: number;
  slots: number;
  uptime_s: number;
};

export type AgentTool = { name: string; description: string; kind: string };
export type AgentHandoff = { target: string; when: string; type: string };

export type AgentInfo = {
  name: string;
  description: string;
  greeting: string | null;
  instructions: string;
  voice: string | null;
  language: string | null;
  model: string | null;
  is_default: boolean;
  tools: AgentTool[];
  handoffs: AgentHandoff[];
};

export type ScenarioOutline = {
  name: string;
  aliases: string[];
  description: string;
  icon: string;
  is_default: boolean;
  start_agent: string;
  agents: string[];
};

export type ScenarioHandoff = {
  from: string;
  to: string;
  tool: string;
  type: string;
  share_context: boolean;
  condition: string;
  context_vars: Record<string, unknown>;
};

export type GenericHandoff = { targets: string[]; type: string; share_context: boolean; require_client_id: boolean };

export type ScenarioInfo = Omit<ScenarioOutline, "agents"> & {
  agents: AgentInfo[];
  handoffs: ScenarioHandoff[];
  generic_handoff: GenericHandoff | null;
};

export type CallSummary = {
  id: string;
  call_id: string;
  carrier: string;
  agent: string;
  started_at: string;
  duration_s: number | null;
  state: "live" | "ended";
  end_reason: string | null;
  turns: number;
  first_audio_p50_ms: number | null;
  interruptions: number;
  has_recording: boolean;
  preview: string;
};

export type Severity = "ok" | "warning" | "error";

/** Durations of one stage; all but `count` are null where there is none. */
export type Spread = {
  count: number;
  avg_ms: number | null;
  min_ms: number | null;
  max_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  relative_pct: number | null;
  severity: Severity | null;
};

/** How one call went, or many. */
export type Report = {
  calls: number;
  turns: number;
  interrupted: number;
  barge_ins: number;
  handoffs: number;
  tool_calls: number;
  tool_errors: number;
  errors: Record<string, number>;
  ended: Record<string, number>;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number | null;
  models: Record<string, string[]>;
  stages: Record<string, Spread>;
  insights: { severity: Severity; stage: string; text: string }[];
};

export type PoolInfo = {
  name: string;
  active: number;
  warm: number;
  dedicated: number;
  exhausted: boolean;
  allocations_total: number;
  counters: { warmup_failures: number; last_warmup_error: string };
};

export type CarrierInfo = { carrier: string; configured: boolean; missing: string[] };

/** How far a call is that this server makes. */
export type OutgoingState = {
  call_id: string;
  status: "initiating" | "ringing" | "connected" | "disconnected" | "failed";
  target_number: string;
  caller_id: string;
  carrier: string;
  agent: string;
  scenario: string;
  initiated_at: string;
  reason: string | null;
  message: string;
};

export type CallPage = { calls: CallSummary[]; next: string | null };
export type CallDetail = { call: CallSummary; models: Record<string, string>; entries: Entry[] };

/** A call that nobody has answered yet, or nobody will. */
export type OutgoingDetail = { call: OutgoingState };
