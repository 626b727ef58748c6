"""What a server does before its first call: greetings that are always the same have their sound by then."""

from __future__ import annotations

from pathlib import Path

import structlog

from antiphon.agents.agent import Agent
from antiphon.audio.formats import PHONE
from antiphon.calls.speech import Speaker
from tests.server.harness import scripted_models, server


async def test_greetings_that_are_always_the_same_are_voiced_before_the_first_call(tmp_path: Path) -> None:
    desk = Agent("desk", greeting="{{ agent_name }}, good morning.", return_greeting="The desk again.", speed=1.2)
    billing = Agent("billing", "You do bills.", greeting="Hello {{ caller_name }}: {{ handoff_reason }}")
    models = scripted_models()
    with structlog.testing.capture_logs() as logs:
        async with server(tmp_path, agents=[desk, billing], models=models) as up:
            phrases, speaker = up.board.phrases, Speaker.of(desk)
            assert phrases.get(models.tts, speaker, PHONE, "desk, good morning.")
            assert phrases.get(models.tts, speaker, PHONE, "The desk again.")
            assert not phrases.get(models.tts, Speaker.of(billing), PHONE, "Hello : ")
    assert not [entry for entry in logs if entry["event"] == "template.undefined"], "nobody has called yet"
