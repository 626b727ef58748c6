"""Whether runs are watched: the one place that the loop looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.agents.observability.records import RunRecords
    from antiphon.agents.observability.spans import Tracing


@dataclass(slots=True)
class Switch:
    """What watches the runs of this process.

    Attributes:
        tracing: Makes spans and metrics; None when nobody wants them.
        runs: Keeps records; None when nobody wants them.
    """

    tracing: Tracing | None = None
    runs: RunRecords | None = None


SWITCH = Switch()
"""Of the process, because spans and metrics are: providers of OpenTelemetry are global too."""
