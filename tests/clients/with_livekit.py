"""LiveKit Agents, unmodified: an AgentSession with its OpenAI RealtimeModel, a microphone and a loudspeaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins.openai.realtime import RealtimeModel

from tests.clients import script
from tests.clients.scenario import (
    HTTP_URL,
    IS_WHOLE,
    RATE_HZ,
    check_heard,
    drop,
    last_prompt,
    main,
    microphone,
    until,
)


class Microphone(AudioInput):
    """Gives what is put into it."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def put(self, pcm: bytes) -> None:
        """Capture."""
        self._frames.put_nowait(
            rtc.AudioFrame(data=pcm, sample_rate=RATE_HZ, num_channels=1, samples_per_channel=len(pcm) // 2)
        )

    async def __anext__(self) -> rtc.AudioFrame:
        """LiveKit's."""
        return await self._frames.get()


class Speaker(AudioOutput):
    """Plays at the pace of real time, into nothing, and tells how much of each reply was played."""

    def __init__(self) -> None:
        super().__init__(label="speaker", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ)
        self.replies: list[float] = []
        """Seconds of sound of each reply."""
        self._began_s = 0.0
        self._given_s = 0.0
        self._ending: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """LiveKit's."""
        await super().capture_frame(frame)
        if not self._given_s:
            self._began_s = time.monotonic()
            self.replies.append(0.0)
            self.on_playback_started(created_at=time.time())
        self._given_s += frame.duration
        self.replies[-1] = self._given_s

    def flush(self) -> None:
        """LiveKit's: nothing more comes."""
        super().flush()
        if self._given_s:
            left_s = self._began_s + self._given_s - time.monotonic()
            self._ending = asyncio.get_running_loop().call_later(max(0.0, left_s), self._finish)

    def clear_buffer(self) -> None:
        """LiveKit's: stop at once."""
        if self._given_s:
            self._finish(min(time.monotonic() - self._began_s, self._given_s))

    def _finish(self, cut_at_s: float | None = None) -> None:
        given_s, self._given_s = self._given_s, 0.0
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self.on_playback_finished(
            playback_position=given_s if cut_at_s is None else cut_at_s, interrupted=cut_at_s is not None
        )


class Talk:
    """A session and all that has come of it.

    Args:
        session: The library's.
        server_events: What the server has sent.
    """

    def __init__(self, session: AgentSession) -> None:
        self.session = session
        self.microphone = Microphone()
        self.speaker = Speaker()
        self.server_events: list[dict[str, Any]] = []
        self.transcripts: list[str] = []
        self.faults: list[Any] = []
        session.on("user_input_transcribed", self._note_transcript)
        session.on("error", self.faults.append)

    def _note_transcript(self, event: Any) -> None:
        if event.is_final:
            self.transcripts.append(event.transcript)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Server events of one type."""
        return [event for event in self.server_events if event["type"] == kind]

    def said(self) -> list[tuple[str, str]]:
        """Who said what, as the library keeps it."""
        items = self.session.history.items
        return [(item.role, item.text_content or "") for item in items if item.type == "message"]

    def answers(self) -> list[str]:
        """The words of each response that is done."""
        outputs = [event["response"]["output"] for event in self.of("response.done")]
        items = [item for output in outputs for item in output if item["type"] == "message"]
        return [item["content"][0]["transcript"] for item in items]

    async def say(self, text: str) -> None:
        """Give a user's words, and wait until the answer is played."""
        handle = self.session.generate_reply(user_input=text)
        await handle.wait_for_playout()


class Clinic(Agent):
    """The client's agent.

    Args:
        tools: What it can do.
    """

    def __init__(self, *tools: Any) -> None:
        super().__init__(instructions="You answer the phone of a dental clinic.", tools=list(tools))


@asynccontextmanager
async def talk(*tools: Any) -> AsyncIterator[Talk]:
    """A session with the agent."""
    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(base_url=HTTP_URL, api_key=script.KEY, model=script.AGENT, http_session=http)
        async with AgentSession(llm=model, vad=None) as session:
            held = Talk(session)
            session.input.audio = held.microphone
            session.output.audio = held.speaker
            agent = Clinic(*tools)
            await session.start(agent, record=False)
            agent.realtime_llm_session.on("openai_server_event_received", held.server_events.append)
            yield held
        await model.aclose()
    # It cancels what the server may have cancelled by itself, and expects to be told so.
    faults = [event for event in held.of("error") if event["error"]["code"] != "response_cancel_not_active"]
    assert not faults, faults


async def text() -> None:
    """Words in, words and sound out."""
    async with talk() as held:
        await held.say(script.MORNING)
        assert held.answers() == [script.GREETED]
        assert held.speaker.replies[0] * 1000 > len(script.GREETED) * script.MS_PER_CHAR * 0.9
        if IS_WHOLE:
            assert held.said() == [("user", script.MORNING), ("assistant", script.GREETED)]
        await held.say(script.TELL_NAME)
        assert last_prompt(script.TELL_NAME)[-2]["text"] == script.GREETED


async def spoken() -> None:
    """A recorded caller under the library's own semantic_vad."""
    async with talk() as held:
        async with microphone(held.microphone.put, "bella_sunday"):
            await until(lambda: held.answers(), what="answer")
            await until(lambda: held.transcripts, what="transcript")
        assert held.transcripts == [script.HEARD]
        assert held.answers() == [script.ON_SUNDAY]
        await until(lambda: held.speaker.replies, what="sound")
        assert last_prompt(script.HEARD)[-1]["role"] == "user"
        if IS_WHOLE:
            await until(lambda: len(held.said()) == 2, what="two messages in the history")
            assert held.said() == [("user", script.HEARD), ("assistant", script.ON_SUNDAY)]


async def tool() -> None:
    """The library runs its own function when it is called, and the answer holds the result."""
    asked: list[str] = []

    @function_tool(name=script.WEATHER_TOOL)
    async def get_weather(context: RunContext, city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return script.WEATHER

    async with talk(get_weather) as held:
        held.session.generate_reply(user_input=script.ASK_WEATHER)
        await until(lambda: held.answers(), what="answer with the weather")
        assert asked == [script.WEATHER_CITY]
        assert script.WEATHER in held.answers()[-1]
        await until(lambda: held.speaker.replies, what="sound")


async def barge_in() -> None:
    """The caller speaks into the story: the library cuts it where it was played, and the model knows no more of it."""
    async with talk() as held:
        handle = held.session.generate_reply(user_input=script.ASK_STORY)
        await until(lambda: held.speaker.replies, what="story")
        first = held.of("response.output_audio.delta")[0]
        await asyncio.sleep(3.0)
        async with microphone(held.microphone.put, "bella_sunday"):
            await until(lambda: len(held.answers()) == 2, what="second answer")
            await until(lambda: len(held.speaker.replies) == 2, what="sound of the second answer")
        assert handle.interrupted
        kinds = [event["type"] for event in held.server_events]
        started = kinds.index("input_audio_buffer.speech_started")
        late = [event for event in held.server_events[started:] if event["type"] == "response.output_audio.delta"]
        assert all(event["response_id"] != first["response_id"] for event in late), "Audio came after the interruption."
        cut = held.of("response.done")[0]["response"]
        assert (cut["id"], cut["status"]) == (first["response_id"], "cancelled")
        [truncated] = held.of("conversation.item.truncated")
        assert truncated["item_id"] == first["item_id"]
        check_heard(script.STORY, heard_ms=truncated["audio_end_ms"], ms_per_char=script.MS_PER_CHAR)
        assert held.answers()[-1] == script.ON_SUNDAY


async def edit() -> None:
    """A message is changed: the library deletes it and creates it again under the same id, in the same place."""
    async with talk() as held:
        await held.say("My name is Ludwig.")
        session = held.session.current_agent.realtime_llm_session
        context = session.chat_ctx.copy()
        [place] = [place for place, item in enumerate(context.items) if getattr(item, "role", "") == "user"]
        context.items[place] = context.items[place].model_copy(update={"content": [script.TELL_NAME]})
        await session.update_chat_ctx(context)
        await held.say(script.ASK_NAME)
        assert held.answers()[-1] == f"Your name is {script.NAME}."
        told = [message["text"] for message in last_prompt(script.ASK_NAME) if message["role"] != "system"]
        assert told == [script.TELL_NAME, "You said: My name is Ludwig.", script.ASK_NAME]


async def reconnect() -> None:
    """The line breaks off; the library connects again by itself and tells the history with its own ids."""
    async with talk() as held:
        await held.say(script.TELL_NAME)
        again: list[Any] = []
        held.session.current_agent.realtime_llm_session.on("session_reconnected", again.append)
        await drop()
        await until(lambda: again, what="new connection")
        model = held.session.current_agent.realtime_llm_session
        # The library tells that it is back before its history is; what is said in between was seen not to arrive.
        await until(lambda: len(model.chat_ctx.items) >= 2, what="history on the new connection")
        began = time.monotonic()
        await held.say(script.ASK_NAME)
        assert held.answers()[-1] == f"Your name is {script.NAME}."
        assert time.monotonic() - began < 5 + held.speaker.replies[-1]
        told = [message["text"] for message in last_prompt(script.ASK_NAME) if message["role"] != "system"]
        assert told == [script.TELL_NAME, f"You said: {script.TELL_NAME}", script.ASK_NAME]


SMALLEST = {"text": text, "spoken": spoken, "tool": tool}
WHOLE = {**SMALLEST, "barge-in": barge_in, "reconnect": reconnect, "edit": edit}

if __name__ == "__main__":
    main(WHOLE if IS_WHOLE else SMALLEST)
