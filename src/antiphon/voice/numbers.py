"""The conversation's numbers for Prometheus, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.errors import ConfigurationError
from antiphon.realtime.metrics import ClientMetrics


@contextmanager
def metrics_served(metrics: ClientMetrics, port: int) -> Iterator[None]:
    """Serve numbers at ``http://127.0.0.1:PORT/metrics`` while the body runs.

    Raises:
        ConfigurationError: The port is taken.
    """
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} cannot be used for the metrics ({error.strerror}): set METRICS_PORT to another one."
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=2.0)
