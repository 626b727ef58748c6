"""What docs/providers.md shows works, and its table is the program's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from antiphon.models.llm.connect import provider_named
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import PROVIDERS
from antiphon.settings import Settings

DOC = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


def test_every_block_of_python_is_sound_and_the_imports_are_there() -> None:
    for block in BLOCKS:
        compile(block, "docs/providers.md", "exec")
    names: dict[str, Any] = {}
    for line in re.findall(r"^from antiphon\.models.*$", "\n".join(BLOCKS), re.MULTILINE):
        exec(line, names)


async def test_the_clients_of_the_document_are_made() -> None:
    names: dict[str, Any] = {}
    code = [block for block in BLOCKS if "Agent(" not in block]
    assert len(code) == 3
    exec("\n".join(code), names)
    assert names["groq"].name == "groq/llama-3.3-70b-versatile"
    assert names["client"].name == "openai-responses/gpt-5-mini|groq/llama-3.3-70b-versatile"
    deltas = names["EchoClient"]().stream([Message("user", "one two")], ChatOptions())
    assert "".join([delta.text async for delta in deltas]) == "one two "
    await names["client"].aclose()


def rows() -> list[list[str]]:
    table = DOC.split("## The table")[1].split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row[0]))
def test_providers_and_their_keys_are_as_the_table_says(row: list[str]) -> None:
    for name in re.findall(r"`([a-z-]+)`", row[0]):
        if name in ("embedded", "scripted"):
            continue
        known = PROVIDERS.get(provider_named(name))
        keys = re.findall(r"[A-Z_]+_API_KEY", row[1])
        for key in keys:
            assert key.removeprefix("ANTIPHON_").lower() in Settings.model_fields or key == "GOOGLE_API_KEY"
        if known is not None:
            assert keys[0] == known.key
            assert known.needs_key is not row[1].startswith("none")
            assert "http" not in row[2] or row[2].strip("`") == known.base_url


def test_no_provider_is_missing_from_the_table() -> None:
    assert set(PROVIDERS) <= set(re.findall(r"`([a-z-]+)`", " ".join(row[0] for row in rows())))
