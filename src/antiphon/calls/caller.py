"""Who calls, or is called, and how a call is announced in its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from antiphon.audio.formats import AudioFormat
from antiphon.calls.events import SessionStarted
from antiphon.calls.log import CallLog


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the carrier tells it.

    Attributes:
        session_id: Our id of the conversation.
        call_id: The carrier's id of the call.
        carrier: The protocol's name.
        parameters: What the carrier's document passed on; values for templates and tools.
        scenario: Of the agents that answer; empty for none.
        called: The number that we have called; empty where somebody has called us.
    """

    session_id: str
    call_id: str
    carrier: str
    parameters: Mapping[str, Any]
    scenario: str = ""
    called: str = ""


def announce(
    caller: Caller, log: CallLog, *, agent: str, audio: AudioFormat, models: Mapping[str, str], manners: dict[str, Any]
) -> None:
    """Write the first event of a call, and have all that its tasks log tell whose it is.

    Args:
        caller: Who calls.
        log: The call's log.
        agent: Name of who answers.
        audio: The line's format.
        models: The providers by role.
        manners: The policy of turn-taking.
    """
    structlog.contextvars.bind_contextvars(session_id=caller.session_id, call_id=caller.call_id, carrier=caller.carrier)
    log.append(
        SessionStarted(
            session_id=caller.session_id,
            call_id=caller.call_id,
            agent=agent,
            carrier=caller.carrier,
            audio=f"{audio.encoding}/{audio.rate_hz}",
            started_at=log.started_at.isoformat(timespec="milliseconds"),
            models=dict(models),
            manners=manners,
            scenario=caller.scenario,
            direction="outbound" if caller.called else "inbound",
            called=caller.called,
        )
    )
