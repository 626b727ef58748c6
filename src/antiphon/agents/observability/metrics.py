"""The histograms of runs, requests and tool calls, and those that others ask for."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.metrics import Histogram, Meter

SECONDS = tuple(0.01 * 2**n for n in range(14))
"""Bounds of durations: 0.01 to 81.92 s."""
MILLISECONDS = (5, 10, 20, 50, 100, 150, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000, 8000, 20000, 60000)
"""Bounds of the stages of a turn."""
TOKENS = tuple(4**n for n in range(14))
"""Bounds of token counts: 1 to 67 108 864."""


class Metrics:
    """The instruments; each is recorded once a run, request or call.

    Args:
        meter: Makes them.
    """

    __slots__ = ("_meter", "_stages", "agent", "first_chunk", "request", "tokens", "tool")

    def __init__(self, meter: Meter) -> None:
        self.request = _histogram(meter, "gen_ai.client.operation.duration", "A request to a model")
        self.first_chunk = _histogram(
            meter, "gen_ai.client.operation.time_to_first_chunk", "From a request to the first piece of its answer"
        )
        self.tokens = _histogram(meter, "gen_ai.client.token.usage", "Tokens of a request", "{token}", TOKENS)
        self.agent = _histogram(meter, "gen_ai.invoke_agent.duration", "A run of an agent")
        self.tool = _histogram(meter, "gen_ai.execute_tool.duration", "A call of a tool")
        self._meter = meter
        self._stages: dict[str, Histogram] = {}

    def stage(self, name: str) -> Histogram:
        """The histogram of a stage, in milliseconds; the same for the same name."""
        if name not in self._stages:
            self._stages[name] = _histogram(self._meter, name, "A stage of a turn", "ms", MILLISECONDS)
        return self._stages[name]


def _histogram(
    meter: Meter, name: str, description: str, unit: str = "s", bounds: Sequence[float] = SECONDS
) -> Histogram:
    return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)
