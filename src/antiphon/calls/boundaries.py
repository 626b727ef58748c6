"""Where text may be cut, while it is still being written.

Each function looks at one place of a text and answers with the index behind the boundary, ``NONE``, or ``MORE`` when
only the next characters can tell: "3." may become "3.14". An answer other than ``MORE`` never changes with what is
written later; so it does not matter in which pieces a text arrives.
"""

from __future__ import annotations

import re
from typing import Final

from antiphon.calls.speakable import CODE, EMOJI_SIGNS, LINK, STARS, STRIKE, TAG, UNDERSCORES

NONE: Final = 0
MORE: Final = -1

SENTENCE_SIGNS: Final = ".!?…。！？｡।؟"
CLAUSE_SIGNS: Final = ",;:–—，；：、،؛"
MARKUP_SIGNS: Final = "`*_~[<"

MAX_MARKUP: Final = 300
"""A link or emphasis that is not closed within so many characters is none."""
LOOKAHEAD: Final = 8
"""``word_end`` looks no further than so many characters behind its place."""

_REACH = 48  # a longer run of signs or spaces is no sentence's end
_NO_SPACE_NEEDED = "。！？｡—，；：、"

_CLOSING = re.compile(rf"[.!?…。！？]*[\"'”’»)\]}}」』）*_~`{EMOJI_SIGNS}]*")
_NEXT = re.compile(r"\s+[\"'“‘«(\[*_~`]*")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘«*_~`>/–—-]*\Z")
_LETTERS = re.compile(r"[^\W\d_]{1,12}")
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_ENTITY = re.compile(r"&#?\w{1,10}\Z")
_AM_PM = re.compile(r"[ap]\.?m\b", re.IGNORECASE)

_OPEN = frozenset(
    "mr mrs ms mx messrs mme mlle dr dra prof st sra srta vs approx eg ie cf viz incl excl bzw ca".split()
)
"""Abbreviations that something always follows."""
_TITLES = frozenset("rev hon gen col lt sgt capt cmdr maj sen rep gov pres fr mt ft msgr supt".split())
"""The same, when written with a capital."""
_NUMBERED = frozenset("no nos nr p pp vol fig ch art sec para ext tel ph apt ste rm".split())
"""Abbreviations before a number; words of their own, or the end of a sentence, before anything else."""
_MONTHS_AND_DAYS = (
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun "
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday"
).split()
_EITHER = frozenset(
    "a.m p.m ft jr sr inc ltd co corp bros dept etc est min max avg hr hrs mo yr yrs oz lb lbs sq ave blvd rd ln hwy "
    "pkwy ph.d usw".split()
) | frozenset(_MONTHS_AND_DAYS)
"""Abbreviations that end a sentence if the next word has a capital."""
_CAPITALS = frozenset("eastern central mountain pacific est edt cst cdt mst pst pdt et ct pt gmt utc cet bst".split())
_GO_ON = _CAPITALS | frozenset(_MONTHS_AND_DAYS)
"""Words that have a capital anywhere: "9 a.m. Monday to Friday" is one sentence."""

_SHAPES = {"`": CODE, "*": STARS, "_": UNDERSCORES, "~": STRIKE, "[": LINK, "<": TAG}
# What shows that a sign opens nothing, before the longest markup has been waited for.
_NO_MARKUP = {
    "`": re.compile(r"`.*?\n\n", re.DOTALL),
    "*": re.compile(r"(?<=[0-9A-Za-z\\*])\*|\*{4}|\*{1,3}\s|\*(?!\*)[^\n]*\n|\*\*.*?\n\n", re.DOTALL),
    "_": re.compile(r"(?<=[\w\\])_|_{4}|_{1,3}\s|_(?!_)[^\n]*\n|__.*?\n\n", re.DOTALL),
    "~": re.compile(r"~[^~]|~~[\s~]|~~.*?\n\n", re.DOTALL),
    "[": re.compile(r"\[[^\[\]\n]*(?:[\[\n]|\][^(]|\]\((?:[^\n]*\n|[^()\s\"]*\s+[^\s\"')]))"),
    "<": re.compile(r"<(?:[^A-Za-z/]|[^>]*[<\n]|/?[A-Za-z][\w:-]*[ \t]+[^\s=>/]+[\s>])"),
}
_FENCE = re.compile(r"(?:`{3,}[^`\n]*|~{3,}[^\n]*)\n")
_PART_OF_FENCE = re.compile(r"`{1,2}|~{1,2}|`{3,}[^`\n]*|~{3,}[^\n]*")


def sentence_end(text: str, at: int, *, final: bool) -> int:
    """Behind the sentence that the sign at ``at`` ends, with closing quotes and one space.

    Args:
        text: The text so far.
        at: Index of one of ``SENTENCE_SIGNS``.
        final: No more will come.
    """
    behind = _behind(text, at, final)
    if behind <= 0 or text[behind - 1] == "\n" or text[at] != "." or text[at + 1] == ".":
        return behind
    return _behind_word_with_dot(text, at, behind, final)


def clause_end(text: str, at: int, *, final: bool) -> int:
    """Behind the clause that the sign at ``at`` ends.

    Args:
        text: The text so far.
        at: Index of one of ``CLAUSE_SIGNS``.
        final: No more will come.
    """
    sign = text[at]
    spaced = at > 0 and text[at - 1].isspace()
    if at == 0 or (sign in ",;:" and spaced) or (sign == "–" and not spaced):
        return NONE
    behind = _behind(text, at, final)
    if behind <= 0 or (sign == ";" and _ENTITY.search(text, max(0, at - 12), at)):
        return min(behind, NONE)
    if not text[:at].rstrip()[-1:].isdigit():
        return behind
    # "1, 2, 3", "May 5, 2024" and "10 – 12" stay together.
    following = _next_sign(text, behind - 1, final) if text[behind - 1].isspace() else text[behind]
    if following is None:
        return MORE
    return NONE if following.isdigit() else behind


def markup_end(text: str, at: int, *, final: bool) -> int:
    """Behind the link, emphasis, code or tag that opens at ``at``.

    Args:
        text: The text so far.
        at: Index of one of ``MARKUP_SIGNS``.
        final: No more will come.
    """
    limit = at + MAX_MARKUP
    full = final or len(text) >= limit
    found = _SHAPES[text[at]].match(text, at, limit)
    if found:  # one sign more shows that it is not "*a **b"
        return found.end() if full or found.end() < len(text) else MORE
    return NONE if full or _NO_MARKUP[text[at]].match(text, at) else MORE


def fence_end(text: str, at: int, *, final: bool) -> int:
    """Behind the line that opens a block of code at ``at``, where a line begins.

    Args:
        text: The text so far.
        at: Index of a backtick or tilde.
        final: No more will come.
    """
    if found := _FENCE.match(text, at, at + MAX_MARKUP):
        return found.end()
    if not _PART_OF_FENCE.fullmatch(text, at) or len(text) - at >= MAX_MARKUP:
        return NONE
    return MORE if not final else len(text) if len(text) - at >= 3 else NONE


def word_end(text: str, end: int) -> bool:
    """Whether a text without a better boundary may be cut at ``end``.

    Behind a space, but not inside "Dr. Smith", "555 0199", "10 a.m." or "10 – 12".
    """
    if not text[end - 1].isspace():
        return False
    before = text[max(0, end - 4) : end].rstrip(" ,:;–—")
    after = text[end : end + LOOKAHEAD]
    if before[-1:].isdigit():
        return not (after.lstrip(" –—")[:1].isdigit() or _AM_PM.match(after))
    return text[end - 2 : end - 1] != "."


def _behind(text: str, at: int, final: bool) -> int:
    """Behind a sign, what closes with it, and a space; none without the space, where the script uses spaces."""
    closed = _CLOSING.match(text, at + 1, at + 1 + _REACH)
    after = closed.end() if closed else at + 1
    if after == at + 1 + _REACH:
        return NONE
    if after == len(text):
        return NONE if final else MORE
    if text[after].isspace():
        return after + 1
    return after if text[at] in _NO_SPACE_NEEDED else NONE


def _behind_word_with_dot(text: str, at: int, behind: int, final: bool) -> int:
    found = _LAST_WORD.search(text, max(0, at - 24), at)
    word = found.group() if found else ""
    lower = word.lower()
    if lower in _NUMBERED:
        following = _next_sign(text, behind - 1, final)
        return MORE if following is None else NONE if following.isdigit() or following in ("+", "#") else behind
    if lower in _OPEN or (lower in _TITLES and word[0].isupper()):
        return NONE
    if lower in _EITHER:
        return _behind_if_capital(text, behind, final)
    if _INITIALS.fullmatch(word) and (len(word) > 1 or word.isupper()):
        return NONE
    if word.isdecimal() and _numbers_an_item(text, at, word):
        return NONE
    return behind


def _behind_if_capital(text: str, behind: int, final: bool) -> int:
    sign = _next_sign(text, behind - 1, final)
    if sign is None:
        return MORE
    if not sign.isupper():
        return NONE
    word = _LETTERS.search(text, behind)
    if word is None or (word.end() == len(text) and len(word.group()) < 12 and not final):
        return MORE
    return NONE if word.group().lower() in _GO_ON else behind


def _next_sign(text: str, space: int, final: bool) -> str | None:
    """The first sign of the word behind a space, "" if there is none, None if it is not written yet."""
    found = _NEXT.match(text, space, space + _REACH)
    index = found.end() if found else space
    if index < len(text):
        return text[index] if index < space + _REACH else ""
    return "" if final else None


def _numbers_an_item(text: str, at: int, number: str) -> bool:
    """Whether "2." is the number of a list's item and not the end of "I have 2."."""
    if len(number) > 3:
        return False
    lead = text[: at - len(number)].rstrip(" \t(*_>#+•-")
    return not lead or lead[-1] in "\n:;" or re.search(rf"(?<!\w){int(number) - 1}[.)]\s", lead) is not None
