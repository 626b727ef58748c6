import { rms } from "./pcm";

const PERIOD_MS = 40;

/** Tell the loudness (0..1) of a stream again and again, until `close`. */
export function measureLevel(stream: MediaStream, onLevel: (level: number) => void): { close: () => void } {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(rms(samples));
  }, PERIOD_MS);
  return {
    close: () => {
      clearInterval(timer);
      void context.close();
    },
  };
}
