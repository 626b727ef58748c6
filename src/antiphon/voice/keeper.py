"""Saves synopsis and facts after each change, beside the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon.errors import AntiphonException
from antiphon.logs import Log
from antiphon.voice.facts import FactsSheet
from antiphon.voice.memory import MemoryStore

_log = Log(__name__)


class MemoryKeeper:
    """Writes the memory in a thread; changes that come while it writes are written together.

    Args:
        store: The file.
        sheet: The facts.
        synopsis: Gives the synopsis of now.
    """

    def __init__(self, store: MemoryStore, sheet: FactsSheet, synopsis: Callable[[], str]) -> None:
        self._store = store
        self._sheet = sheet
        self._synopsis = synopsis
        self._dirty = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None

    def changed(self) -> None:
        """There is something new."""
        self._dirty.set()

    async def run(self) -> None:
        """Save until cancelled."""
        while True:
            await self._dirty.wait()
            await self.save()

    async def save(self) -> None:
        """Save now, if something is new. What goes wrong is logged: a full disk does not end a conversation."""
        if self._writing is not None:  # Whoever began it was cancelled; its older state must not come last.
            await asyncio.wait({self._writing})
        if not self._dirty.is_set():
            return
        self._dirty.clear()
        # A copy: the conversation goes on while the thread writes.
        state = (self._synopsis(), FactsSheet(self._sheet.facts))
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._store.save, *state)
        try:
            await asyncio.shield(self._writing)
        except AntiphonException as error:
            _log.error("memory not saved", error_category="config", reason=str(error))
