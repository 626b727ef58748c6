"""openai-agents, unmodified: its RealtimeRunner and RealtimeSession, with the voice defaults of the library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimeRunner, RealtimeSession
from websockets.exceptions import ConnectionClosed

from tests.clients import script
from tests.clients.scenario import (
    IS_WHOLE,
    WS_URL,
    check_heard,
    drop,
    last_prompt,
    main,
    microphone,
    until,
)


class Talk:
    """A session and all that has come from it.

    Args:
        session: The library's.
    """

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.events: list[Any] = []
        self.broke_off = False

    async def read(self) -> None:
        """Take events until the session ends."""
        try:
            async for event in self.session:
                self.events.append(event)
        except ConnectionClosed:
            self.broke_off = True

    def of(self, kind: str) -> list[Any]:
        """The session's events of one type."""
        return [event for event in self.events if event.type == kind]

    def raw(self, kind: str) -> list[dict[str, Any]]:
        """The server's events of one type."""
        models = [event.data for event in self.of("raw_model_event") if event.data.type == "raw_server_event"]
        return [model.data for model in models if model.data["type"] == kind]

    def audio(self) -> bytes:
        """All sound so far."""
        return b"".join(event.audio.data for event in self.of("audio"))

    def history(self) -> list[tuple[str, str]]:
        """Who said what, as the library keeps it."""
        found = []
        for event in reversed(self.events):
            if event.type == "history_updated":
                found = event.history
                break
        return [(item.role, _words(item)) for item in found if item.type == "message"]

    async def say(self, text: str) -> None:
        """Give a user's words, and wait for the answer's end."""
        ended = len(self.of("agent_end"))
        await self.session.send_message(text)
        await until(lambda: len(self.of("agent_end")) > ended, what=f"answer to {text!r}")


def _words(item: Any) -> str:
    return " ".join(getattr(part, "text", None) or getattr(part, "transcript", None) or "" for part in item.content)


@asynccontextmanager
async def talk(*, tools: Any = (), settings: Mapping[str, Any] | None = None) -> AsyncIterator[Talk]:
    """A session with the agent."""
    runner = RealtimeRunner(RealtimeAgent(name="clinic", instructions="You answer the phone.", tools=list(tools)))
    config: Any = {
        "url": f"{WS_URL}/realtime?model={script.AGENT}",
        "api_key": script.KEY,
        "initial_model_settings": {"model_name": script.AGENT, **(settings or {})},
    }
    async with await runner.run(model_config=config) as session:
        held = Talk(session)
        reading = asyncio.create_task(held.read())
        try:
            await until(lambda: held.raw("session.updated"), what="session.updated")
            yield held
        finally:
            reading.cancel()
    assert not held.of("error"), held.of("error")


async def text() -> None:
    """Words in, words and sound out."""
    async with talk() as held:
        await held.say(script.MORNING)
        assert len(held.audio()) / 48 > len(script.GREETED) * script.MS_PER_CHAR * 0.9
        if IS_WHOLE:
            assert held.of("audio_end")
            await until(lambda: held.history(), what="history")
            assert held.history() == [("user", script.MORNING), ("assistant", script.GREETED)]
        await held.say(script.TELL_NAME)
        await held.say(script.ASK_NAME)
        assert f"Your name is {script.NAME}." in str(held.history())


async def spoken() -> None:
    """A recorded caller under the library's own semantic_vad."""
    async with talk() as held:
        shown = held.raw("session.updated")[-1]["session"]["audio"]["input"]
        assert shown["turn_detection"]["type"] == "semantic_vad"
        assert shown["turn_detection"]["interrupt_response"] is True
        assert shown["transcription"] == {"model": "gpt-4o-mini-transcribe"}
        async with microphone(held.session.send_audio, "bella_sunday"):
            await until(lambda: held.of("agent_end"), what="answer")
            said = [("user", script.HEARD), ("assistant", script.ON_SUNDAY)]
            await until(lambda: held.history() == said, what=f"history of {said}")
        assert len(held.audio()) / 48 > len(script.ON_SUNDAY) * script.MS_PER_CHAR * 0.9
        assert last_prompt(script.HEARD)[-1]["role"] == "user"


async def tool() -> None:
    """The library runs its own function when it is called, and the answer holds the result."""
    asked: list[str] = []

    @function_tool(name_override=script.WEATHER_TOOL)
    async def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return script.WEATHER

    async with talk(tools=[get_weather]) as held:
        await held.session.send_message(script.ASK_WEATHER)
        await until(lambda: len(held.of("agent_end")) == 2, what="answer with the weather")
        assert asked == [script.WEATHER_CITY]
        [ended] = held.of("tool_end")
        assert ended.output == script.WEATHER
        answer = held.raw("response.done")[-1]["response"]["output"][-1]["content"][0]["transcript"]
        assert script.WEATHER in answer
        await held.say(script.ASK_PRICE)
        assert script.PRICE in held.raw("response.done")[-1]["response"]["output"][-1]["content"][0]["transcript"]


async def barge_in() -> None:
    """The caller speaks into the story: the library cuts it by its own clock, and the model knows no more of it."""
    async with talk() as held:
        await held.session.send_message(script.ASK_STORY)
        await until(lambda: held.of("audio"), what="story")
        first = held.of("audio")[0].audio
        await asyncio.sleep(3.0)
        async with microphone(held.session.send_audio, "bella_sunday"):
            await until(lambda: len(held.of("agent_end")) == 2, what="second answer")
        interrupted = next(number for number, event in enumerate(held.events) if event.type == "audio_interrupted")
        assert held.events[interrupted].item_id == first.item_id
        late = [event.audio.response_id for event in held.events[interrupted:] if event.type == "audio"]
        assert first.response_id not in late, "Audio came after the interruption."
        assert late, "The second answer has no sound."
        cut = held.raw("response.done")[0]["response"]
        assert (cut["status"], cut["status_details"]["reason"]) == ("cancelled", "turn_detected")
        [truncated] = held.raw("conversation.item.truncated")
        assert truncated["item_id"] == first.item_id
        await until(lambda: held.raw("conversation.item.retrieved"), what="item as it was heard")
        heard_ms = truncated["audio_end_ms"]
        assert heard_ms > 2_500
        check_heard(script.STORY, heard_ms=heard_ms, ms_per_char=script.MS_PER_CHAR)


async def reconnect() -> None:
    """The line breaks off, the library says so, and a new session goes on with the history."""
    async with talk() as held:
        await held.say(script.TELL_NAME)
        said = [(script.TELL_NAME, "user", "input_text"), (f"You said: {script.TELL_NAME}", "assistant", "output_text")]
        await drop()
        await until(lambda: held.broke_off, what="word that the connection is lost")
    async with talk() as held:
        for words, role, kind in said:
            item = {"type": "message", "role": role, "content": [{"type": kind, "text": words}]}
            message: Any = {"type": "conversation.item.create", "other_data": {"item": item}}
            await held.session.model.send_event(RealtimeModelSendRawMessage(message=message))
        await held.say(script.ASK_NAME)
        answer = held.raw("response.done")[-1]["response"]["output"][-1]["content"][0]["transcript"]
        assert answer == f"Your name is {script.NAME}."


SMALLEST = {"text": text, "spoken": spoken, "tool": tool}
WHOLE = {**SMALLEST, "barge-in": barge_in, "reconnect": reconnect}

if __name__ == "__main__":
    main(WHOLE if IS_WHOLE else SMALLEST)
