"""The Python of the pages on agents runs: each page from its top, block after block, as a reader would type it.

The configured model is a server on the loopback that gives the answers below, and no line of a page is changed.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from antiphon.agents.observability import disable_instrumentation
from antiphon.agents.observability.switch import SWITCH
from antiphon.models.catalog import close_clients
from tests.llm.vendor import Answer, delta, stream, vendor, words

ROOT = Path(__file__).parents[2]
TO_BILLING = [{"index": 0, "id": "c1", "function": {"name": "handoff_to_billing", "arguments": '{"reason":"A bill."}'}}]
REFUND = [{"index": 0, "id": "c1", "function": {"name": "refund", "arguments": '{"patient":"Ada","dollars":95}'}}]


def asking(name: str, arguments: str) -> list[dict[str, Any]]:
    """What a vendor sends of a call."""
    return [{"index": 0, "id": f"call_{name}", "function": {"name": name, "arguments": arguments}}]


PAGES: dict[str, tuple[list[Answer], list[str]]] = {
    "agents.md": (
        [
            words("It is 95 dollars."),
            words("It is 95 dollars."),
            words("It is ", "95 dollars."),
            words('{"name": "Ada", "day": "tuesday"}'),
            words("From nine to five."),
        ],
        [
            "It is 95 dollars.",
            "It is 95 dollars.Your name is Ada. 4",
            "You are Ada. 4",
            "1",
            "[('desk', 1, 8, 'stop')]",
        ],
    ),
    "calls.md": ([], []),
    "local-voice.md": ([], []),  # needs a microphone from its last line on: only that it is right
    "tools.md": (
        [stream(delta(tool_calls=REFUND, finish="tool_calls")), words("Done.")],
        ["refund(patient='Ada', dollars=95)"],
    ),
    "orchestrations.md": ([words(text) for text in ("A draft.", "Short.") * 3], []),
    "agent-files.md": ([words("It is 180 dollars.")], []),
    "collectors.md": (
        [
            stream(delta(tool_calls=asking("collect_digits", "{}"), finish="tool_calls")),
            words("What is your booking number?"),
            stream(
                delta(
                    tool_calls=asking("record", '{"digits":"four seven double one eight three"}'), finish="tool_calls"
                )
            ),
            words("4 7 1 1 8 3, is that right?"),
            stream(delta(tool_calls=asking("confirm", "{}"), finish="tool_calls")),
            words("From three o'clock."),
        ],
        [
            "collect_digits: What is your booking number?",
            "collect_digits: 4 7 1 1 8 3, is that right?",
            "desk: From three o'clock.",
            "{'collect_digits': {'digits': '471183'}}",
        ],
    ),
    "telephony.md": ([], []),
    "scenarios.md": (
        [stream(delta(tool_calls=TO_BILLING, finish="tool_calls")), words("It is for a crown.")],
        ["billing It is for a crown.", "() ['handoff_to_billing']"],
    ),
}


def blocks(page: str) -> list[tuple[int, str]]:
    """The blocks of Python of a page, with their lines."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text[: block.start()].count("\n") + 2, block[1]) for block in found]


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, told = PAGES[page]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTIPHON_LLM", "openai/gpt-4o-mini")
    monkeypatch.setenv("SHOP_KEY", "a key")
    names: dict[str, Any] = {}
    with asyncio.Runner() as runner:
        serving = vendor(*answers)
        server = runner.run(serving.__aenter__())
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        try:
            for line, block in blocks(page):
                # As in the interactive Python of ``python -m asyncio``: a block may wait.
                code = compile("\n" * (line - 1) + block, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
                waits = eval(code, names)
                if inspect.isawaitable(waits):
                    runner.run(_finished(waits))
            assert server.answers == []
        finally:
            runner.run(close_clients())
            runner.run(serving.__aexit__(None, None, None))
            disable_instrumentation()
            SWITCH.runs = None
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in told if line not in printed] == []


async def _finished(waits: Any) -> None:
    await waits


def test_no_page_with_python_is_forgotten() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md") if blocks(path.name)}
    assert pages - PAGES.keys() == {
        "providers.md",  # tests/llm/test_providers_doc.py
        "realtime.md",  # tests/clients/snippets.py
    }
