"""What the programs of all libraries share; the standard library alone, because each runs in its library's environment.

A program gives ``main`` its scenarios by name. Each gets a minute, and one line on standard output: PASS or FAIL,
the scenario, how long it took, and what failed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import sys
import time
import traceback
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

RATE_HZ = 24_000
LIMIT_S = 60.0
STEP_S = 0.02
STEP_BYTES = int(RATE_HZ * STEP_S) * 2

PORT = int(os.environ["CLIENTS_PORT"])
"""Where the recording proxy listens."""
WS_URL = f"ws://127.0.0.1:{PORT}/v1"
HTTP_URL = f"http://127.0.0.1:{PORT}/v1"
SERVER_URL = os.environ["CLIENTS_SERVER"]
"""The server itself, for REST."""
MCP_URL = os.environ["CLIENTS_MCP"]
"""An MCP server that adds numbers."""
IS_WHOLE = os.environ["CLIENTS_EVENTS"] == "all"
"""Whether all server events pass, or only the smallest set."""

FILES = Path(os.environ["CLIENTS_FILES"])
"""What the runner has prepared: recordings, and the SDP offer of a browser."""

_PROMPTS = Path(os.environ["CLIENTS_PROMPTS"])

Scenario = Callable[[], Awaitable[None]]


def main(scenarios: Mapping[str, Scenario]) -> None:
    """Run the scenarios that the command line names, or all; the exit code tells whether all passed."""
    logging.basicConfig(stream=sys.stderr, level=os.environ.get("CLIENTS_LOG", "WARNING"))
    chosen = sys.argv[1:] or list(scenarios)
    passed = [asyncio.run(_run(name, scenarios[name])) for name in chosen]
    sys.exit(0 if all(passed) else 1)


async def _run(name: str, scenario: Scenario) -> bool:
    await _steer(f"scenario/{name}")
    began = time.monotonic()
    fault = ""
    try:
        async with asyncio.timeout(LIMIT_S):
            await scenario()
    except Exception as exc:
        traceback.print_exc()
        fault = f" {type(exc).__name__}: {exc} ({_place(exc)})".replace("\n", " ")
    verdict = "FAIL" if fault else "PASS"
    print(f"{verdict} {name:10} {time.monotonic() - began:5.1f} s{fault}", flush=True)
    return not fault


def _place(exc: Exception) -> str:
    """The scenario's own line that failed."""
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if "/with_" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else "outside"


async def drop() -> None:
    """Break every connection to the server off."""
    await _steer("drop")


async def _steer(path: str) -> None:
    def ask() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/{path}", timeout=5) as answer:
            answer.read()

    await asyncio.to_thread(ask)


def speech(name: str) -> bytes:
    """A recorded caller: 16-bit PCM, 24 kHz, mono."""
    return (FILES / f"{name}.pcm").read_bytes()


@asynccontextmanager
async def microphone(send: Callable[[bytes], Awaitable[object]], name: str) -> AsyncIterator[None]:
    """A microphone: the recorded caller, then silence until the body ends; 20 ms of sound each 20 ms."""
    audio = speech(name)

    async def capture() -> None:
        began = time.monotonic()
        for number in itertools.count(1):
            at = (number - 1) * STEP_BYTES
            await send(audio[at : at + STEP_BYTES].ljust(STEP_BYTES, b"\0"))
            await asyncio.sleep(max(0.0, began + number * STEP_S - time.monotonic()))

    capturing = asyncio.create_task(capture())
    try:
        yield
        assert not capturing.done(), capturing
    finally:
        capturing.cancel()


def last_prompt(containing: str) -> list[dict[str, Any]]:
    """The messages of the last request that the language model got, among those whose last message says this.

    Raises:
        AssertionError: There is none.
    """
    with _PROMPTS.open(encoding="utf-8") as file:
        prompts = [json.loads(line)["messages"] for line in file]
    found = [messages for messages in prompts if containing in messages[-1]["text"]]
    assert found, f"The model was never asked {containing!r}."
    last: list[dict[str, Any]] = found[-1]
    return last


async def until(condition: Callable[[], object], *, what: str, limit_s: float = 25.0) -> None:
    """Wait for something that tells nobody when it happens.

    Raises:
        AssertionError: It did not happen in time.
    """
    until_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until_s, f"In {limit_s:.0f} s there was no {what}."
        await asyncio.sleep(0.01)


def check_heard(story: str, *, heard_ms: float, ms_per_char: float) -> list[dict[str, Any]]:
    """The prompt behind an interruption of the story: it holds the words that were heard and no others.

    Args:
        story: The whole story.
        heard_ms: What the client says it has played.
        ms_per_char: How fast the voice speaks.

    Raises:
        AssertionError: It holds fewer or more.
    """
    prompt = last_prompt("Sunday")
    told = [message["text"] for message in prompt if message["role"] == "assistant" and "Chapter" in message["text"]]
    assert len(told) == 1, f"The prompt holds {len(told)} answers with the story: {prompt}"
    kept = told[0].rstrip("…. ")
    assert story.startswith(kept), f"The prompt holds what was never said: {told[0]!r}"
    # A word is kept or cut as a whole, clauses are rounded to pieces of sound.
    expected = heard_ms / ms_per_char
    assert abs(len(kept) - expected) <= 14, f"{heard_ms:.0f} ms are {expected:.0f} letters, the prompt has {len(kept)}."
    return prompt
