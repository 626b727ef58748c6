"""uvicorn's server, with an end that does not cut a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import structlog
import uvicorn

from antiphon.server.switchboard import Switchboard

GOODBYE_S = 8.0
"""How long calls that are ended at the deadline may take for their goodbye."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = structlog.get_logger(__name__)


class DrainingServer(uvicorn.Server):
    """Ends in two steps: a first signal refuses new calls and waits for the last one, a second one ends it at once.

    At the deadline the calls that are left are ended politely. uvicorn alone would close all sockets at the first
    signal.

    Args:
        config: uvicorn's.
        board: The calls.
        drain_s: How long running calls may go on.
        handle_signals: Off inside of another program, which then calls ``drain`` itself.
    """

    def __init__(
        self, config: uvicorn.Config, board: Switchboard, *, drain_s: float, handle_signals: bool = True
    ) -> None:
        super().__init__(config)
        self._board = board
        self._drain_s = drain_s
        self._handle_signals = handle_signals
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Our own handlers, on the loop; they are in place as long as the server runs."""
        if not self._handle_signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.drain)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def drain(self) -> None:
        """The first call drains, the second one ends the server."""
        if self._draining is None:
            self._board.drain()
            self._draining = asyncio.get_running_loop().create_task(self._drain(), name="drain")
        else:
            _log.warning("ending_now", live=self._board.admission.live)
            self._end_now()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections. Streams of events would go on for ever, and are ended first."""
        self._board.live.close_streams()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        board = self._board
        _log.info("draining", live=board.admission.live, deadline_s=self._drain_s)
        if not await _within(self._drain_s, board):
            _log.warning("drain_deadline", live=board.admission.live)
            board.end_calls("drained")
            await _within(GOODBYE_S, board)
        self.should_exit = True

    def _end_now(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
        self.config.timeout_graceful_shutdown = 1
        self.should_exit = self.force_exit = True


async def _within(seconds: float, board: Switchboard) -> bool:
    """Wait for the last call; False when there are some left then."""
    try:
        async with asyncio.timeout(seconds):
            await board.all_over()
    except TimeoutError:
        return False
    return True
