"""What Prometheus is told of providers and connections when it asks: who can be had, and how full the pools are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from antiphon.models.pool import AnyPool

if TYPE_CHECKING:
    from antiphon.server.switchboard import Switchboard


class Levels:
    """A collector of Prometheus.

    Args:
        board: Whose providers and connections they are.
    """

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """All levels as they are now."""
        available = GaugeMetricFamily(
            "antiphon_model_available", "Whether a model can be had", labels=["role", "model"]
        )
        for role, name, is_well in self._board.availability():
            available.add_metric([role, name], float(is_well))
        yield available
        connections = GaugeMetricFamily("antiphon_connections", "Connections of callers", labels=["carrier"])
        for carrier, count in self._board.connections().items():
            connections.add_metric([carrier], count)
        yield connections
        yield from _pools(self._board.pools())


def _pools(pools: list[AnyPool]) -> Iterator[Metric]:
    held = GaugeMetricFamily("antiphon_pool_connections", "Connections to a provider", labels=["pool", "state"])
    given = CounterMetricFamily("antiphon_pool_allocations", "Connections given, by tier", labels=["pool", "tier"])
    for pool in pools:
        for state, count in (("active", pool.active), ("warm", pool.warm), ("dedicated", pool.dedicated)):
            held.add_metric([pool.name, state], count)
        counters = pool.counters
        for tier, count in (
            ("dedicated", counters.allocations_dedicated),
            ("warm", counters.allocations_warm),
            ("cold", counters.allocations_cold),
        ):
            given.add_metric([pool.name, tier], count)
    yield held
    yield given
    for name, about, count_of in _TOTALS:
        family = CounterMetricFamily(f"antiphon_pool_{name}", about, labels=["pool"])
        for pool in pools:
            family.add_metric([pool.name], count_of(pool))
        yield family


_TOTALS: tuple[tuple[str, str, Callable[[AnyPool], int]], ...] = (
    ("exhausted", "Who got no connection in time", lambda pool: pool.counters.exhausted),
    ("dropped", "Connections that failed in use", lambda pool: pool.counters.dropped),
    ("warmup_failures", "Connections that could not be made ahead", lambda pool: pool.counters.warmup_failures),
)
