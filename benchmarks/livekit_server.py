"""LiveKit Agents' AgentSession behind a Twilio media stream, with stand-in services; has an environment of its own.

    benchmarks/.envs/livekit/bin/python -m benchmarks.livekit_server --vad silero --port 8765

LiveKit's media server is not a Python package, so its room is replaced by a thin audio input and output on a FastAPI
socket. WebRTC, the hop over the media server and LiveKit's process for each call are therefore *not* in the figures:
they show AgentSession itself, all sessions in one process. ``--vad energy`` is a trivial detector; ``--vad silero`` is
LiveKit's own default, Silero in livekit-local-inference.
"""

from __future__ import annotations

import argparse
import asyncio
import audioop
import base64
import json
import logging
import time
from collections import deque
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from livekit import rtc
from livekit.agents import Agent, AgentSession, inference, llm, stt, tts, utils, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

from benchmarks import standins

_RATE_HZ = 8000
_FRAME_S = 0.02
_FRAME_BYTES = _RATE_HZ // 50 * 2
_LOUD_RMS = 300
_START_S = 0.06
_INTERRUPT_S = 0.2


class StandInSTT(stt.STT):
    """Takes audio; gives one final transcript when told that speech ended."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self._stream: StandInSTTStream | None = None

    async def _recognize_impl(self, buffer: Any, *, language: Any, conn_options: Any) -> Any:
        raise NotImplementedError

    def stream(self, *, language: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> StandInSTTStream:
        """LiveKit's."""
        self._stream = StandInSTTStream(stt=self, conn_options=conn_options)
        return self._stream

    def speech_ended(self) -> None:
        """Give the transcript."""
        if self._stream is not None:
            self._stream.final()


class StandInSTTStream(stt.RecognizeStream):
    """The transcription of one call."""

    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass

    def final(self) -> None:
        """Give the transcript."""
        words = stt.SpeechData(text=standins.TRANSCRIPT, language="en")
        self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[words]))


class StandInLLM(llm.LLM):
    """Twenty tokens with no delay, each after one turn of the event loop."""

    def chat(
        self, *, chat_ctx: Any, tools: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> StandInLLMStream:
        """LiveKit's."""
        return StandInLLMStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class StandInLLMStream(llm.LLMStream):
    """One answer."""

    async def _run(self) -> None:
        for token in standins.TOKENS:
            await asyncio.sleep(0)
            delta = llm.ChoiceDelta(role="assistant", content=token)
            self._event_ch.send_nowait(llm.ChatChunk(id="0", delta=delta))


class StandInTTS(tts.TTS):
    """One second of sound for each sentence, at once."""

    def __init__(self, voice: list[bytes]) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=_RATE_HZ, num_channels=1)
        self.sentence = voice

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> StandInVoice:
        """LiveKit's."""
        return StandInVoice(tts=self, input_text=text, conn_options=conn_options)


class StandInVoice(tts.ChunkedStream):
    """One sentence."""

    async def _run(self, output_emitter: Any) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=_RATE_HZ,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=standins.CHUNK_MS,
        )
        for chunk in self._tts.sentence:
            output_emitter.push(chunk)
            await asyncio.sleep(0)
        output_emitter.flush()


class EnergyVAD(vad.VAD):
    """Root mean square of each frame of 20 ms, with LiveKit's events."""

    def __init__(self, stop_s: float) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=_FRAME_S))
        self._stop_s = stop_s

    @property
    def min_silence_duration(self) -> float:
        """Silence that ends speech, in seconds."""
        return self._stop_s

    def stream(self) -> EnergyVADStream:
        """LiveKit's."""
        return EnergyVADStream(self)


class EnergyVADStream(vad.VADStream):
    """The voice activity of one call."""

    async def _main_task(self) -> None:
        speaking = False
        loud_s = quiet_s = clock_s = 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            clock_s += frame.duration
            if audioop.rms(frame.data.tobytes(), 2) > _LOUD_RMS:
                loud_s, quiet_s = loud_s + frame.duration, 0.0
            else:
                quiet_s, loud_s = quiet_s + frame.duration, 0.0
            kinds = [vad.VADEventType.INFERENCE_DONE]
            if not speaking and loud_s >= _START_S:
                speaking = True
                kinds.append(vad.VADEventType.START_OF_SPEECH)
            elif speaking and quiet_s >= self._vad.min_silence_duration - 1e-6:
                speaking = False
                kinds.append(vad.VADEventType.END_OF_SPEECH)
            for kind in kinds:
                self._event_ch.send_nowait(
                    vad.VADEvent(
                        type=kind,
                        samples_index=0,
                        timestamp=clock_s,
                        speech_duration=loud_s,
                        silence_duration=quiet_s,
                        frames=[frame],
                        probability=float(loud_s > 0),
                        speaking=speaking,
                        raw_accumulated_silence=quiet_s,
                        raw_accumulated_speech=loud_s,
                    )
                )


class SocketInput(AudioInput):
    """The caller's sound."""

    def __init__(self) -> None:
        super().__init__(label="socket")
        self.frames: utils.aio.Chan[rtc.AudioFrame] = utils.aio.Chan()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self.frames.__anext__()


class SocketOutput(AudioOutput):
    """Sends mu-law in messages of 20 ms, a little ahead of real time, and reports what was played."""

    _AHEAD_S = 0.1

    def __init__(self, websocket: WebSocket, stream: str) -> None:
        super().__init__(label="socket", sample_rate=_RATE_HZ, capabilities=AudioOutputCapabilities(pause=False))
        self._websocket = websocket
        self._stream = stream
        self._queue: deque[bytes] = deque()
        self._partial = b""
        self._wake = asyncio.Event()
        self._clears: set[asyncio.Task[None]] = set()
        self._forget()
        self._task = asyncio.create_task(self._pump())

    def _forget(self) -> None:
        self._started: float | None = None
        self._pushed_s = self._sent_s = 0.0
        self._flushed = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """LiveKit's: sound to play."""
        await super().capture_frame(frame)
        data = self._partial + frame.data.tobytes()
        whole = len(data) - len(data) % _FRAME_BYTES
        self._queue.extend(data[start : start + _FRAME_BYTES] for start in range(0, whole, _FRAME_BYTES))
        self._partial = data[whole:]
        self._pushed_s += frame.duration
        self._flushed = False
        self._wake.set()

    def flush(self) -> None:
        """LiveKit's: the reply is whole."""
        super().flush()
        if self._partial:
            self._queue.append(self._partial.ljust(_FRAME_BYTES, b"\0"))
            self._partial = b""
        self._flushed = True
        self._wake.set()

    def clear_buffer(self) -> None:
        """LiveKit's: stop playing."""
        self._queue.clear()
        self._partial = b""
        if self._pushed_s:
            now = time.monotonic()
            played_s = min(now - self._started, self._pushed_s) if self._started else 0.0
            self._forget()
            clear = json.dumps({"event": "clear", "streamSid": self._stream})
            task = asyncio.create_task(self._websocket.send_text(clear))
            self._clears.add(task)
            task.add_done_callback(self._clears.discard)
            self.on_playback_finished(playback_position=played_s, interrupted=True)

    async def _pump(self) -> None:
        while True:
            if self._queue:
                await self._send_next()
            elif self._flushed and self._started is not None:
                await self._finish(self._started + self._sent_s - time.monotonic())
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _finish(self, left_s: float) -> None:
        if left_s > 0:
            await asyncio.sleep(min(left_s, _FRAME_S))
            return
        played_s = self._pushed_s
        self._forget()
        self.on_playback_finished(playback_position=played_s, interrupted=False)

    async def _send_next(self) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started = now
            self.on_playback_started(created_at=time.time())
        wait_s = self._started + self._sent_s - self._AHEAD_S - now
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            return  # the queue may have been cleared meanwhile
        payload = base64.b64encode(audioop.lin2ulaw(self._queue.popleft(), 2)).decode()
        self._sent_s += _FRAME_S
        media = {"event": "media", "streamSid": self._stream, "media": {"payload": payload}}
        await self._websocket.send_text(json.dumps(media))

    async def aclose(self) -> None:
        """Stop."""
        await utils.aio.cancel_and_wait(self._task)


def make_session(detector: vad.VAD, voice: list[bytes]) -> AgentSession:
    """The session of one call; a turn ends when the detector says so."""
    recognizer = StandInSTT()
    interruption = {
        "mode": "vad",
        "min_duration": _INTERRUPT_S,
        "resume_false_interruption": False,
        "false_interruption_timeout": None,
    }
    session = AgentSession(
        vad=detector,
        stt=recognizer,
        llm=StandInLLM(),
        tts=StandInTTS(voice),
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.0, "max_delay": 0.0},
            "interruption": interruption,
        },
        aec_warmup_duration=None,
        user_away_timeout=None,
    )

    @session.on("user_state_changed")
    def on_user_state(event: Any) -> None:
        if event.old_state == "speaking":
            recognizer.speech_ended()

    return session


async def converse(websocket: WebSocket, detector: vad.VAD, voice: list[bytes]) -> None:
    """One call, from the carrier's start to its stop."""
    message = {"event": ""}
    while message["event"] != "start":
        message = json.loads(await websocket.receive_text())
    session = make_session(detector, voice)
    session.input.audio = source = SocketInput()
    session.output.audio = sink = SocketOutput(websocket, message["streamSid"])
    await session.start(Agent(instructions="You are a stand-in."), record=False)
    try:
        while (message := json.loads(await websocket.receive_text()))["event"] != "stop":
            if message["event"] == "media":
                media: Any = message["media"]
                pcm = audioop.ulaw2lin(base64.b64decode(media["payload"]), 2)
                source.frames.send_nowait(rtc.AudioFrame(pcm, _RATE_HZ, 1, len(pcm) // 2))
    except WebSocketDisconnect:
        pass
    finally:
        source.frames.close()
        await session.aclose()
        await sink.aclose()


def make_app(detector_name: str) -> FastAPI:
    """The server; ``detector_name`` is ``energy`` or ``silero``."""
    app = FastAPI()
    stop_s = standins.VAD_STOP_MS / 1000
    detector = EnergyVAD(stop_s) if detector_name == "energy" else inference.VAD(min_silence_duration=stop_s)
    voice = standins.chunks(_RATE_HZ)

    @app.websocket("/ws")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        await converse(websocket, detector, voice)

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--vad", choices=["energy", "silero"], default="silero")
    parser.add_argument("--port", type=int, default=8765)
    args = parser.parse_args()
    logging.basicConfig(level="WARNING")
    uvicorn.run(make_app(args.vad), port=args.port, loop="uvloop", log_level="warning", ws_ping_interval=None)


if __name__ == "__main__":
    main()
