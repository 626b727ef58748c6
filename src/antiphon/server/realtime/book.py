"""The calls of a process that have an address of their own: found by their id, each with its task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from antiphon.server.realtime.rtc import RtcCall

_log = structlog.get_logger(__name__)


class CallBook:
    """The calls over WebRTC. Their requests are over before they begin, so the book owns their tasks."""

    def __init__(self) -> None:
        self._calls: dict[str, RtcCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, call: RtcCall) -> None:
        """Let a call live."""
        self._calls[call.id] = call
        task = asyncio.get_running_loop().create_task(self._live(call), name=call.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, call_id: str) -> RtcCall | None:
        """The call with this id, while it is on."""
        call = self._calls.get(call_id)
        return call if call is not None and not call.is_over else None

    async def aclose(self) -> None:
        """End what is left."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, call: RtcCall) -> None:
        try:
            await call.run()
        except Exception:  # The root of a call's task: it costs this call and no other.
            _log.exception("rtc_call_failed", call_id=call.id)
        finally:
            del self._calls[call.id]
