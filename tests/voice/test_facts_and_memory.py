from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.redaction import Redactor
from antiphon.voice.facts import MAX_FACTS, FactsSheet
from antiphon.voice.memory import MemoryStore

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def full_sheet() -> FactsSheet:
    sheet = FactsSheet()
    for number in range(MAX_FACTS):
        sheet.put(f"fact {number}", str(number), at=NOW + timedelta(minutes=number), pinned=number == 0)
    return sheet


def test_a_fact_is_added_replaced_and_removed() -> None:
    sheet = FactsSheet()
    sheet.put("Name", "Ada", at=NOW)
    sheet.put(" name: ", "Ada  Lovelace", at=NOW)
    assert sheet.text == "name: Ada Lovelace"
    assert sheet.remove("NAME")
    assert not sheet.remove("name")
    assert len(sheet) == 0


def test_facts_that_a_summary_does_not_name_stay() -> None:
    sheet = FactsSheet()
    sheet.put("name", "Ada", at=NOW)
    sheet.put("city", "Bern", at=NOW)
    sheet.put("code", "kept", at=NOW, pinned=True)
    for _ in range(5):
        sheet.take({"pet": "cat"}, ["city", "code", "unknown"], at=NOW)
    assert sheet.text == "name: Ada; code: kept; pet: cat"


def test_the_least_recently_said_fact_leaves_a_full_sheet_but_no_pinned_one() -> None:
    sheet = full_sheet()
    sheet.put("fact 1", "said again", at=NOW + timedelta(days=1))
    sheet.put("new", "x", at=NOW + timedelta(days=2))
    assert len(sheet) == MAX_FACTS
    assert "fact 0" in sheet
    assert "fact 1" in sheet
    assert "fact 2" not in sheet


def test_values_and_keys_are_cut_and_empty_ones_ignored() -> None:
    sheet = FactsSheet()
    sheet.put("k" * 300, "v" * 300, at=NOW)
    sheet.put("", "value", at=NOW)
    sheet.put("key", " \n ", at=NOW)
    assert [(len(key), len(fact.value)) for key, fact in sheet.facts.items()] == [(66, 200)]


def test_memory_comes_back_in_order(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "deep" / "memory.sqlite")
    assert store.load()[0] == ""
    sheet = full_sheet()
    store.save("They talked.", sheet)
    synopsis, loaded = store.load()
    assert synopsis == "They talked."
    assert loaded.facts == sheet.facts
    assert list(loaded.facts) == list(sheet.facts)
    sheet.remove("fact 3")
    store.save("", sheet)
    assert "fact 3" not in store.load()[1]


def test_memory_is_redacted_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    sheet = FactsSheet()
    sheet.put("mail", "ada@example.com", at=NOW)
    MemoryStore(path, redact=Redactor().redact).save("Call +1 555 123 4567.", sheet)
    content = path.read_bytes()
    assert b"ada@example.com" not in content
    assert b"4567" not in content
    assert b"[REDACTED_EMAIL]" in content
    assert b"[REDACTED_PHONE]" in content


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    sheet = FactsSheet()
    sheet.put("name", "Ada", at=NOW)
    MemoryStore(path).save("first", sheet)

    def broken(text: str) -> str:
        if text == "second":
            raise sqlite3.OperationalError("disk full")
        return text

    with pytest.raises(ConfigurationError, match="disk full"):
        MemoryStore(path, redact=broken).save("second", FactsSheet())
    synopsis, loaded = MemoryStore(path).load()
    assert synopsis == "first"
    assert loaded.text == "name: Ada"


def test_a_file_that_is_no_memory_is_told(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    path.write_text("this is no database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigurationError, match="MEMORY_PATH"):
        MemoryStore(path).load()
