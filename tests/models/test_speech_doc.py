"""What docs/providers.md says of recognisers and voices is what the program has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from antiphon.models import catalog
from antiphon.models.pool import ACQUIRE_S, USED_S, PoolLimits
from antiphon.models.speech import STT_EXAMPLES, TTS_EXAMPLES
from antiphon.models.stt import failover as stt_failover
from antiphon.models.tts import cartesia, elevenlabs, openai
from antiphon.models.tts import failover as tts_failover
from antiphon.settings import Settings, load_settings

DOC = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
SECTION = DOC.split("## Recognisers and voices")[1].split("\n## ")[0]


def rows(role: str) -> list[list[str]]:
    table = SECTION.split(f"| `{role}` |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize(("role", "examples"), [("stt", STT_EXAMPLES), ("tts", TTS_EXAMPLES)])
def test_table_has_every_vendor_with_its_example(role: str, examples: dict[str, str]) -> None:
    found = {}
    for row in rows(role):
        vendor = re.match(r"`([a-z]+)/", row[0])
        if vendor is not None:
            found[vendor[1]] = re.findall(r"`([^`]+)`", row[0])[1]
    assert found == dict(examples)


@pytest.mark.parametrize("role", ["stt", "tts"])
def test_table_has_every_embedded_name(role: str) -> None:
    makers = catalog.STTS if role == "stt" else catalog.TTSS
    named = re.findall(r"`([a-z]+)`", rows(role)[-1][0])
    assert set(named) == set(makers) - {"bench"}


def test_keys_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set(re.findall(r"`([A-Z_]+_(?:KEY|REGION))`", SECTION))
    assert len(keys) == 7
    for name in keys:
        monkeypatch.setenv(name, f"value of {name}")
    settings = Settings(_env_file=None)
    for name in keys - {"ELEVEN_API_KEY"}:
        value = getattr(settings, name.lower())
        assert (value if isinstance(value, str) else value.get_secret_value()) == f"value of {name}"


def test_address_of_the_document_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = re.findall(r"(ANTIPHON_SPEECH_URLS__\w+)=(\S+)", SECTION)[0]
    monkeypatch.setenv(name, value)
    assert load_settings(env_file=None).speech_urls == {"deepgram": value}


def test_figures_are_the_programs() -> None:
    words = " ".join(SECTION.split())
    assert f"no sound for {tts_failover.FIRST_CHUNK_S:g} s" in words
    assert f"no final words come for {stt_failover.FINAL_S:g} s" in words
    assert f"waits {ACQUIRE_S:g} s at most" in words
    assert f"at most {PoolLimits().size} in all" in words
    assert USED_S == 300
    assert "in the last five minutes" in words
    assert cartesia.LIMITS.warm == elevenlabs.LIMITS.warm == 3
    for speeds in (elevenlabs._SPEEDS, cartesia._SPEEDS, openai._SPEEDS):
        assert f"| {speeds[0]:g}–{speeds[1]:g} |" in SECTION
