"""What the recogniser is told to expect: the words of the agent in charge and the names that the conversation knows."""

from __future__ import annotations

from typing import Any

from invariants import check
from phone import CallUnderTest, calling
from providers import NotingTTS

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.session import AgentSession
from antiphon.calls.vocabulary import vocabulary
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT


class HintedSTT(ScriptedSTT):
    """Notes which words it is to expect, and in which language."""

    def __init__(self, *texts: str, clock: VirtualClock) -> None:
        super().__init__(texts, clock=clock)
        self.hints: list[tuple[str | None, tuple[str, ...]]] = []

    def open(self, *args: Any, language: str | None = None, phrases: Any = (), **options: Any) -> Any:
        self.hints.append((language, phrases))
        return super().open(*args, language=language, phrases=phrases, **options)


def test_words_and_language_pace_and_voice_change_with_the_agent() -> None:
    clock = VirtualClock()
    stt = HintedSTT("My bill.", "The one of May.", clock=clock)
    script = [Reply(calls=(tool_call("handoff_to_billing", reason="A bill."),)), "Which bill is it?", "That is paid."]
    billing = Agent("billing", voice="eva", speed=1.5, phrases=["refund", "Riverside"])
    desk = Agent("desk", voice="ann", phrases=["crown"], handoffs=[Handoff(billing)])
    paces: list[tuple[str | None, float]] = []

    class PacedTTS(NotingTTS):
        def synthesize(self, text: str, *, voice: str | None = None, speed: float = 1.0, **options: Any) -> Any:
            paces.append((voice, speed))
            return super().synthesize(text, voice=voice, speed=speed, **options)

    async def scenario() -> CallUnderTest:
        parts = {"agent": desk, "stt": stt, "llm": ScriptedChatClient(script, clock=clock), "tts": PacedTTS(clock)}
        async with calling(clock, parameters={"caller_name": "Ann Example"}, **parts) as call:
            await call.speak(1)
            await call.quiet(5)
            stt.texts = ("The one of May.",)
            await call.speak(1)
            await call.quiet(4)
            call.call.go_by(call.call._responding.terms, voice="eva", speed=2.0)
        return call

    call = clock.run(scenario())
    check(call)
    assert stt.hints == [(None, ("Ann Example", "crown")), (None, ("Ann Example", "refund", "Riverside"))]
    assert paces == [("eva", 1.5)] * 2
    assert call.call._voice.speaker.speed == 3.0, "the application's pace is for all agents"


def test_names_come_first_and_once_and_what_is_no_name_does_not_come() -> None:
    profile = {"full_name": "Ann Example", "caller_name": None, "name": 7}
    session = AgentSession(variables={"caller_name": "Ann Example", "institution_name": "None"})
    session.brought = {"session_profile": profile, "share_context": True}
    agent = Agent("desk", phrases=["crown", "Ann Example", *(f"word {number}" for number in range(600))])
    words = vocabulary(agent, session)
    assert words[:3] == ("Ann Example", "crown", "word 0")
    assert len(words) == 500
