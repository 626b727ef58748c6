"""A model that hears and speaks holds calls on the carriers with other rates and longer messages too."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.agents.agent import Agent
from antiphon.calls.events import SessionError, SessionStarted, UserTurnCompleted
from tests.server.test_s2s_call import both, tone

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(("carrier", "audio"), [("acs", "pcm16/16000"), ("audiohook", "mulaw/8000")])
async def test_r9_a_turn_is_heard_and_answered(tmp_path: Path, carrier: str, audio: str) -> None:
    agent = Agent("desk", "You answer.", model="s2s:openai/upstream", greeting="Hello.")
    async with both(tmp_path, agent, ["We open at nine."], ["When do you open?"]) as servers:
        async with servers.call(carrier) as client:
            assert await client.greeted(10)
            assert await client.agent_quiet(10, quiet_s=0.3)
            said = await client.say(tone(0.8), 8_000)
            assert await client.answer_over(said, 15, quiet_s=0.3)
        (started,) = servers.of(SessionStarted)
        assert (started.carrier, started.audio) == (carrier, audio)
        assert [turn.text for turn in servers.of(UserTurnCompleted)] == ["When do you open?"]
        assert not servers.of(SessionError)


@pytest.mark.parametrize("carrier", ["twilio", "plivo", "acs", "audiohook"])
async def test_r24_a_number_reaches_the_model_that_holds_the_call_and_no_file(tmp_path: Path, carrier: str) -> None:
    agent = Agent("desk", "You answer.", model="s2s:openai/upstream", greeting="Hello.")
    async with both(tmp_path, agent, ["Thank you."], []) as servers:
        async with servers.call(carrier) as client:
            assert await client.greeted(10)
            assert await client.agent_quiet(10, quiet_s=0.3)
            typed = await client.press("99*471147#")
            assert await client.answer_over(typed, 15, quiet_s=0.3)
        assert "471147" in servers.llm.requests[-1].messages[-1].text
        assert [(turn.text, turn.trigger) for turn in servers.of(UserTurnCompleted)] == [("••••••", "dtmf")]
    [log] = (tmp_path / "phones").glob("calls/*/*/log.jsonl")
    assert "471147" not in log.read_text(encoding="utf-8")
