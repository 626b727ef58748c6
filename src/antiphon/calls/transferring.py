"""Bringing the caller to somebody else: when it begins, what comes of it, and who is told.

It begins when all that is being said was said. While the carrier tries, the caller holds. Then the call is over, or the
agent is told why not, and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import structlog

from antiphon.calls import events
from antiphon.calls.events import EndReason
from antiphon.calls.log import CallLog
from antiphon.errors import AntiphonException, IntegrationException, IntegrationInvalidRequestException
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.tools.transfer import Transfer

_log = structlog.get_logger(__name__)

NO_CONTROL = "This call cannot be transferred: no account of its carrier is set up here."
_UNDER_WAY = "A transfer of this call is under way already."
_OVER = "The call is over."
_OVERTAKEN = "The caller has spoken before the transfer began: it was not made. Answer, and ask whether it is wanted."
_WHY = {
    "busy": "the line is busy",
    "no_answer": "nobody answers",
    "rejected": "the call was declined",
    "canceled": "the call was cancelled",
}
"""What the agent may say of a failure, by the error's code; of others only that it did not work."""


class CarrierControl(Protocol):
    """Commands to a carrier about one call, beside its media."""

    def refusal(self, transfer: Transfer) -> str | None:
        """Why the carrier cannot do this, as a sentence for the agent; None where it can be tried."""
        ...

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        """Bring the caller to the destination. Cancelled before that, it hangs up what it has dialled.

        Args:
            transfer: To whom, and how.
            leaving: Called when the caller is about to leave us: from then on the line may end by itself.

        Raises:
            IntegrationException: It did not come about; the caller is still with us. Its code is ``busy``,
                ``no_answer``, ``rejected`` or ``canceled`` where the other party was the reason.
        """
        ...

    async def hang_up(self) -> None:
        """End the call at the carrier, if it is not over there.

        Raises:
            IntegrationException: The carrier does not do it.
        """
        ...


class Transferring:
    """The transfers of one call, one at a time.

    Args:
        control: The carrier's; None where there is none.
        log: Gets the events.
        language: Gives the language of the agent that answers now.
        is_free: Whether nobody speaks, and nothing is owed to the caller.
        caller_has_floor: Whether the caller speaks, or has spoken and is not answered.
        hold: Lets the caller wait.
        resume: Ends that.
        over: Ends the call at once: its line is not ours any more.
        news: Gets what the agent is to tell.
        spawn: Runs a task of the call; gives None where the call is not on.
        stop: Ends such a task.
    """

    def __init__(
        self,
        control: CarrierControl | None,
        *,
        log: CallLog,
        language: Callable[[], str],
        is_free: Callable[[], bool],
        caller_has_floor: Callable[[], bool],
        hold: Callable[[], None],
        resume: Callable[[], None],
        over: Callable[[EndReason], None],
        news: Callable[[FunctionCall, FunctionResult], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
        stop: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._control = control
        self._log = log
        self._language = language
        self._is_free = is_free
        self._caller_has_floor = caller_has_floor
        self._hold = hold
        self._resume = resume
        self._over = over
        self._news = news
        self._spawn = spawn
        self._stop = stop
        self._wish: Transfer | None = None
        self._is_agents = False
        self._is_dialling = False
        self._is_leaving = False
        self._end: EndReason | None = None
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_dialling(self) -> bool:
        """Whether the caller waits for somebody else."""
        return self._is_dialling

    def ask(self, transfer: Transfer, *, by_agent: bool = False) -> None:
        """Transfer as soon as all is said. What the agent asks for is dropped when the caller speaks before.

        Raises:
            IntegrationInvalidRequestException: It cannot be; the sentence says why.
        """
        refusal = self._refusal(transfer)
        if refusal is not None:
            _log.warning("transfer_refused", call_id=self._log.call_id, why=refusal, kind=transfer.kind)
            raise IntegrationInvalidRequestException(refusal, code="transfer_refused")
        self._wish = replace(transfer, language=transfer.language or self._language())
        self._is_agents = by_agent
        self.look()

    def asked_by_tool(self, details: Mapping[str, Any]) -> None:
        """The agent's tool asks, and reads the answer."""
        try:
            self.ask(details["transfer"], by_agent=True)
        except IntegrationInvalidRequestException as error:
            details["answer"].set_result(str(error))
        else:
            details["answer"].set_result("")

    def look(self) -> None:
        """Begin what waits, now that the conversation may have come to rest."""
        if self._wish is None or self._is_dialling:
            return
        if self._is_agents and self._caller_has_floor():
            wish, self._wish = self._wish, None
            self._tell_agent(wish, _OVERTAKEN)
        elif self._is_free():
            self._trying = self._spawn(self._run(self._wish), "transfer")
            self._is_dialling = self._trying is not None

    def close(self) -> None:
        """The call is over: nobody is dialled for it any more."""
        if self._trying is not None:
            self._stop(self._trying)

    def takes_end(self, reason: EndReason) -> bool:
        """The line is lost, or the call is to end. Whether the caller is on the way to somebody else just now.

        Then the transfer's outcome tells how the call ended: nobody hangs up on who has been transferred.
        """
        if self._is_leaving:
            self._end = self._end or reason
        return self._is_leaving

    def _refusal(self, transfer: Transfer) -> str | None:
        if self._log.ended:
            return _OVER
        if self._control is None:
            return NO_CONTROL
        return _UNDER_WAY if self._wish is not None else self._control.refusal(transfer)

    async def _run(self, wish: Transfer) -> None:
        assert self._control is not None
        self._log.append(events.CallTransferring(wish.destination, wish.name, wish.kind, wish.reason))
        self._hold()
        try:
            await self._control.transfer(wish, self._leave)
        except AntiphonException as error:
            self._failed(wish, error)
        except Exception:  # The root of the task: whatever the carrier's code does, the caller must not hold for ever.
            _log.exception("transfer_broke_off", call_id=self._log.call_id)
            self._failed(wish, IntegrationException("The transfer broke off.", code="internal"))
        else:
            self._log.append(events.CallTransferred(wish.destination, wish.name, wish.kind))
            self._over("transferred")

    def _leave(self) -> None:
        self._is_leaving = True

    def _failed(self, wish: Transfer, error: AntiphonException) -> None:
        self._wish = None
        self._is_dialling = self._is_leaving = False
        self._log.append(events.CallTransferFailed(wish.destination, wish.name, error.code))
        self._log.append(events.SessionError("transfer_failed", str(error)))
        if self._end is not None:
            self._over(self._end)
            return
        self._resume()
        why = _WHY.get(error.code)
        because = f": {why}" if why else ""
        self._tell_agent(wish, f"The transfer to {wish.whom} failed{because}. Tell the caller, and go on.")

    def _tell_agent(self, wish: Transfer, text: str) -> None:
        arguments = msgspec.json.encode({"destination": wish.whom}).decode()
        call = FunctionCall(f"transfer_{uuid4().hex[:12]}", "transfer_call", arguments)
        self._news(call, FunctionResult(call.call_id, call.name, "error", text))
