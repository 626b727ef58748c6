"""Whether runs are watched: the one place that the loop looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.agents.observability.records import RunRecords
    from antiphon.agents.observability.spans import Tracing
    from antiphon.agents.run import Run
    from antiphon.telemetry import Scrub


@dataclass(slots=True)
class Switch:
    """What watches the runs of this process.

    Attributes:
        tracing: Makes spans and metrics; None when nobody wants them.
        runs: Keeps records; None when nobody wants them.
        scrub: Takes personal data out of texts of spans; None leaves it.
    """

    tracing: Tracing | None = None
    runs: RunRecords | None = None
    scrub: Scrub | None = None


SWITCH = Switch()
"""Of the process, because spans and metrics are: providers of OpenTelemetry are global too."""


@contextmanager
def watched(run: Run) -> Iterator[None]:
    """Around a run: tells spans, metrics and records when it ends, however it does."""
    records = SWITCH.runs
    began = run.clock.now()
    if run.trace is None and SWITCH.tracing is not None:
        run.trace = SWITCH.tracing.begin(run.agent, run.session, run.clock)
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if run.trace is not None:
            run.trace.end(run, error)
        if records is not None:
            records.add(run, began, error)
        del error
