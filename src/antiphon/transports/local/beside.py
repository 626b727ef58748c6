"""A task beside a body: each ends the other, and an error of either comes out as itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run ``work`` as long as the body runs. Where it fails, the body is cancelled and the error is raised.

    Args:
        work: What is done meanwhile.
        name: Of its task.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work, name=name)
            yield
            task.cancel()
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """The first error itself: work may have groups of tasks of its own."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
