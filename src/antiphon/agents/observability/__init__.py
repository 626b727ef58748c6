"""Traces, metrics and records of runs, in the terms of OpenTelemetry's conventions for generative AI.

    from antiphon.agents.observability import enable_instrumentation

    enable_instrumentation()

Nothing of OpenTelemetry is imported before that, and a run that nobody watches pays for a few tests of an attribute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.agents.observability.records import KEPT, RunRecords
from antiphon.agents.observability.switch import SWITCH
from antiphon.errors import IntegrationInitializationError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["disable_instrumentation", "enable_instrumentation", "keep_runs"]


def enable_instrumentation(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    content: bool = False,
    scrubs: bool = True,
) -> None:
    """Make spans and metrics of all runs that begin from now on.

    Args:
        tracer_provider: Where spans go; OpenTelemetry's global one unless given.
        meter_provider: Where metrics go; OpenTelemetry's global one unless given.
        content: Also put what people and models say, and what tools get and give, into the spans. Sensitive arguments
            and credentials are masked.
        scrubs: Take personal data (addresses, and numbers of telephones, cards and accounts) out of these texts.

    Raises:
        IntegrationInitializationError: The package ``opentelemetry-api`` is missing.
    """
    try:
        from antiphon.agents.observability.spans import tracing
    except ModuleNotFoundError as error:
        raise IntegrationInitializationError(
            f'The package opentelemetry-api is missing ({error}); run `pip install "antiphon[otel]"`.', provider="otel"
        ) from None
    from antiphon.telemetry import scrubber

    SWITCH.scrub = scrubber() if scrubs else None
    SWITCH.tracing = tracing(tracer_provider, meter_provider, content=content)


def disable_instrumentation() -> None:
    """Make no more spans, metrics and records. What runs already is watched to its end."""
    SWITCH.tracing = None
    SWITCH.runs = None


def keep_runs(count: int = KEPT, *, content: bool = False) -> RunRecords:
    """Keep short records of the last runs in this process, for a console or an evaluation; needs no package.

    Args:
        count: How many.
        content: Also keep the words of the answers, without credentials.

    Returns:
        The records, which grow with every run until they are ``count``.
    """
    SWITCH.runs = RunRecords(count, content=content)
    return SWITCH.runs
