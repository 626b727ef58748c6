"""The report of a call, or of many: how long each stage took, what was used, and what deserves a look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.calls import events
from antiphon.calls.log import Entry
from antiphon.calls.tracing.barge_ins import BargeIns
from antiphon.store.spread import Severity, Spread, spread_of

HEADLINE = "first_audio"
STAGES: Mapping[str, str] = {
    HEADLINE: "first_audio_ms",
    "decision": "end_of_turn_ms",
    "stt": "transcript_ms",
    "llm_ttft": "llm_ttft_ms",
    "llm_total": "llm_total_ms",
    "tts_ttfb": "tts_ttfb_ms",
    "tts_total": "tts_total_ms",
    "processing": "processing_ms",
}
"""The stages of a turn, and their figures in ``turn.metrics``."""
BARGE_IN = "barge_in_stop"
TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Insight:
    """Something that deserves a look."""

    severity: Severity
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came out.

    Attributes:
        calls: Calls that it is about.
        turns: Turns that were answered.
        interrupted: Of these, turns that the caller cut.
        barge_ins: Speeches that the caller cut.
        handoffs: Changes of the agent.
        tool_calls, tool_errors: Calls of tools, and those of them that failed.
        errors: Parts that failed, by code.
        ended: Ends by reason.
        input_tokens, output_tokens: Of all models.
        cost_usd: By list prices; None where a price is not known.
        models: Models that answered, by role.
        stages: How long each stage took.
        insights: What deserves a look, the worst first.
    """

    calls: int
    turns: int
    interrupted: int
    barge_ins: int
    handoffs: int
    tool_calls: int
    tool_errors: int
    errors: dict[str, int]
    ended: dict[str, int]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    models: dict[str, list[str]]
    stages: dict[str, Spread]
    insights: list[Insight]


class Findings:
    """Gathers what a report tells, event by event; of one call or of many.

    Attributes:
        values_ms: Durations by stage.
    """

    def __init__(self) -> None:
        self.values_ms: defaultdict[str, list[float]] = defaultdict(list)
        self.counts: defaultdict[str, int] = defaultdict(int)
        self._errors: defaultdict[str, int] = defaultdict(int)
        self._ended: defaultdict[str, int] = defaultdict(int)
        self._models: defaultdict[str, set[str]] = defaultdict(set)
        self._cost_usd: float | None = 0.0

    def take(self, event: events.CallEvent) -> None:
        """The next event."""
        reader = _READERS.get(type(event))
        if reader is not None:
            reader(self, event)

    def barge_in(self, stop_ms: float) -> None:
        """A caller cut the agent, who was silent after so long."""
        self.values_ms[BARGE_IN].append(round(stop_ms, 1))

    def report(self) -> Report:
        """What is known so far."""
        counts = self.counts
        stages = self._stages()
        return Report(
            calls=counts["calls"],
            turns=counts["turns"],
            interrupted=counts["interrupted"],
            barge_ins=len(self.values_ms[BARGE_IN]),
            handoffs=counts["handoffs"],
            tool_calls=len(self.values_ms[TOOL]),
            tool_errors=counts["tool_errors"],
            errors=dict(self._errors),
            ended=dict(self._ended),
            input_tokens=counts["input_tokens"],
            output_tokens=counts["output_tokens"],
            cost_usd=None if self._cost_usd is None else round(self._cost_usd, 6),
            models={role: sorted(names) for role, names in sorted(self._models.items())},
            stages=stages,
            insights=[*_insights(stages), *self._faults()],
        )

    def _stages(self) -> dict[str, Spread]:
        headline = self.values_ms[HEADLINE]
        average = sum(headline) / len(headline) if headline else None
        names = (*STAGES, BARGE_IN, TOOL)
        return {name: spread_of(self.values_ms[name], headline_ms=average) for name in names}

    def _faults(self) -> Iterable[Insight]:
        for code, count in sorted(self._errors.items()):
            yield Insight("error", code, f"{code} happened {_times(count)}.")
        if self.counts["tool_errors"]:
            yield Insight("warning", TOOL, f"Tools failed {_times(self.counts['tool_errors'])}.")
        if self.counts["turns"] and not self.values_ms[HEADLINE]:
            yield Insight("error", HEADLINE, "No turn had a sound.")

    def _started(self, _event: events.SessionStarted) -> None:
        self.counts["calls"] += 1

    def _over(self, event: events.SessionEnded) -> None:
        self._ended[event.reason] += 1

    def _failed(self, event: events.SessionError) -> None:
        self._errors[event.code] += 1

    def _handed_over(self, _event: events.AgentHandoff) -> None:
        self.counts["handoffs"] += 1

    def _executed(self, event: events.ToolExecuted) -> None:
        self.values_ms[TOOL].append(event.duration_ms)
        self.counts["tool_errors"] += event.is_error

    def _measured(self, event: events.TurnMetrics) -> None:
        self.counts["turns"] += 1
        self.counts["interrupted"] += event.interrupted
        for role, model in event.models.items():
            self._models[role].add(model)
        for stage, name in STAGES.items():
            value: float | None = getattr(event, name)
            if value is not None:
                self.values_ms[stage].append(max(0.0, value))

    def _used(self, event: events.SessionUsage) -> None:
        self.counts["input_tokens"] += event.llm_input_tokens
        self.counts["output_tokens"] += event.llm_output_tokens
        known = self._cost_usd is not None and event.cost_usd is not None
        self._cost_usd = (self._cost_usd or 0.0) + (event.cost_usd or 0.0) if known else None


_READERS: Mapping[type, Callable[[Findings, Any], None]] = {
    events.SessionStarted: Findings._started,
    events.SessionEnded: Findings._over,
    events.SessionError: Findings._failed,
    events.SessionUsage: Findings._used,
    events.AgentHandoff: Findings._handed_over,
    events.ToolExecuted: Findings._executed,
    events.TurnMetrics: Findings._measured,
}


def report_of(entries: Iterable[Entry]) -> Report:
    """The report of one call."""
    findings, barge_ins = Findings(), BargeIns()
    for entry in entries:
        cut = barge_ins.read(entry)
        if cut is not None:
            findings.barge_in((cut[1] - cut[0]) * 1000)
        findings.take(entry.event)
    return findings.report()


def _insights(stages: Mapping[str, Spread]) -> list[Insight]:
    """Stages that are slow on average."""
    slow = [
        Insight(
            spread.severity, name, f"{name} takes {spread.avg_ms:.0f} ms on average, {spread.p95_ms:.0f} ms at p95."
        )
        for name, spread in stages.items()
        if spread.severity in ("warning", "error")
    ]
    return sorted(slow, key=lambda insight: insight.severity != "error")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
