"""How good and how fast the embedded language model is, with the demonstration's agent.

    python -m benchmarks.embedded_llm [--json] [--threads N]

Questions on the clinic's facts, bookings that must be in the table, the router's choices, latencies, and how soon a
closed stream stops. Needs the weights (``antiphon models pull``).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from antiphon.agents.agent import Agent
from antiphon.agents.instructions import instructions_for
from antiphon.agents.session import AgentSession
from antiphon.clock import WallClock
from antiphon.demo.agent import DATABASE, agent
from antiphon.demo.booking import appointments
from antiphon.models.catalog import LLM_WEIGHT
from antiphon.models.llm.grammar import numbers_in
from antiphon.models.llm.llama import EmbeddedChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings
from benchmarks.embedded_cases import BOOKINGS, GREETING, QUESTIONS, ROUTED, Booking, Question, Routed

NOW: Final = datetime(2026, 1, 5, 9, 0)
_STOPS = 5


@dataclass(slots=True)
class Results:
    """Everything that was measured; times in milliseconds.

    Attributes:
        right: Questions that were answered rightly.
        invented: Answers with a number that is not of the fact that was asked for.
        booked: Bookings that are in the table as wanted.
        routed: Utterances that led to the right tool or answer.
        questions, bookings, utterances: How many there were.
        faults: What went wrong, in words.
        latency_ms: Medians by stage.
        tokens_per_s: Speed of an answer.
    """

    right: int = 0
    invented: int = 0
    booked: int = 0
    routed: int = 0
    questions: int = len(QUESTIONS)
    bookings: int = len(BOOKINGS)
    utterances: int = len(ROUTED)
    faults: list[str] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=dict)
    tokens_per_s: float = 0.0


def conversation(*texts: str) -> AgentSession:
    """A session in which the agent has spoken first, and the two have then taken turns."""
    session = AgentSession()
    session.messages += [
        Message("user" if place % 2 else "assistant", text) for place, text in enumerate(texts or (GREETING,))
    ]
    return session


async def answer(desk: Agent, question: Question) -> tuple[str, bool, set[str]]:
    """The answer, whether it is right, and the numbers in it that should not be there."""
    reply = (await desk.run(question.said, session=conversation())).text
    is_right = re.search(question.expected, reply, re.IGNORECASE) is not None
    return reply, is_right, numbers_in([reply]) - set(question.numbers) - {"12"} - numbers_in([question.said])


async def booked(desk: Agent, booking: Booking) -> tuple[str, list[tuple[str, datetime]]]:
    """The agent's last words, and the table's rows behind the booking."""
    session = conversation()
    reply = ""
    with tempfile.TemporaryDirectory() as folder:
        for line in booking.lines:
            values = {"data_dir": folder, "now": NOW}
            reply = (await desk.run(line, session=session, values=values)).text
        return reply, appointments(Path(folder) / DATABASE)


async def routed(client: EmbeddedChatClient, desk: Agent, utterance: Routed) -> str:
    """The tool that an utterance leads to; ``?`` where the agent asks for what is missing, empty for an answer."""
    messages = [
        Message("system", await instructions_for(desk)),
        *conversation(*utterance.before).messages,
        Message("user", utterance.said),
    ]
    async with aclosing(client.stream(messages, desk.request_options)) as deltas:
        async for delta in deltas:
            if delta.calls:
                return delta.calls[0].name
            if delta.text.startswith("Sure. Could you tell me"):
                return "?"
            return ""
    return ""


async def run(client: EmbeddedChatClient) -> Results:
    """Measure everything."""
    results = Results()
    clock = WallClock()
    desk = agent.replace(model=client)
    begun_at = clock.now()
    await client.warm()
    results.latency_ms["load"] = (clock.now() - begun_at) * 1000
    begun_at = clock.now()
    await client.warm([Message("system", await instructions_for(desk))], desk.request_options)
    results.latency_ms["warm the agent"] = (clock.now() - begun_at) * 1000
    await _questions(client, desk, results)
    await _bookings(client, desk, results)
    for utterance in ROUTED:
        tool = await routed(client, desk, utterance)
        if tool == utterance.tool or (tool == "?" and utterance.tool == "book_appointment"):
            results.routed += 1
        else:
            results.faults.append(f"routed to {tool or 'an answer'}: {utterance.said}")
    results.latency_ms["stop"] = await _stop_ms(client)
    return results


async def _questions(client: EmbeddedChatClient, desk: Agent, results: Results) -> None:
    client.figures.clear()
    for question in QUESTIONS:
        reply, is_right, invented = await answer(desk, question)
        results.right += is_right
        results.invented += bool(invented)
        if invented or not is_right:
            results.faults.append(f"{question.said} -> {reply}")
    told = [figures for figures in client.figures if figures.first_token_ms is not None]
    _median(results, "route", [figures.route_ms for figures in told])
    _median(results, "first token of an answer", [figures.first_token_ms for figures in told])
    _median(results, "asked to first token", [(each.route_ms or 0) + (each.first_token_ms or 0) for each in told])
    _median(results, "whole answer", [figures.total_ms for figures in told])
    spent_s = sum(each.total_ms - (each.route_ms or 0) - (each.first_token_ms or 0) for each in told) / 1000
    results.tokens_per_s = sum(each.usage.output_tokens - 1 for each in told) / spent_s


async def _bookings(client: EmbeddedChatClient, desk: Agent, results: Results) -> None:
    client.figures.clear()
    for booking in BOOKINGS:
        reply, rows = await booked(desk, booking)
        if rows == [(booking.service, datetime.fromisoformat(booking.starts_at))]:
            results.booked += 1
        else:
            results.faults.append(f"{' | '.join(booking.lines)} -> {rows} {reply}")
    _median(results, "arguments", [figures.fill_ms for figures in client.figures if figures.tool])
    _median(results, "whole call of a tool", [figures.total_ms for figures in client.figures if figures.tool])


async def _stop_ms(client: EmbeddedChatClient) -> float:
    """From closing a stream in the middle of an answer until another turn may begin; the worst of some."""
    clock = WallClock()
    worst = 0.0
    for _ in range(_STOPS):
        deltas = client.stream([Message("user", "Tell me the story of a king and his horse.")], agent.options)
        async with aclosing(deltas):
            async for _delta in deltas:
                break
            begun_at = clock.now()
        await client.idle()
        worst = max(worst, (clock.now() - begun_at) * 1000)
    return worst


def _median(results: Results, stage: str, values: Sequence[float | None]) -> None:
    known = [value for value in values if value is not None]
    if known:
        results.latency_ms[stage] = statistics.median(known)


def _table(results: Results) -> Table:
    table = Table("measured", "result", title="the embedded language model")
    table.add_row("questions answered rightly", f"{results.right} of {results.questions}")
    table.add_row("answers with an invented number", str(results.invented))
    table.add_row("bookings in the table", f"{results.booked} of {results.bookings}")
    table.add_row("utterances routed rightly", f"{results.routed} of {results.utterances}")
    for stage, value in results.latency_ms.items():
        table.add_row(stage, f"{value:,.0f} ms")
    table.add_row("speed of an answer", f"{results.tokens_per_s:.0f} tokens/s")
    return table


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--threads", type=int, help="threads that compute; the machine's cores unless given")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    weights = WeightStore(load_settings().data_dir)

    async def measured() -> Results:
        client = EmbeddedChatClient(weights.path(LLM_WEIGHT), threads=options.threads)
        try:
            return await run(client)
        finally:
            await client.aclose()

    results = asyncio.run(measured())
    told: dict[str, Any] = asdict(results)
    if options.json:
        print(msgspec.json.encode(told).decode())
        return
    console = Console()
    console.print(_table(results))
    for fault in results.faults:
        console.print(f"[red]fault[/red] {fault}", highlight=False)


if __name__ == "__main__":
    main()
