"""The last runs of this process, for the console and for evaluations: one small object a run, made at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from antiphon.agents.responses import Limit, RunFinish
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import ResultStatus, Usage

if TYPE_CHECKING:
    from antiphon.agents.run import Run

KEPT = 200
"""Runs that are kept unless another number is given."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A tool call of a run.

    Attributes:
        name: The tool.
        status: What came of it.
        duration_ms: How long it took.
    """

    name: str
    status: ResultStatus
    duration_ms: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run that is over.

    Attributes:
        session_id: The conversation.
        agent: Who answered last.
        ended_at: When it was over, in UTC.
        duration_s: How long it took, the time that its reader took included.
        steps: Requests to the model.
        updates: Updates that were told.
        calls: The tool calls that have a result, in order.
        approvals: Calls that wait for a person.
        handoffs: The agents that took over, in order.
        usage: Tokens.
        finish: Why it ended.
        limit: The limit that it met.
        error: The kind of failure, as in the spans; None without one.
        text: What was told; empty unless texts are kept.
    """

    session_id: str
    agent: str
    ended_at: datetime
    duration_s: float
    steps: int
    updates: int
    calls: tuple[CallRecord, ...]
    approvals: int
    handoffs: tuple[str, ...]
    usage: Usage
    finish: RunFinish
    limit: Limit | None
    error: str | None
    text: str


class RunRecords:
    """A ring of ``RunRecord``; iterate for the oldest first.

    Args:
        count: How many are kept.
        content: Whether words are kept.
    """

    __slots__ = ("_kept", "content")

    def __init__(self, count: int = KEPT, *, content: bool = False) -> None:
        self.content = content
        self._kept: deque[RunRecord] = deque(maxlen=count)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(tuple(self._kept))

    def add(self, run: Run, began: float, error: BaseException | None = None) -> None:
        """Note a run that is over.

        Args:
            run: The run.
            began: The time of its clock when it began.
            error: What ended it early.
        """
        clock = run.session.clock
        results = [result for message in run.produced if (result := message.result) is not None]
        self._kept.append(
            RunRecord(
                run.session.id,
                run.agent.name,
                clock.utc(),
                clock.now() - began,
                run.steps,
                run._seq,
                tuple([CallRecord(result.name, result.status, result.duration_ms) for result in results]),
                len(run.requests),
                tuple([record.target for record in run.handoffs]),
                run.usage,
                _finish_of(run, error),
                run.limit,
                error_type(error) if isinstance(error, Exception) else None,
                self._text_of(run) if self.content else "",
            )
        )

    def _text_of(self, run: Run) -> str:
        from antiphon.telemetry import redacted

        return str(redacted("", "".join(run.told)))


def error_type(error: BaseException) -> str:
    """The kind of a failure, of which there are few: our code, or the name of somebody else's class."""
    return error.code if isinstance(error, AntiphonException) else type(error).__qualname__


def _finish_of(run: Run, error: BaseException | None) -> RunFinish:
    if error is not None:
        return "error" if isinstance(error, Exception) else "interrupted"
    return "limit" if run.limit is not None else run.finish
