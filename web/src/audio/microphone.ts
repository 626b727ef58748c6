import captureUrl from "./capture.worklet.ts?worker&url";
import type { CapturedFrame } from "./messages";

/** The page may not hear the person; the message can be shown. */
export class NoMicrophone extends Error {}

/** An open microphone. */
export type Microphone = {
  stream: MediaStream;
  /** A muted microphone goes on as silence, so that the server still hears a turn end. */
  mute: (isMuted: boolean) => void;
  close: () => void;
};

/** Ask for the microphone; raises `NoMicrophone`. `onFrame` gets 20 ms of PCM16 at 24 kHz at a time. */
export async function openMicrophone(onFrame: (frame: CapturedFrame) => void): Promise<Microphone> {
  const stream = await askForStream();
  try {
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(captureUrl);
    await context.resume();
    const source = context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1 });
    node.port.onmessage = ({ data }: MessageEvent<CapturedFrame>) => onFrame(data);
    source.connect(node);
    return {
      stream,
      mute: (isMuted) => {
        for (const track of stream.getAudioTracks()) track.enabled = !isMuted;
      },
      close: () => {
        node.port.onmessage = null;
        stop(stream);
        void context.close();
      },
    };
  } catch (error) {
    stop(stream);
    throw error;
  }
}

async function askForStream(): Promise<MediaStream> {
  if (!navigator.mediaDevices) {
    throw new NoMicrophone("The browser gives the microphone to https and localhost pages only. You can type instead.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError") {
      throw new NoMicrophone("The microphone is blocked. Allow it in the browser's address bar, or type instead.");
    }
    if (name === "NotFoundError") throw new NoMicrophone("There is no microphone. Plug one in, or type instead.");
    throw new NoMicrophone("The microphone cannot be opened; another program may hold it. You can type instead.");
  }
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
