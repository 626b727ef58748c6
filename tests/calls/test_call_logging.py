"""What is logged in a call tells whose call it is."""

from __future__ import annotations

import structlog
from phone import CallUnderTest, calling
from structlog.testing import capture_logs

from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.scripted import Reply


def test_every_line_of_the_log_has_the_session_the_call_and_the_carrier() -> None:
    clock = VirtualClock()
    down = Reply(fault=ChatClientUnavailableException("It is down.", code="unavailable", retryable=False))

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=[down]) as call:
            await call.speak(1)
            await call.quiet(3)
        return call

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        clock.run(scenario())
    assert [line["event"] for line in lines] == ["part_failed"]
    for line in lines:
        assert (line["session_id"], line["call_id"], line["carrier"]) == ("session of call-1", "call-1", "test")
