"""What a new connection is told before anything else: the whole configuration, then the history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.logs import Log
from antiphon.realtime.conversation import ConversationState
from antiphon.realtime.errors import RequestRefused
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.link import Link
from antiphon.realtime.sending import Sender
from antiphon.realtime.session import Configuration
from antiphon.realtime.waiting import Waiters

REPLY_S = 4.0
"""Longest wait for the session's beginning, and for the answer to its configuration: a caller is on the line."""
ADDED_S = 5.0
"""Longest wait for the confirmation of a replayed item."""

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens connections of one conversation.

    Attributes:
        sender: What is sent with.
        waiters: Who waits for the answers.
        configuration: What the session should be.
        conversation: What was said so far.
        replayed: Items that the connection of the moment was told.
    """

    sender: Sender
    waiters: Waiters
    configuration: Configuration
    conversation: ConversationState
    replayed: set[str]

    async def run(self, link: Link, effective: Mapping[str, Any]) -> None:
        """Open a connection, of which nothing has been read yet.

        Args:
            link: It.
            effective: The session as it was before.

        Raises:
            TimeoutError: The service does not answer.
            RequestRefused: It refuses the configuration.
            NotConnected: The connection is lost.
        """
        await answer(self.waiters.expect("session.created"), REPLY_S)
        await self._configure(link, effective)
        await self._replay(link)

    async def _configure(self, link: Link, effective: Mapping[str, Any]) -> None:
        """Tell the whole configuration, once more where it changed meanwhile."""
        # Without it, replayed text could turn a speaking model into a writing one.
        modalities = {"output_modalities": effective.get("output_modalities", ["audio"])}
        told: dict[str, Any] | None = None
        while told != self.configuration.whole:
            told = self.configuration.take()
            update = self.sender.identified({"type": "session.update", "session": {**modalities, **told}})
            updated = self.waiters.expect("session.updated", event_id=update["event_id"])
            await self.sender.transmit(link, update)
            await answer(updated, REPLY_S)

    async def _replay(self, link: Link) -> None:
        """Tell the history, item by item; every one is confirmed."""
        confirmations = []
        for item in self.conversation.history():
            self.replayed.add(item["id"])
            event = self.sender.identified({"type": "conversation.item.create", "item": item})
            confirmations.append(self._added(item["id"], event["event_id"]))
            await self.sender.transmit(link, event)
        for confirmation in confirmations:
            try:
                await answer(confirmation, ADDED_S)
            except RequestRefused as error:
                _log.warning("an item of the history was not taken", error_code=error.code)
            except TimeoutError:
                _log.warning("the service does not confirm the history", items=len(confirmations))
                break
        for confirmation in confirmations:
            confirmation.cancel()

    def _added(self, item_id: str, event_id: str) -> asyncio.Future[ServerEvent]:
        return self.waiters.expect("conversation.item.added", lambda event: event.item_id == item_id, event_id=event_id)


async def answer(future: asyncio.Future[ServerEvent], timeout_s: float) -> ServerEvent:
    """Wait for an event that ``Waiters.expect`` has promised.

    Raises:
        TimeoutError: It did not come.
    """
    async with asyncio.timeout(timeout_s):
        return await future
