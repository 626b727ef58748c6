"""Pipecat behind a Twilio media stream, with stand-in services; runs in an environment of its own.

    benchmarks/.envs/pipecat/bin/python -m benchmarks.pipecat_server --vad silero --port 8765

One FastAPI process serves all calls, one pipeline a call, in Pipecat's documented order: input, STT, user aggregator
(voice activity and turn-taking), LLM, TTS, output, assistant aggregator. ``--vad energy`` is a trivial detector run in
place, which shows orchestration alone; ``--vad silero`` is Pipecat's own. A turn ends when the detector says so.
"""

from __future__ import annotations

import argparse
import asyncio
import audioop
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from benchmarks import standins

_RATE_HZ = 8000
_LOUD_RMS = 300


class StandInSTT(STTService):
    """A final transcript the moment the detector reports the end of speech."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.0, settings=STTSettings(model=None, language=None))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Any]:
        """Pipecat's: nothing comes from the audio itself."""
        yield None

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Pipecat's."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            transcript = TranscriptionFrame(standins.TRANSCRIPT, "", time_now_iso8601())
            transcript.finalized = True
            await self.push_frame(transcript)


class StandInLLM(LLMService):
    """Twenty tokens with no delay, each after one turn of the event loop."""

    def __init__(self) -> None:
        unset = (
            "system_instruction temperature max_tokens top_p top_k frequency_penalty presence_penalty seed "
            "user_turn_completion_config"
        )
        settings = dict.fromkeys(unset.split())
        super().__init__(settings=LLMSettings(model="stand-in", filter_incomplete_user_turns=False, **settings))

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Pipecat's."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        for token in standins.TOKENS:
            await asyncio.sleep(0)
            await self._push_llm_text(token)
        await self.push_frame(LLMFullResponseEndFrame())


class StandInTTS(TTSService):
    """One second of sound for each sentence, at once."""

    def __init__(self, voice: list[bytes]) -> None:
        settings = TTSSettings(model=None, voice=None, language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings)
        self._sentence = voice

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Any]:
        """Pipecat's."""
        for chunk in self._sentence:
            yield TTSAudioRawFrame(chunk, self.sample_rate, 1, context_id=context_id)


class EnergyVAD(VADAnalyzer):
    """Root mean square over windows of 32 ms, run in place: no model, no thread."""

    def num_frames_required(self) -> int:
        """Samples of a window."""
        return int(self.sample_rate) * 32 // 1000

    def voice_confidence(self, buffer: bytes) -> float:
        """1 where it is loud."""
        return float(audioop.rms(buffer, 2) > _LOUD_RMS)

    def _get_smoothed_volume(self, audio: bytes) -> float:
        return 1.0

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Score a window."""
        return self._run_analyzer(buffer)


async def read_start(websocket: WebSocket) -> str:
    """The stream's id, from the carrier's start."""
    while True:
        message = json.loads(await websocket.receive_text())
        if message["event"] == "start":
            return str(message["streamSid"])


def make_worker(transport: FastAPIWebsocketTransport, vad: VADAnalyzer, voice: list[bytes]) -> PipelineWorker:
    """The pipeline of one call."""
    turn_ends = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)])
    user, assistant = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=vad, user_turn_strategies=turn_ends)
    )
    parts = [transport.input(), StandInSTT(), user, StandInLLM(), StandInTTS(voice), transport.output(), assistant]
    params = PipelineParams(audio_in_sample_rate=_RATE_HZ, audio_out_sample_rate=_RATE_HZ)
    return PipelineWorker(Pipeline(parts), params=params, idle_timeout_secs=None)


def make_app(vad: str) -> FastAPI:
    """The server; ``vad`` is ``energy`` or ``silero``."""
    app = FastAPI()
    voice = standins.chunks(_RATE_HZ)

    @app.websocket("/ws")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        no_hang_up = TwilioFrameSerializer.InputParams(auto_hang_up=False)
        serializer = TwilioFrameSerializer(await read_start(websocket), params=no_hang_up)
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
        )
        detector = EnergyVAD if vad == "energy" else SileroVADAnalyzer
        worker = make_worker(transport, detector(params=VADParams(stop_secs=standins.VAD_STOP_MS / 1000)), voice)
        runner = WorkerRunner(handle_sigint=False)

        @transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(_transport: object, _client: object) -> None:
            await runner.cancel()

        await runner.add_workers(worker)
        await runner.run()

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--vad", choices=["energy", "silero"], default="silero")
    parser.add_argument("--port", type=int, default=8765)
    args = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(make_app(args.vad), port=args.port, loop="uvloop", log_level="warning", ws_ping_interval=None)


if __name__ == "__main__":
    main()
