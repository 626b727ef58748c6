"""Which functions a response has called, and when all of them are answered: then, once, its follow-up is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from antiphon.logs import Log
from antiphon.realtime.client import DISCONNECTED, RealtimeClient
from antiphon.realtime.conversation import CallStatus
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.session import answers_turns

MAX_FOLLOW_UPS = 10
"""Answers in a row without a word of the user; then the model must do without functions once."""

MAX_REMEMBERED = 1_000
"""Calls that are known to have been begun."""

CALL_EVENTS = (
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
    "input_audio_buffer.speech_started",
    DISCONNECTED,
)
"""What ``CalledFunctions`` must be given, in order."""

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class StartedCall:
    """A function that is to be run now.

    Attributes:
        call_id: Joins the call with its output.
        name: The function.
        arguments: What the model wrote: JSON text, as a rule.
        response_id: The response that called it.
    """

    call_id: str
    name: str
    arguments: Any
    response_id: str


class CalledFunctions:
    """Follows the calls of one client.

    Args:
        client: Whose calls they are.
    """

    def __init__(self, client: RealtimeClient) -> None:
        self._client = client
        self._seen: dict[str, None] = {}
        self._open: dict[str, StartedCall] = {}
        self._called: dict[str, bool] = {}  # Responses with calls, and whether they have ended.
        self._follow_ups = 0

    async def take(self, event: ServerEvent) -> StartedCall | None:
        """Follow one of ``CALL_EVENTS``; gives the call that is to be run now."""
        if event.type == "input_audio_buffer.speech_started":
            self._follow_ups = 0
        elif event.type == DISCONNECTED:
            # Their responses are not going to end; the next connection is told the calls, and the outputs as they come.
            for response_id in list(self._called):
                await self._ended(response_id)
        elif event.type == "response.done":
            if event.response_id in self._called:
                await self._ended(event.response_id)
        else:
            return self._begun(event)
        return None

    async def give(self, call_id: str, output: str, *, status: CallStatus = "done", ms: float | None = None) -> None:
        """Tell the model what a call gave; a second output of a call is ignored.

        Args:
            call_id: The call.
            output: Text, as the model reads it.
            status: How it went.
            ms: How long it took.

        Raises:
            NotConnected: The conversation has ended.
        """
        call = self._open.pop(call_id, None)
        if call is None:
            return
        self._mark(call_id, status, ms)
        await self._client.create_item({"type": "function_call_output", "call_id": call_id, "output": output})
        await self._follow_up(call.response_id)

    def _begun(self, event: ServerEvent) -> StartedCall | None:
        """The call that an event tells whole for the first time."""
        item = event.part("item") or event.body
        call_id = item.get("call_id")
        if event.type == "response.output_item.done" and item.get("type") != "function_call":
            return None
        if not isinstance(call_id, str) or call_id in self._seen:
            return None
        if self._client.is_cancelled(event.response_id) or item.get("status") == "incomplete":
            self._mark(call_id, "skipped")
            return None
        self._seen[call_id] = None
        while len(self._seen) > MAX_REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        known = self._client.conversation.call(call_id)
        name = item.get("name") or (known.name if known else "")
        call = StartedCall(call_id, str(name), item.get("arguments"), event.response_id)
        self._open[call_id] = call
        self._called.setdefault(event.response_id, False)
        return call

    async def _ended(self, response_id: str) -> None:
        self._called[response_id] = True
        await self._follow_up(response_id)

    async def _follow_up(self, response_id: str) -> None:
        """One ``response.create``, when the response and all its calls are done."""
        if not self._called.get(response_id) or any(call.response_id == response_id for call in self._open.values()):
            return
        del self._called[response_id]
        if self._client.is_cancelled(response_id):
            return
        if self._client.user_speaking and answers_turns(self._client.session):
            return  # The service answers what is being said, and with it this.
        self._follow_ups += 1
        if self._follow_ups <= MAX_FOLLOW_UPS:
            await self._client.create_response()
            return
        _log.warning("the model calls functions without end", follow_ups=self._follow_ups)
        self._follow_ups = 0
        await self._client.create_response({"tool_choice": "none"})

    def _mark(self, call_id: str, status: CallStatus, ms: float | None = None) -> None:
        call = self._client.conversation.call(call_id)
        if call is not None:
            call.status, call.ms = status, ms
