/// <reference path="./worklet.d.ts" />
import { rms, toPcm16, WIRE_HZ } from "./pcm";
import { Resampler } from "./resampler";

const FRAME_SAMPLES = WIRE_HZ / 50;

/** The microphone, as frames of 20 ms of PCM16 at the wire's rate, each with its level. */
class Capture extends AudioWorkletProcessor {
  private readonly resampler = new Resampler(sampleRate, WIRE_HZ);
  private frame = new Float32Array(FRAME_SAMPLES);
  private filled = 0;

  override process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (!channel) return true;
    for (const value of this.resampler.push(channel)) {
      this.frame[this.filled++] = value;
      if (this.filled === FRAME_SAMPLES) this.send();
    }
    return true;
  }

  private send(): void {
    const samples = Int16Array.from(this.frame, toPcm16);
    this.port.postMessage({ samples, level: rms(this.frame) }, [samples.buffer]);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
