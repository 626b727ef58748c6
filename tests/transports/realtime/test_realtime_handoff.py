"""Another agent takes over in a session of the Realtime protocol: its greeting is a message of the same response."""

from __future__ import annotations

from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, call
from antiphon.models.tts.scripted import ScriptedTTS
from tests.transports.realtime.talk import Client, talking, virtually

PASSING = Reply("I pass you on.", (call("handoff_to_second", reason="A bill."),))


class PacedTTS(ScriptedTTS):
    """Notes how fast each voice is to speak."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.paces: list[tuple[str | None, float]] = []

    def synthesize(self, text: str, *, voice: str | None = None, speed: float = 1.0, **options: Any) -> Any:
        self.paces.append((voice, speed))
        return super().synthesize(text, voice=voice, speed=speed, **options)


async def ask(client: Client, **response: Any) -> list[str]:
    """Ask in writing; gives the words of each message of the response."""
    client.write("My bill?")
    client.ask(**response)
    done = await client.until("response.done", len(client.events("response.done")) + 1)
    parts = [item["content"][0] for item in done["response"]["output"]]
    return [part.get("transcript") or part.get("text") for part in parts]


def first(**second: Any) -> Agent:
    target = Agent("second", "Go on.", greeting="Hello, {{ handoff_reason }}", **second)
    return Agent("first", "Help.", handoffs=[Handoff(target)], voice="adam")


@virtually
async def test_the_greeting_is_spoken_between_the_words_of_both_at_the_sessions_pace(clock: VirtualClock) -> None:
    tts = PacedTTS(rate_hz=24_000, clock=clock)
    llm = [PASSING, "Here is the second.", "Once more."]
    async with talking(clock, agent=first(voice="eva", speed=1.2), llm=llm, tts=tts) as client:
        client.update(audio={"output": {"speed": 1.5}})
        assert await ask(client) == ["I pass you on.", "Hello, A bill.", "Here is the second."]
        assert dict(tts.paces) == {"adam": 1.5, "eva": 1.2 * 1.5}
        assert client.types.count("response.created") == 1
        client.check()


@virtually
async def test_who_reads_is_not_greeted(clock: VirtualClock) -> None:
    async with talking(clock, agent=first(), llm=[PASSING, "Here is the second."]) as client:
        said = await ask(client, output_modalities=["text"])
        assert "Hello, A bill." not in said
        assert said[-1].endswith("Here is the second.")
        client.check()
