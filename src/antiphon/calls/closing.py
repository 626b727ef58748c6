"""How a call lets go of what it used; bounded, since whoever owns the line waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import structlog

from antiphon.agents.runner import ToolRunner
from antiphon.clock import Clock

_log = structlog.get_logger(__name__)

_CLOSE_S = 2.0
_LOOK_S = 0.02


class Closable(Protocol):
    """A part of a call that holds something."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...


async def finish_tools(tools: ToolRunner, clock: Clock, call_id: str) -> None:
    """Let calls with an effect go on to their end, for a moment."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            while tools.pending():
                await clock.sleep(_LOOK_S)
    except TimeoutError:
        _log.warning("tools_cut_at_end", call_id=call_id)


async def close_all(parts: Iterable[Closable], call_id: str) -> None:
    """Close parts, one after the other; a fault of one keeps no other open."""
    for part in parts:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await part.aclose()
        except Exception:  # The call's own root: a provider that does not close must not keep the line's owner.
            _log.exception("close_failed", call_id=call_id, part=type(part).__name__)
