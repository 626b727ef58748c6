"""The program's log, its traces and its metrics: set-up, and the few helpers that everything uses.

Logs are structlog's, one event a line, with the call's id by context variable. Metrics are plain integers while a call
runs; Prometheus reads them when it asks, so that a frame pays for an addition and nothing else.
"""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from antiphon.errors import IntegrationInitializationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from antiphon.settings import Settings

Scrub = Callable[[str], str]
Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]

MASK = "***"
OURS = frozenset({"timestamp", "level", "id", "call_id", "session_id", "started_at", "type"})
"""Names of values that look like telephone numbers and are none: our own ids and times."""
_SECRET_NAME = re.compile(
    r"password|secret|credential|token(?!s_total\b)|api_?key|authorization|digit|dtmf|signature", re.IGNORECASE
)
_SECRET_VALUE = re.compile(r"(?i)\b(bearer\s+|(?:api[_-]?key|token|key|signature)=)[^\s&\"',;]+")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what must never be in a log: values of telling names at any depth, and credentials inside texts."""
    for key, value in event.items():
        event[key] = redacted(key, value)
    return event


def redact_with(scrub: Scrub) -> Processor:
    """The same, and personal data in texts too."""

    def process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            event[key] = redacted(key, value, scrub)
        return event

    return process


def redacted(key: str, value: Any, scrub: Scrub | None = None) -> Any:
    """A value as logs and traces may show it.

    Args:
        key: Its name, which may tell that it is a secret, or that it is one of our own ids and no number of a person.
        value: Texts, numbers, and lists and dicts of them.
        scrub: Takes personal data out of a text.
    """
    if _SECRET_NAME.search(key) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, str):
        text = _SECRET_VALUE.sub(rf"\g<1>{MASK}", value)
        return text if scrub is None or key in OURS else scrub(text)
    if isinstance(value, dict):
        return {name: redacted(str(name), inner, scrub) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(key, inner, scrub) for inner in value]
    return value


def scrubber() -> Scrub:
    """Takes e-mail addresses, telephone, card, account and social security numbers out of a text."""
    from antiphon.redaction import Redactor

    return Redactor().redact


def setup_logging(
    level: str = "info",
    log_format: Literal["console", "json"] = "console",
    *,
    scrubs: bool = True,
) -> None:
    """Send structlog's and the standard library's records to stderr, in one form.

    Args:
        level: The lowest that is shown.
        log_format: One line for people, or one JSON object a line.
        scrubs: Take personal data out of texts; credentials are masked anyway.
    """
    mask = redact_with(scrubber()) if scrubs else redact
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any]
    if log_format == "json":
        encoder = msgspec.json.Encoder(enc_hook=str)
        last = [
            structlog.processors.format_exc_info,
            mask,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: encoder.encode(event).decode()),
        ]
    else:
        # Not the pretty traceback: it would print local variables, and with them what people said.
        plain = structlog.dev.plain_traceback
        last = [
            structlog.processors.format_exc_info,  # before the mask, since an error's sentence may quote people
            mask,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
        ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def setup_tracing(settings: Settings) -> bool:
    """Send spans and metrics to OpenTelemetry's collector, where the settings say so.

    Providers that are set already, as ``opentelemetry-instrument`` does, are left alone.

    Args:
        settings: All settings.

    Returns:
        Whether anybody wants spans and metrics.

    Raises:
        IntegrationInitializationError: The packages of the extra ``otel`` are missing.
    """
    if not settings.otel_enabled:
        return False
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise IntegrationInitializationError(
            f'Traces need OpenTelemetry ({error}); run `pip install "antiphon[otel]"`, or set '
            "ANTIPHON_OTEL_ENABLED=false.",
            provider="otel",
        ) from None
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "antiphon"}))
    # Without an address the exporters read OpenTelemetry's own variables.
    base = settings.otel_endpoint
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        traces = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=base and f"{base}/v1/traces")
        traces.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(traces)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=base and f"{base}/v1/metrics"))
        metrics.set_meter_provider(MeterProvider([reader], resource=resource))
    return True


@dataclass(slots=True)
class Traffic:
    """What passes over all sockets of a process; plain numbers, since they are counted 50 times a second and call."""

    frames_in: int = 0
    frames_out: int = 0
    frames_dropped: int = 0
    frames_malformed: int = 0


FIRST_AUDIO_BUCKETS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0)


@dataclass(slots=True)
class Metrics:
    """The numbers of one process, and their Prometheus form.

    No label ever holds a session, a phone number or anything else that a caller can choose.

    Attributes:
        traffic: Frames over all sockets.
        calls_ended: Calls by the reason of their end.
        refused: Calls that were not taken, by reason.
        not_reached: Calls that were made and that nobody has answered, by reason.
        turns: Turns answered.
        first_audio_counts: Turns by voice-to-voice time, one more than there are ``FIRST_AUDIO_BUCKETS_S``.
        first_audio_sum_s: Sum of these times.
        gauges: Numbers that are asked for when they are read: calls live, slots, loop lag.
        counters: The same for totals that others count: rows dropped, log entries dropped.
        collectors: Of others, who keep numbers with labels of their own.
    """

    traffic: Traffic = field(default_factory=Traffic)
    calls_ended: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    not_reached: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    first_audio_counts: list[int] = field(default_factory=lambda: [0] * (len(FIRST_AUDIO_BUCKETS_S) + 1))
    first_audio_sum_s: float = 0.0
    gauges: dict[str, Callable[[], float]] = field(default_factory=dict)
    counters: dict[str, Callable[[], float]] = field(default_factory=dict)
    collectors: list[Collector] = field(default_factory=list)

    def observe_first_audio(self, seconds: float) -> None:
        """Count one answered turn."""
        place = next((n for n, bound in enumerate(FIRST_AUDIO_BUCKETS_S) if seconds <= bound), -1)
        self.first_audio_counts[place] += 1
        self.first_audio_sum_s += seconds

    def registry(self) -> CollectorRegistry:
        """A Prometheus registry that reads these numbers and the process's own."""
        from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

        registry = CollectorRegistry()
        for collector in (_Collector(self), *self.collectors):
            registry.register(collector)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        return registry


class _Collector:
    """Turns ``Metrics`` into Prometheus families when they are asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        metrics = self._metrics
        for name, read in metrics.gauges.items():
            yield GaugeMetricFamily(f"antiphon_{name}", name.replace("_", " "), value=read())
        traffic = metrics.traffic
        totals = {
            "frames_in": traffic.frames_in,
            "frames_out": traffic.frames_out,
            "frames_dropped": traffic.frames_dropped,
            "frames_malformed": traffic.frames_malformed,
            "turns": metrics.turns,
            **{name: read() for name, read in metrics.counters.items()},
        }
        for name, value in totals.items():
            yield CounterMetricFamily(f"antiphon_{name}", name.replace("_", " "), value=value)
        for name, label, counts in (
            ("calls_ended", "reason", metrics.calls_ended),
            ("calls_refused", "reason", metrics.refused),
            ("calls_not_reached", "reason", metrics.not_reached),
            ("call_errors", "code", metrics.errors),
        ):
            family = CounterMetricFamily(f"antiphon_{name}", name.replace("_", " "), labels=[label])
            for word, count in counts.items():
                family.add_metric([word], count)
            yield family
        buckets: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*FIRST_AUDIO_BUCKETS_S, "+Inf"), metrics.first_audio_counts, strict=True):
            running += count
            buckets.append((str(bound), running))
        yield HistogramMetricFamily(
            "antiphon_turn_first_audio_seconds",
            "From the caller's last sound to the first sound of the answer",
            buckets=buckets,
            sum_value=metrics.first_audio_sum_s,
        )
