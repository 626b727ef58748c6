"""Twilio's REST API about one call: https://www.twilio.com/docs/voice/api/call-resource.

Blind, the call gets TwiML that dials. Warm, the other party is called, hears the summary, and waits in a conference
for our caller.
"""

from __future__ import annotations

from collections.abc import Callable

from antiphon.clock import Clock
from antiphon.errors import IntegrationException, IntegrationUnavailableException
from antiphon.tools.transfer import Transfer
from antiphon.transports.carriers.consulting import RING_S, consult
from antiphon.transports.carriers.rest import HANG_UP_S, CarrierApi, hang_up
from antiphon.wire import documents

BASE_URL = "https://api.twilio.com"
CALL_OVER = frozenset({21220})
"""Twilio's code for a command to a call that is not in progress."""
NO_NUMBER = "The other party cannot be called first: no number is set up to call from. Ask for a blind transfer."

_LOOK_S = 0.5
_RINGING = frozenset({"queued", "initiated", "ringing"})
_FAILURES = {"busy": "busy", "no-answer": "no_answer", "canceled": "canceled", "completed": "rejected"}


class TwilioControl:
    """Commands about one call. See ``CarrierControl``.

    Args:
        api: Twilio's.
        account: The account's id.
        call_id: The call's.
        clock: Time.
        caller_id: The number that the other party is called from; None where there is none.
        action_url: As the attribute.

    Attributes:
        action_url: Where Twilio asks how to go on when a blind transfer was not answered, or is over.
    """

    def __init__(
        self,
        api: CarrierApi,
        account: str,
        call_id: str,
        *,
        clock: Clock,
        caller_id: str | None,
        action_url: str | None,
    ) -> None:
        self._api = api
        self._calls = f"/2010-04-01/Accounts/{account}/Calls"
        self._conferences = f"/2010-04-01/Accounts/{account}/Conferences.json"
        self._call_id = call_id
        self._clock = clock
        self._caller_id = caller_id
        self.action_url = action_url

    def refusal(self, transfer: Transfer) -> str | None:
        """Why it cannot be."""
        return NO_NUMBER if transfer.kind == "warm" and self._caller_id is None else None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        """Bring the caller to the destination."""
        if transfer.kind == "warm":
            await consult(self, transfer, leaving)
            return
        leaving()
        document = documents.twiml_dial(transfer.destination, ring_s=RING_S, action_url=self.action_url)
        await self._update(self._call_id, Twiml=document)

    async def hang_up(self) -> None:
        """End the call."""
        await hang_up(lambda: self._update(self._call_id, timeout_s=HANG_UP_S, Status="completed"), self._clock)

    # The other party of a warm transfer.

    async def dial(self, transfer: Transfer, room: str) -> str:
        """Call the other party, who hears the summary and waits in the room."""
        form = {
            "To": transfer.destination,
            "From": self._caller_id or "",
            "Timeout": f"{RING_S:.0f}",
            "Twiml": documents.twiml_room(room, say=transfer.summary or transfer.reason, language=transfer.language),
        }
        made = await self._api.ask("POST", f"{self._calls}.json", form=form)
        leg = made.get("sid")
        if not isinstance(leg, str):
            raise IntegrationException("Twilio did not tell the id of the call that it made.", provider="Twilio")
        return leg

    async def entered(self, leg: str, room: str) -> None:
        """Wait until the other party is in the room."""
        while True:
            await self._clock.sleep(_LOOK_S)
            status = str((await self._api.ask("GET", f"{self._calls}/{leg}.json")).get("status"))
            if status == "in-progress":
                rooms = (await self._api.ask("GET", self._conferences, query={"FriendlyName": room})).get("conferences")
                if any(each.get("status") != "completed" for each in rooms or ()):
                    return
            elif status not in _RINGING:
                raise IntegrationUnavailableException(
                    f"The other party was not reached: the call is {status}.",
                    code=_FAILURES.get(status, "unreachable"),
                    provider="Twilio",
                )

    async def join(self, room: str) -> None:
        """Bring our caller into the room."""
        await self._update(self._call_id, Twiml=documents.twiml_room(room))

    async def drop(self, leg: str) -> None:
        """End the call to the other party."""
        await hang_up(lambda: self._update(leg, timeout_s=HANG_UP_S, Status="completed"), self._clock)

    async def _update(self, call_id: str, *, timeout_s: float = 5.0, **form: str) -> None:
        await self._api.ask("POST", f"{self._calls}/{call_id}.json", form=form, timeout_s=timeout_s)
