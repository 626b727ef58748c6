"""Phrases that a call knows, from ``phrases.toml``: how callers say goodbye, and what machines say."""

from __future__ import annotations

import functools
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from antiphon.calls.endpointing import words_of


def folded(text: str) -> str:
    """Words as they are compared: one line, without case, accents and punctuation."""
    apart = unicodedata.normalize("NFKD", " ".join(words_of(text)))
    return "".join(char for char in apart if not unicodedata.combining(char)).replace("-", " ")


def is_one_of(text: str, phrases: Iterable[str]) -> bool:
    """Whether this is, as a whole, one of the phrases."""
    words = folded(text)
    return bool(words) and any(words == folded(phrase) for phrase in phrases)


def count_in(text: str, phrases: Iterable[str]) -> int:
    """How many of the folded phrases occur in a text."""
    words = f" {folded(text)} "
    return sum(f" {phrase} " in words for phrase in phrases)


def stop_words(language: str | None) -> frozenset[str]:
    """What callers of a language say, alone, to end a call; English unless given, nothing for one that is not known."""
    return frozenset(_table()["stop_words"].get(_primary(language), ()))


def goodbye(language: str | None) -> str | None:
    """What an agent says behind that; None for a language that is not known."""
    return _table()["goodbye"].get(_primary(language))


@functools.cache
def machine_phrases(kind: str) -> frozenset[str]:
    """What machines say, in all languages, folded: ``machine``, ``likely``, or ``human`` for what only people say."""
    return frozenset(folded(phrase) for phrases in _table()[kind].values() for phrase in phrases)


def _primary(language: str | None) -> str:
    return (language or "en").lower().split("-")[0]


@functools.cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("antiphon.calls").joinpath("phrases.toml").read_text("utf-8"))
