/** The two ways to a call: a WebSocket that carries everything, and WebRTC with a data channel for the events. */

import { authHeaders, request, savedKey } from "../api/client";
import type { ClientEvent, ServerEvent } from "./events";

export type Transport = "websocket" | "webrtc";

/** Why a connection ended, as far as it is known. */
export type Ending = { code: number; reason: string };

export type Handlers = {
  onEvent: (event: ServerEvent) => void;
  onClose: (ending: Ending) => void;
};

/** An open connection. */
export type Link = {
  send: (event: ClientEvent) => void;
  /** Bytes that the network has not taken yet. */
  backlog: () => number;
  close: () => void;
};

/** The connection could not be made; the message can be shown. */
export class ConnectionFailed extends Error {}

/** Values for the templates of agents. */
export type Values = Readonly<Record<string, string>>;

/** Who is called, and in which scenario; an agent that goes on with a conversation does not greet again. */
export type Target = { agent: string; scenario: string | null; values: Values; greets: boolean };

function query({ agent, scenario, values, greets }: Target): string {
  const parameters = new URLSearchParams({ model: agent, antiphon: "1" });
  if (scenario) parameters.set("scenario", scenario);
  for (const [name, value] of Object.entries(values)) parameters.set(`var.${name}`, value);
  if (!greets) parameters.set("greet", "0");
  return parameters.toString();
}

const CONNECT_TIMEOUT_MS = 10_000;
const ICE_TIMEOUT_MS = 2_000;
const LOST = { code: 1006, reason: "" };

/** Connect by WebSocket; the key travels as a sub-protocol, the only place that a browser has for it. */
export function openWebSocket(target: Target, handlers: Handlers): Promise<Link> {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const url = `${scheme}://${location.host}/v1/realtime?${query(target)}`;
  const key = savedKey();
  const socket = new WebSocket(url, ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])]);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    let isOpen = false;
    socket.onopen = () => {
      clearTimeout(timer);
      isOpen = true;
      resolve({
        send: (event) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(event));
        },
        backlog: () => socket.bufferedAmount,
        close: () => socket.close(1000),
      });
    };
    socket.onmessage = ({ data }) => handlers.onEvent(JSON.parse(String(data)) as ServerEvent);
    socket.onclose = ({ code, reason }) => {
      clearTimeout(timer);
      if (isOpen) handlers.onClose({ code, reason });
      else reject(new ConnectionFailed("The server refused the call. It may be busy or shutting down; try again."));
    };
  });
}

/** Connect by WebRTC: `stream` is the microphone, or null to listen only; the agent sounds from `audio`. */
export async function openWebRtc(
  target: Target,
  handlers: Handlers,
  { stream, audio }: { stream: MediaStream | null; audio: HTMLAudioElement },
): Promise<Link> {
  const peer = new RTCPeerConnection();
  const channel = peer.createDataChannel("oai-events");
  try {
    if (stream) for (const track of stream.getAudioTracks()) peer.addTrack(track, stream);
    else peer.addTransceiver("audio", { direction: "recvonly" });
    peer.ontrack = ({ streams }) => {
      audio.srcObject = streams[0] ?? null;
    };
    channel.onmessage = ({ data }) => handlers.onEvent(JSON.parse(String(data)) as ServerEvent);
    await peer.setLocalDescription(await peer.createOffer());
    await candidatesGathered(peer);
    await peer.setRemoteDescription({ type: "answer", sdp: await answer(target, peer.localDescription?.sdp ?? "") });
    await channelOpened(channel);
  } catch (error) {
    peer.close();
    throw error;
  }
  const link = {
    send: (event: ClientEvent) => {
      if (channel.readyState === "open") channel.send(JSON.stringify(event));
    },
    backlog: () => channel.bufferedAmount,
    close: () => {
      channel.onclose = null;
      peer.onconnectionstatechange = null;
      audio.srcObject = null;
      peer.close();
    },
  };
  const lost = () => {
    link.close();
    handlers.onClose(LOST);
  };
  channel.onclose = lost;
  peer.onconnectionstatechange = () => {
    if (peer.connectionState === "failed") lost();
  };
  return link;
}

async function answer(target: Target, sdp: string): Promise<string> {
  const response = await request(`/v1/realtime/calls?${query(target)}`, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", ...authHeaders() },
    body: sdp,
    signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
  });
  return response.text();
}

function channelOpened(channel: RTCDataChannel): Promise<void> {
  if (channel.readyState === "open") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new ConnectionFailed("WebRTC found no way to the server. Take WebSocket instead.")),
      CONNECT_TIMEOUT_MS,
    );
    channel.onopen = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function candidatesGathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ICE_TIMEOUT_MS);
    peer.onicegatheringstatechange = () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
  });
}
