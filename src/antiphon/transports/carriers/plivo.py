"""Plivo's REST API about one call: https://www.plivo.com/docs/voice/api/call/transfer-a-call/.

Plivo fetches its documents, so that it must reach this server. Blind, the call gets XML that dials. Warm, the other
party is called, hears the summary, and waits in a conference for our caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import parse_qs

from antiphon.clock import Clock
from antiphon.errors import IntegrationException, IntegrationUnavailableException
from antiphon.tools.transfer import Transfer
from antiphon.transports.carriers.callbacks import Callback, Callbacks
from antiphon.transports.carriers.consulting import RING_S, consult
from antiphon.transports.carriers.rest import HANG_UP_S, CarrierApi, hang_up
from antiphon.wire import documents

BASE_URL = "https://api.plivo.com"
NO_NUMBER = "The other party cannot be called first: no number is set up to call from. Ask for a blind transfer."
NO_SIP = "A sip: address cannot be called first: ask for a blind transfer."

_FETCH_S = 10.0
"""How long Plivo may take to fetch the document of a transfer."""
_FAILURES = {"busy": "busy", "no-answer": "no_answer", "timeout": "no_answer", "cancel": "canceled"}


class PlivoControl:
    """Commands about one call. See ``CarrierControl``.

    Args:
        api: Plivo's.
        account: The account's id.
        call_id: The call's.
        clock: Time.
        callbacks: Where Plivo fetches documents.
        callback_url: What the address of a callback begins with.
        caller_id: The number that the other party is called from; None where there is none.
        action_url: Where Plivo asks how to go on when a blind transfer was not answered, or is over.
    """

    def __init__(
        self,
        api: CarrierApi,
        account: str,
        call_id: str,
        *,
        clock: Clock,
        callbacks: Callbacks,
        callback_url: str,
        caller_id: str | None,
        action_url: str | None,
    ) -> None:
        self._api = api
        self._calls = f"/v1/Account/{account}/Call"
        self._call_id = call_id
        self._clock = clock
        self._callbacks = callbacks
        self._callback_url = callback_url
        self._caller_id = caller_id
        self._action_url = action_url
        self._opened = ExitStack()
        self._is_in: asyncio.Future[None] | None = None

    def refusal(self, transfer: Transfer) -> str | None:
        """Why it cannot be."""
        if transfer.kind == "warm":
            return NO_NUMBER if self._caller_id is None else NO_SIP if transfer.is_sip else None
        return None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        """Bring the caller to the destination."""
        with ExitStack() as self._opened:
            if transfer.kind == "warm":
                await consult(self, transfer, leaving)
                return
            leaving()
            number = transfer.destination.removeprefix("+")
            await self._move(documents.plivo_dial(number, ring_s=RING_S, action_url=self._action_url))

    async def hang_up(self) -> None:
        """End the call."""
        await self._end(self._call_id)

    # The other party of a warm transfer.

    async def dial(self, transfer: Transfer, room: str) -> str:
        """Call the other party, who hears the summary and waits in the room."""
        self._is_in = asyncio.get_running_loop().create_future()
        entered = self._url(self._entered_room)
        say = transfer.summary or transfer.reason
        document = documents.plivo_room(room, say=say, language=transfer.language, callback_url=entered)
        made = await self._api.ask(
            "POST",
            f"{self._calls}/",
            body={
                "from": self._caller_id,
                "to": transfer.destination.removeprefix("+"),
                "answer_url": self._url(lambda _: document),
                "hangup_url": self._url(self._hung_up),
                "ring_timeout": round(RING_S),
            },
        )
        leg = made.get("request_uuid")
        if not isinstance(leg, str):
            raise IntegrationException("Plivo did not tell the id of the call that it made.", provider="Plivo")
        return leg

    async def entered(self, leg: str, room: str) -> None:
        """Wait until Plivo tells that the other party is in the room."""
        assert self._is_in is not None
        await self._is_in

    async def join(self, room: str) -> None:
        """Bring our caller into the room."""
        await self._move(documents.plivo_room(room))

    async def drop(self, leg: str) -> None:
        """End the call to the other party."""
        await self._end(leg)

    async def _move(self, document: str) -> None:
        """Give our caller's call another document, and wait until Plivo has it."""
        fetched: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def fetch(_body: bytes) -> str:
            if not fetched.done():
                fetched.set_result(None)
            return document

        body = {"legs": "aleg", "aleg_url": self._url(fetch), "aleg_method": "POST"}
        await self._api.ask("POST", f"{self._calls}/{self._call_id}/", body=body)
        try:
            async with asyncio.timeout(_FETCH_S):
                await fetched
        except TimeoutError:
            raise IntegrationUnavailableException(
                "Plivo did not fetch the document of the transfer; see whether it reaches ANTIPHON_PUBLIC_URL.",
                provider="Plivo",
            ) from None

    async def _end(self, call_id: str) -> None:
        await hang_up(lambda: self._api.ask("DELETE", f"{self._calls}/{call_id}/", timeout_s=HANG_UP_S), self._clock)

    def _url(self, callback: Callback) -> str:
        token = self._callbacks.open(callback)
        self._opened.callback(self._callbacks.close, token)
        return f"{self._callback_url}/{token}"

    def _entered_room(self, body: bytes) -> str:
        if _field(body, "ConferenceAction") == "enter" and self._is_in is not None and not self._is_in.done():
            self._is_in.set_result(None)
        return ""

    def _hung_up(self, body: bytes) -> str:
        if self._is_in is not None and not self._is_in.done():
            status = _field(body, "CallStatus")
            self._is_in.set_exception(
                IntegrationUnavailableException(
                    f"The other party was not reached: the call is {status or 'over'}.",
                    code=_FAILURES.get(status, "rejected"),
                    provider="Plivo",
                )
            )
        return ""


def _field(body: bytes, name: str) -> str:
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[-1]
