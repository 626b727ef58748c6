"""Pipecat, unmodified: its OpenAI Realtime service in a pipeline with context aggregators and a loudspeaker."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSTextFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tests.clients import script
from tests.clients.scenario import (
    IS_WHOLE,
    RATE_HZ,
    WS_URL,
    check_heard,
    drop,
    last_prompt,
    main,
    microphone,
    speech,
    until,
)


class Speaker(BaseOutputTransport):
    """Plays at the pace of real time, into nothing."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE_HZ))
        self._free_at_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Pipecat's."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: Any) -> bool:
        """Pipecat's: returns when there is room for the next frame."""
        now_s = time.monotonic()
        self._free_at_s = max(now_s, self._free_at_s) + len(frame.audio) / (2 * RATE_HZ)
        await asyncio.sleep(self._free_at_s - now_s)
        return True


class Tap(FrameProcessor):
    """Notes every frame that passes, in either direction.

    Args:
        frames: Where to.
    """

    def __init__(self, frames: list[tuple[float, Frame]]) -> None:
        super().__init__()
        self._frames = frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pipecat's."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            self._frames.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)


class Talk:
    """A running pipeline and all that has gone through it.

    Args:
        context: The conversation, as the library keeps it.
        detects: Whether the server finds the turns.
    """

    def __init__(self, context: LLMContext, *, detects: bool) -> None:
        self.context = context
        self.frames: list[tuple[float, Frame]] = []
        self.items: dict[str, Any] = {}
        self.llm = OpenAIRealtimeLLMService(
            api_key=script.KEY,
            base_url=f"{WS_URL}/realtime",
            settings=OpenAIRealtimeLLMService.Settings(
                model=script.AGENT,
                session_properties=events.SessionProperties(
                    audio=events.AudioConfiguration(
                        input=events.AudioInput(
                            transcription=events.InputAudioTranscription(model="default"),
                            turn_detection=None if detects else False,
                        )
                    )
                ),
            ),
        )
        self.llm.add_event_handler("on_conversation_item_created", self._note_item)
        user, assistant = LLMContextAggregatorPair(context)
        parts = [user, Tap(self.frames), self.llm, Tap(self.frames), Speaker(), assistant]
        params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
        self.worker = PipelineWorker(Pipeline(parts), params=params, idle_timeout_secs=None, enable_rtvi=False)

    async def _note_item(self, _service: object, item_id: str, item: Any) -> None:
        self.items[item_id] = item

    def of(self, kind: type[Frame]) -> list[Any]:
        """Frames of one type."""
        return [frame for _, frame in self.frames if isinstance(frame, kind)]

    def at(self, kind: type[Frame]) -> float:
        """When the first frame of a type passed."""
        return next(at for at, frame in self.frames if isinstance(frame, kind))

    def audio(self) -> bytes:
        """All sound so far."""
        return b"".join(frame.audio for frame in self.of(TTSAudioRawFrame))

    def words(self) -> str:
        """All words of the agent so far."""
        return "".join(frame.text for frame in self.of(TTSTextFrame))

    async def capture(self, pcm: bytes) -> None:
        """Give what a microphone has captured."""
        await self.worker.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE_HZ, num_channels=1))

    async def run(self, *, answers: int = 1) -> None:
        """Let the model answer the context, and wait for the answer's end."""
        ended = len(self.of(LLMFullResponseEndFrame))
        await self.worker.queue_frame(LLMRunFrame())
        await until(lambda: len(self.of(LLMFullResponseEndFrame)) >= ended + answers, what="answer")

    async def say(self, text: str) -> None:
        """Append words to the conversation, and wait for the answer's end."""
        ended = len(self.of(LLMFullResponseEndFrame))
        messages: Any = [{"role": "user", "content": text}]
        await self.llm.queue_frame(LLMMessagesAppendFrame(messages=messages, run_llm=True))
        await until(lambda: len(self.of(LLMFullResponseEndFrame)) > ended, what=f"answer to {text!r}")


@asynccontextmanager
async def talk(*said: str, tools: ToolsSchema | None = None, detects: bool = True) -> AsyncIterator[Talk]:
    """A running pipeline; its context begins with these words of the user."""
    messages: Any = [{"role": "user", "content": text} for text in said]
    context = LLMContext(messages, tools) if tools is not None else LLMContext(messages)
    held = Talk(context, detects=detects)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(held.worker)
    running = asyncio.create_task(runner.run())
    try:
        await until(lambda: held.of(StartFrame), what="start of the pipeline")
        yield held
    finally:
        await runner.cancel()
        await running
    assert not held.of(ErrorFrame), held.of(ErrorFrame)


async def text() -> None:
    """Words in, words and sound out, two turns."""
    async with talk(script.MORNING) as held:
        await held.run()
        assert len(held.audio()) / 48 > len(script.GREETED) * script.MS_PER_CHAR * 0.9
        if IS_WHOLE:
            assert held.words() == script.GREETED
        await held.say(script.TELL_NAME)
        assert last_prompt(script.TELL_NAME)[-2]["text"] == script.GREETED


async def spoken() -> None:
    """A recorded caller; turns by the server, the transcript in the context."""
    async with talk() as held:
        await until(lambda: held.llm._api_session_ready, what="session.updated")
        async with microphone(held.capture, "bella_sunday"):
            await until(lambda: held.of(TranscriptionFrame) and held.audio(), what="transcript and sound")
            enough = len(script.ON_SUNDAY) * script.MS_PER_CHAR * 0.9
            await until(lambda: len(held.audio()) / 48 > enough, what="whole answer")
        assert held.of(TranscriptionFrame)[0].text == script.HEARD
        assert last_prompt(script.HEARD)[-1]["role"] == "user"
        if IS_WHOLE:
            assert len(held.of(ProposedUserStartedSpeakingFrame)) >= 1
            assert held.at(ProposedUserStartedSpeakingFrame) < held.at(ProposedUserStoppedSpeakingFrame)
            assert script.ON_SUNDAY in held.words()


async def tool() -> None:
    """Pipecat runs its own function when it is called, and the answer holds the result."""
    asked: list[Any] = []

    async def get_weather(params: FunctionCallParams) -> None:
        asked.append(params.arguments)
        await params.result_callback({"weather": script.WEATHER})

    schema = FunctionSchema(script.WEATHER_TOOL, "The weather in a city.", {"city": {"type": "string"}}, ["city"])
    async with talk(script.ASK_WEATHER, tools=ToolsSchema(standard_tools=[schema])) as held:
        held.llm.register_function(script.WEATHER_TOOL, get_weather)
        await held.run(answers=2)
        assert asked == [{"city": script.WEATHER_CITY}]
        assert script.WEATHER in last_prompt(script.WEATHER)[-1]["text"]
        if IS_WHOLE:
            assert script.WEATHER in held.words()
        assert held.audio()


async def barge_in() -> None:
    """The caller speaks into the story: Pipecat cuts it by its own clock, and the model knows no more of it."""
    async with talk(script.ASK_STORY) as held:
        await held.worker.queue_frame(LLMRunFrame())
        await until(held.audio, what="story")
        [story] = [item_id for item_id, item in held.items.items() if item.role == "assistant"]
        await asyncio.sleep(3.0)
        async with microphone(held.capture, "bella_sunday"):
            await until(lambda: len(held.of(TTSStartedFrame)) == 2, what="second answer")
            await until(lambda: script.ON_SUNDAY in held.words(), what=repr(script.ON_SUNDAY))
            item = await held.llm.retrieve_conversation_item(story)
        assert held.of(InterruptionFrame)
        kinds = [type(frame) for _, frame in held.frames]
        cut = kinds.index(ProposedUserStartedSpeakingFrame)
        again = kinds.index(TTSStartedFrame, cut)
        assert TTSAudioRawFrame not in kinds[cut:again], "Audio came after the interruption."
        heard_ms = (held.at(ProposedUserStartedSpeakingFrame) - held.at(TTSAudioRawFrame)) * 1000
        prompt = check_heard(script.STORY, heard_ms=heard_ms, ms_per_char=script.MS_PER_CHAR)
        assert item.content[0].transcript in [message["text"] for message in prompt]


async def manual() -> None:
    """Turns that the client finds itself: an interruption of nothing is no harm, the turn's end brings the answer."""
    async with talk(detects=False) as held:
        await held.worker.queue_frame(LLMRunFrame())
        await until(lambda: held.of(LLMFullResponseEndFrame), what="first answer")
        before = len(held.audio())
        await held.llm.queue_frame(InterruptionFrame())
        spoken = speech("bella_sunday")
        for at in range(0, len(spoken), 4_800):
            piece = InputAudioRawFrame(audio=spoken[at : at + 4_800], sample_rate=RATE_HZ, num_channels=1)
            await held.llm.queue_frame(piece)
        await held.llm.queue_frame(UserStoppedSpeakingFrame())
        await until(lambda: script.ON_SUNDAY in held.words(), what=repr(script.ON_SUNDAY))
        await until(lambda: len(held.audio()) > before, what="sound")
        assert not held.of(ProposedUserStartedSpeakingFrame)
        assert last_prompt(script.HEARD)[-1]["role"] == "user"


async def reconnect() -> None:
    """The line breaks off; Pipecat connects again and tells the whole conversation."""
    async with talk(script.TELL_NAME) as held:
        await held.run()
        spoken = f"You said: {script.TELL_NAME}"
        await until(lambda: spoken in str(held.context.get_messages()), what="answer in the context")
        created = len(held.items)
        await drop()
        held.context.add_message({"role": "user", "content": script.ASK_NAME})
        await held.llm.reset_conversation()
        ended = len(held.of(LLMFullResponseEndFrame))
        await held.llm._create_response()
        await until(lambda: len(held.of(LLMFullResponseEndFrame)) > ended, what="answer")
        assert len(held.items) > created
        known = last_prompt(script.ASK_NAME)
        assert script.TELL_NAME in known[-1]["text"]
        assert spoken in known[-1]["text"]
        if IS_WHOLE:
            assert f"Your name is {script.NAME}." in held.words()


SMALLEST = {"text": text, "spoken": spoken, "tool": tool}
WHOLE = {**SMALLEST, "barge-in": barge_in, "reconnect": reconnect, "manual": manual}

if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="DEBUG")
    main(WHOLE if IS_WHOLE else SMALLEST)
