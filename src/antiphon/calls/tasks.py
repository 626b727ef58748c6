"""The tasks of one call: each belongs to its group, and a fault in one ends nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


class CallTasks:
    """Runs work as tasks of a call, while it is on.

    Args:
        call_id: For the log and the tasks' names.
        context: Gives the context that tasks run in; that of the call's own task unless it gives one.
        failed: Told the name of a task and its fault.
    """

    def __init__(
        self, call_id: str, *, context: Callable[[], Context | None], failed: Callable[[str, Exception], None]
    ) -> None:
        self._call_id = call_id
        self._context = context
        self._failed = failed
        self._own = copy_context()
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()

    def open(self, group: asyncio.TaskGroup) -> None:
        """Tasks may be begun from now on, by whomever; they belong to ``group``, and to the call that opens this."""
        self._own = copy_context()
        self._group = group

    def close(self) -> None:
        """Begin no task any more, and end those that run."""
        self._group = None
        for task in tuple(self._running):
            self.stop(task)

    def stop(self, task: asyncio.Task[None]) -> None:
        """End a task. Once: what it does about that, such as hanging up on whom it has called, is not cut."""
        if task in self._running:
            self._running.discard(task)
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run work as a task of this call; before and after the call there is none."""
        if self._group is None:
            work.close()
            return None
        context = self._context() or self._own.copy()
        task = self._group.create_task(self._guard(work, name), name=f"{self._call_id} {name}", context=context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # A task that is cancelled before its first step never comes to its work.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guard(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # The root of a call's task: a fault in it must not end the call.
            _log.exception("call_task_failed", call_id=self._call_id, task=name)
            self._failed(name, error)
