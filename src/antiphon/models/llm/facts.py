"""Which sentences of the instructions a question is about: a small model finds a fact best where it stands beside it.

By words in common, the rarer the better; no model is asked, so that it costs microseconds and is the same each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n+")
_ORDER = re.compile(
    r"(?i)(you are|you speak|you answer|you must|never|always|do not|don't|answer|be|use|if the caller)\b"
)
"""How sentences begin that are orders to the agent, not facts for the caller."""
_SHORTEST_STEM: Final = 4
_ALIKE: Final = 0.9
"""A second sentence is as good as the first from this share of its score."""
_COMMON: Final = frozenset(
    """a about actually afternoon again all alright also am an and any anyone anything are as ask at be been but
    by bye call can cool could day days did do does else evening fine for from get give go good goodbye got
    great had has have hear hello help here hey hi how if in is it its just know like listen long make many may
    maybe me mean more morning much my need nice no not now of okay on one only or our out people perfect person
    please question repeat right say should so some somebody someone something sorry speak still sure take talk
    tell than thank thanks that the their them then there these they thing this those time times to too uh um
    understand us very want was we well were what when where which who why will with would yes you your""".split()
)
_ASKING: Final = frozenset(
    """are can could did do does has have how is may shall should was were what when where which who whose why will
    would""".split()
)


def relevant(text: str, question: str, *, most: int = 2) -> list[str]:
    """The sentences of ``text`` that ``question`` is about, in their order; empty where none, or too many, would do."""
    asked = content_words(question)
    sentences = [(each, content_words(each)) for each in facts(text)]
    rarity = {word: sum(_has(words, word) for _, words in sentences) for word in asked}
    shared = [frozenset(word for word in asked if _has(words, word)) for _, words in sentences]
    scored = [sum(1 / rarity[word] for word in words) for words in shared]
    best = max(scored, default=0.0)
    chosen = [place for place, score in enumerate(scored) if score >= _ALIKE * best > 0]
    # Several that share the same common word, beside a word that none has: it asks for another thing of that kind.
    is_doubtful = len(chosen) > 1 and len({shared[place] for place in chosen}) == 1 and 0 in rarity.values()
    return [] if len(chosen) > most or is_doubtful else [sentences[place][0] for place in chosen]


def facts(text: str) -> list[str]:
    """The sentences of instructions that say how things are."""
    sentences = (each.strip(" \t-*") for each in _SENTENCE.split(text))
    return [each for each in sentences if each and not each.endswith(":") and _ORDER.match(each) is None]


def all_known(texts: Iterable[str], question: str) -> bool:
    """Whether each word of the question that carries meaning occurs in the texts, in some form."""
    known = [word for text in texts for word in content_words(text)]
    return all(_has(known, word) for word in content_words(question))


def is_question(text: str) -> bool:
    """By its mark, or, since speech recognition may leave that out, by its first word."""
    words = _WORD.findall(text.lower())
    return text.rstrip().endswith("?") or (bool(words) and words[0] in _ASKING)


def content_words(text: str) -> Sequence[str]:
    """The words that carry meaning, in lower case, each once."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _COMMON and len(word) > 1)
    return list(dict.fromkeys(words))


def shares_a_word(text: str, other: str) -> bool:
    """Whether a word that carries meaning, or a form of it, is in both."""
    words = content_words(other)
    return any(_has(words, word) for word in content_words(text))


def _has(words: Sequence[str], wanted: str) -> bool:
    return any(_alike(word, wanted) for word in words)


def _alike(one: str, other: str) -> bool:
    """The same word, or forms of it: "clean" and "cleaning", "insurance" and "insurances"."""
    if one == other:
        return True
    shorter = min(len(one), len(other))
    stem = max(_SHORTEST_STEM, shorter - 2)
    return shorter >= _SHORTEST_STEM and abs(len(one) - len(other)) <= 3 and one[:stem] == other[:stem]
