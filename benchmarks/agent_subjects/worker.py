"""Measures one library, in a process of its own: ``python -m benchmarks.agent_subjects.worker NAME``.

It says who it is, then reads one measurement a line and answers with its figures, as JSON. So the driver can ask one
library after the other, again and again, and a noisy minute falls on all of them.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any, cast

from benchmarks.agent_subjects import script as said
from benchmarks.agent_subjects.script import Library, Module

Figures = dict[str, float | str | None]
Measure = Callable[[Module, dict[str, Any]], Awaitable[Figures]]

_LEAST_TURNS = 5
_IN_FLIGHT = 64
_CONVERSATIONS = 100
_TURNS_A_SECOND = 25
_WORD_S = 0.01
_CLOSED_WITHIN_S = 2.0
_GARBAGE_TURNS = 20


def _us(values_s: list[float]) -> float:
    return statistics.median(values_s) * 1e6


async def _whole(module: Module, request: dict[str, Any], *, ask: str, key: str) -> Figures:
    """A turn, and by turns with it what the scripted model alone takes."""
    library = module.make(None, 0.0)
    await _proven(library)
    turns: list[float] = []
    alone: list[float] = []
    until = said.now() + request["seconds"]
    while said.now() < until or len(turns) < _LEAST_TURNS:
        began = said.now()
        await library.turn(ask)
        turned = said.now()
        await library.model_alone(ask, stream=False)
        turns.append(turned - began)
        alone.append(said.now() - turned)
    return {f"{key}_us": _us(turns), f"{key}_over_us": _us(turns) - _us(alone)}


async def _text(module: Module, request: dict[str, Any]) -> Figures:
    return await _whole(module, request, ask=said.HELLO, key="text")


async def _tool(module: Module, request: dict[str, Any]) -> Figures:
    return await _whole(module, request, ask=said.ASK, key="tool")


async def _past(module: Module, request: dict[str, Any]) -> Figures:
    library = module.make(None, 0.0)
    assert await library.turn(said.ASK, past=True), "a turn behind a history gives an answer"
    turns: list[float] = []
    until = said.now() + request["seconds"]
    while said.now() < until or len(turns) < _LEAST_TURNS:
        began = said.now()
        await library.turn(said.ASK, past=True)
        turns.append(said.now() - began)
    return {"past_us": _us(turns)}


async def _stream(module: Module, request: dict[str, Any]) -> Figures:
    library = module.make(None, 0.0)
    await _proven(library)
    firsts: list[float] = []
    totals: list[float] = []
    alone: list[float] = []
    until = said.now() + request["seconds"]
    while said.now() < until or len(totals) < _LEAST_TURNS:
        first, total = await _streamed(library)
        firsts.append(first)
        totals.append(total)
        began = said.now()
        await library.model_alone(said.ASK, stream=True)
        alone.append(said.now() - began)
    return {"first_us": _us(firsts), "stream_us": _us(totals), "stream_over_us": _us(totals) - _us(alone)}


async def _streamed(library: Library) -> tuple[float, float]:
    """Seconds to the first text and to the end of a streamed turn."""
    first = None
    began = said.now()
    async for _ in library.stream(said.ASK):
        if first is None:
            first = said.now() - began
    assert first is not None, "a streamed turn has text"
    return first, said.now() - began


async def _proven(library: Library) -> None:
    """A library that does something else is not measured."""
    _prove(await library.turn(said.ASK))
    _prove("".join([piece async for piece in library.stream(said.ASK)]))


def _prove(answer: str) -> None:
    if answer.strip() != said.ANSWER.strip():
        raise ValueError(f"The answer should be {said.ANSWER[:20]!r}... and is {answer[:80]!r}.")


async def _in_flight(module: Module, request: dict[str, Any]) -> Figures:
    library = module.make(None, 0.0)
    await library.turn(said.ASK)
    rounds: list[float] = []
    until = said.now() + request["seconds"]
    while said.now() < until or len(rounds) < _LEAST_TURNS:
        began = said.now()
        await asyncio.gather(*(library.turn(said.ASK) for _ in range(_IN_FLIGHT)))
        rounds.append((said.now() - began) / _IN_FLIGHT)
    return {"in_flight_us": _us(rounds)}


async def _http(module: Module, request: dict[str, Any]) -> Figures:
    library = module.make(request["url"], 0.0)
    _prove("".join([piece async for piece in library.stream(said.ASK)]))
    firsts: list[float] = []
    totals: list[float] = []
    until = said.now() + request["seconds"]
    cpu_s = time.process_time()
    while said.now() < until or len(totals) < _LEAST_TURNS:
        first, total = await _streamed(library)
        firsts.append(first)
        totals.append(total)
    cpu_s = time.process_time() - cpu_s
    await library.aclose()
    return {
        "http_first_ms": _us(firsts) / 1000,
        "http_total_ms": _us(totals) / 1000,
        "http_cpu_ms": cpu_s / len(totals) * 1000,
    }


async def _garbage(module: Module, _: dict[str, Any]) -> Figures:
    """What only the cyclic collector can free, of whole streamed turns."""
    library = module.make(None, 0.0)
    for _turn in range(3):
        await _streamed(library)
    await asyncio.sleep(0.01)
    with _without_collector():
        for _turn in range(_GARBAGE_TURNS):
            await _streamed(library)
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        return {"garbage": gc.collect() / _GARBAGE_TURNS}


async def _callback(module: Module, _: dict[str, Any]) -> Figures:
    """The longest callback of the loop under conversations that stream their words as a network would bring them."""
    library = module.make(None, _WORD_S / 2)
    await _streamed(library)
    gc.collect()
    gc.freeze()

    async def conversation(number: int) -> None:
        await asyncio.sleep(number / _TURNS_A_SECOND)
        await _streamed(library)

    with _longest() as longest:
        await asyncio.gather(*map(conversation, range(_CONVERSATIONS)))
    gc.unfreeze()
    return {"callback_ms": longest[0] * 1000}


async def _leave(module: Module, _: dict[str, Any]) -> Figures:
    """How long the model's stream lives after the loop over it was left."""
    library = module.make(None, _WORD_S)
    figures: Figures = {}
    for key, close in (("break_ms", False), ("close_ms", True)):
        await library.turn(said.HELLO)
        # An earlier stream that still runs must not be taken for this one.
        await asyncio.sleep(_WORD_S * len(said.WORDS) * 1.5)
        with _without_collector():
            closed = library.closed()
            left_at = await library.leave(close=close)
            # Looked at in each pass of the loop: an event would be set by only some of the models.
            while library.closed() == closed and said.now() - left_at < _CLOSED_WITHIN_S:  # noqa: ASYNC110
                await asyncio.sleep(0)
            figures[key] = (said.now() - left_at) * 1000 if library.closed() > closed else None
    return figures


async def _cut(module: Module, _: dict[str, Any]) -> Figures:
    library = module.make(None, _WORD_S)
    figures: Figures = {}
    for key, cancel in (("kept_closed", False), ("kept_cancelled", True)):
        entries = await library.cut(cancel=cancel)
        if entries is not None:
            figures[key] = kept(entries)
    return figures


def kept(entries: list[tuple[str, str]]) -> str:
    """What a conversation holds of a turn that was cut, in words."""
    parts = ["user"] if any(said.HELLO in text for role, text in entries if role == "user") else []
    answer = "".join(text for role, text in entries if role == "assistant")
    if words := answer.count("word"):
        parts.append(f"{words} words" if words != said.HEARD else "the heard words")
    return " + ".join(parts) or "nothing"


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _longest() -> Iterator[list[float]]:
    """CPU time of the loop's longest callback: what other programs take of the core does not count."""
    run = asyncio.Handle._run
    longest = [0.0]

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        longest[0] = max(longest[0], time.thread_time() - began)

    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield longest
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


MEASURES: dict[str, Measure] = {
    "text": _text,
    "tool": _tool,
    "past": _past,
    "stream": _stream,
    "in_flight": _in_flight,
    "http": _http,
    "garbage": _garbage,
    "callback": _callback,
    "leave": _leave,
    "cut": _cut,
}


def main(name: str) -> None:
    """Answer the driver until it closes the pipe."""
    # What a library prints must not get between the lines.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(line: object) -> None:
        print(json.dumps(line), file=answers, flush=True)

    try:
        module = cast(Module, importlib.import_module(f"benchmarks.agent_subjects.{name}_agent"))
    except ModuleNotFoundError as error:
        say({"missing": error.name})
        return
    versions = {package: metadata.version(package) for package in module.PACKAGES}
    say({"versions": versions, "imports": module.IMPORTS})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            figures = asyncio.run(cast(Any, MEASURES[request["measure"]](module, request)))
        except Exception as error:  # whatever a library raises is an answer
            say({"error": f"{type(error).__name__}: {error}"})
        else:
            say({"figures": figures})


if __name__ == "__main__":
    main(sys.argv[1])
