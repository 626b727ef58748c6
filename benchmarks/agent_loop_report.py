"""What the measurements of the agent loop mean: figures, targets, tables, the file AGENT_LOOP.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Value = float | str | None
Series = Mapping[str, Sequence[Value]]
"""Of one library: a figure's values, one a round."""
Verdict = Literal["met", "within 25 %", "MISSED", "–"]

TITLES = {
    "antiphon": "Antiphon",
    "agent_framework": "Agent Framework",
    "openai_agents": "OpenAI Agents",
    "pydantic_ai": "Pydantic AI",
    "bare": "bare loop",
}
OURS = "antiphon"
_TOLERANCE = 1.25


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        key: Of the measurement.
        label: For people.
        target: The most that it may be; text that must come out where it is text; None for a line that only informs.
    """

    key: str
    label: str
    target: float | str | None = None


FIGURES = (
    Figure("text_us", "text turn (µs)", 60),
    Figure("text_over_us", "text turn over the client (µs)"),
    Figure("tool_us", "tool turn (µs)", 150),
    Figure("tool_over_us", "tool turn over the client (µs)", 60),
    Figure("past_us", "tool turn behind 100 messages (µs)", 250),
    Figure("first_us", "stream: first text (µs)", 40),
    Figure("stream_us", "stream: total (µs)", 400),
    Figure("stream_over_us", "stream: total over the client (µs)"),
    Figure("in_flight_us", "64 runs in flight, per turn (µs)", 150),
    Figure("http_first_ms", "HTTP: first text (ms)", 2.5),
    Figure("http_total_ms", "HTTP: total (ms)", 4.5),
    Figure("http_cpu_ms", "HTTP: CPU per turn (ms)", 4),
    Figure("import_root_ms", "import: root (ms)", 40),
    Figure("import_agent_ms", "import: Agent, tool, Message (ms)", 100),
    Figure("import_client_ms", "import: with the OpenAI client (ms)", 400),
    Figure("import_root_mb", "memory: root (MB)"),
    Figure("import_agent_mb", "memory: Agent, tool, Message (MB)"),
    Figure("import_client_mb", "memory: with the OpenAI client (MB)"),
    Figure("garbage", "cyclic garbage per streamed turn (objects)", 0),
    Figure("callback_ms", "longest callback, 100 conversations (ms of CPU)", 5),
    Figure("break_ms", "model stream closed after break (ms)", 50),
    Figure("close_ms", "model stream closed after the library's close (ms)", 50),
    Figure("kept_closed", "kept when the stream is closed in mid answer", "user + the heard words"),
    Figure("kept_cancelled", "kept when the task is cancelled in mid answer", "user + the heard words"),
)


def best(values: Sequence[Value]) -> Value:
    """The least of the rounds: what other programs took of the machine only ever adds. Words must agree.

    None, "not measured" or "never", counts when it came in every round.
    """
    numbers = [value for value in values if isinstance(value, int | float)]
    words = sorted({value for value in values if isinstance(value, str)})
    return min(numbers) if numbers else " / ".join(words) or None


def verdict(figure: Figure, values: Sequence[Value]) -> Verdict:
    """How a figure stands against its target; a dash where one of them is missing."""
    value = best(values)
    if figure.target is None or not values:
        return "–"
    if isinstance(figure.target, str) or not isinstance(value, int | float):
        return "met" if value == figure.target else "MISSED"
    if value <= figure.target:
        return "met"
    return "within 25 %" if value <= figure.target * _TOLERANCE else "MISSED"


def missed(results: Mapping[str, Series]) -> list[str]:
    """A sentence for each target of ours that is missed by more than a quarter, or was not measured."""
    ours = results.get(OURS, {})
    sentences = []
    for figure in FIGURES:
        if figure.target is None:
            continue
        if not ours.get(figure.key):
            sentences.append(f"{figure.label}: not measured.")
        elif verdict(figure, ours[figure.key]) == "MISSED":
            sentences.append(f"{figure.label}: {shown(best(ours[figure.key]))}, the target is {shown(figure.target)}.")
    return sentences


def shown(value: Value) -> str:
    """A figure for people."""
    if value is None:
        return "never"
    if isinstance(value, str):
        return value
    if abs(value) < 0.005:
        return "0"
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def table(results: Mapping[str, Series], absent: Mapping[str, str]) -> list[list[str]]:
    """The lines of the table, the first one its head.

    Args:
        results: By library.
        absent: Libraries without results, and why, such as "not installed".
    """
    others = [name for name in TITLES if name != OURS and (name in results or name in absent)]
    lines = [["", "target", TITLES[OURS], "", *(TITLES[name] for name in others)]]
    for figure in FIGURES:
        target = "–" if figure.target is None else shown(figure.target)
        if isinstance(figure.target, int | float):
            target = f"≤ {target}"
        cells = [_cell(results.get(name, {}), figure.key, absent.get(name)) for name in (OURS, *others)]
        ours = results.get(OURS, {}).get(figure.key, ())
        lines.append([figure.label, target, cells[0], verdict(figure, ours), *cells[1:]])
    return lines


def _cell(series: Series, key: str, absent: str | None) -> str:
    values = series.get(key)
    return shown(best(values)) if values else absent or "–"


def markdown(lines: Sequence[Sequence[str]], facts: Mapping[str, str], notes: Sequence[str]) -> str:
    """The whole of AGENT_LOOP.md.

    Args:
        lines: Of ``table``.
        facts: Machine, date, versions and command.
        notes: What failed, and the targets that are missed; may be empty.
    """
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    parts = [
        "# The agent loop beside its peers",
        "Written by `python -m benchmarks.agent_loop --write`; `README.md` beside this file says what is measured.",
        "\n".join(f"- **{name}**: {value}" for name, value in facts.items()),
        "\n".join([head, "|" + "---|" * len(lines[0]), *body]),
        "The best of the rounds' medians. *Over the client*: less what the scripted model itself takes, measured by"
        " turns with it. *Never*: not before the cyclic garbage collector runs.",
        *(["\n".join(f"- {note}" for note in notes)] if notes else []),
    ]
    return "\n\n".join(parts) + "\n"


def document(results: Mapping[str, Series], facts: Mapping[str, str], absent: Mapping[str, str]) -> dict[str, Any]:
    """The whole of agent_loop.json: every round, and how the targets stand."""
    ours = results.get(OURS, {})
    return {
        "facts": dict(facts),
        "absent": dict(absent),
        "targets": {
            figure.key: {"target": figure.target, "verdict": verdict(figure, ours.get(figure.key, ()))}
            for figure in FIGURES
            if figure.target is not None
        },
        "rounds": {
            name: {key: [_rounded(value) for value in values] for key, values in series.items()}
            for name, series in results.items()
        },
    }


def _rounded(value: Value) -> Value:
    return round(value, 3) if isinstance(value, int | float) else value
