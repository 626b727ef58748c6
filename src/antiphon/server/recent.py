"""What happened lately in all calls of a process, for a summary of the last minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.tracing.barge_ins import BargeIns
from antiphon.clock import Clock
from antiphon.store.report import Findings, Report

MOST = 20_000
"""Events that are kept: some thousand turns. The oldest go first."""

_KEPT = frozenset(
    {
        events.SessionStarted,
        events.SessionEnded,
        events.SessionError,
        events.SessionUsage,
        events.AgentHandoff,
        events.ToolExecuted,
        events.TurnMetrics,
    }
)
_Told = events.CallEvent | float
"""An event; or a barge-in, in milliseconds until the agent was silent."""


class RecentCalls:
    """A watcher of all calls of a process.

    Args:
        clock: The process's time.
        most: Events that are kept.
    """

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._told: deque[tuple[float, _Told]] = deque(maxlen=most)

    @property
    def reaches_back_s(self) -> float | None:
        """How old the oldest event is, where older ones were forgotten; None where nothing was."""
        is_full = len(self._told) == self._told.maxlen
        return self._clock.now() - self._told[0][0] if is_full else None

    def watch(self, log: CallLog) -> None:
        """Read the log of a new call."""
        barge_ins = BargeIns()

        def read(entry: Entry) -> None:
            cut = barge_ins.read(entry)
            if cut is not None:
                self._keep((cut[1] - cut[0]) * 1000)
            event = entry.event
            if isinstance(event, events.ToolExecuted):
                event = replace(event, output="")  # nobody's business here
            if type(event) in _KEPT:
                self._keep(event)

        log.subscribe(read)

    def since(self, seconds: float) -> Sequence[_Told]:
        """What was told in the last ``seconds``, the oldest first."""
        start = self._clock.now() - seconds
        return [told for at, told in self._told if at >= start]

    def _keep(self, told: _Told) -> None:
        self._told.append((self._clock.now(), told))


def summary_of(told: Sequence[_Told]) -> Report:
    """The report of what was told."""
    findings = Findings()
    for each in told:
        if isinstance(each, float):
            findings.barge_in(each)
        else:
            findings.take(each)
    return findings.report()
