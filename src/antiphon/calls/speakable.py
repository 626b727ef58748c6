"""Text as a model writes it, made fit for a voice: Markdown, HTML, links and emoji become plain words.

What is meant literally stays: the stars of ``3 * 4``, the underscores of ``user_name``. Numbers, dates and
amounts stay as they are; how they are read is the voice's business.
"""

from __future__ import annotations

import html
import re

# The shapes of inline markup. Each matches from its first sign on; the clause splitter uses them to cut nowhere inside.
CODE = re.compile(r"(`+)(?!`)((?:(?!\n\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(
    r"""\[([^\[\]\n]*)\]
    \( [^()\s]* (?:\([^()\s]*\)[^()\s]*)*      # the address, with pairs of brackets
    (?:[ ]+(?:"[^"\n]*"|'[^'\n]*'))? [ ]* \)   # and perhaps a title
    """,
    re.VERBOSE,
)
TAG = re.compile(
    r"""<(https?://[^<>\s]+)>
      | </?[A-Za-z][\w:-]* (?:[ \t]+[\w:-]+=(?:"[^"<\n]*"|'[^'<\n]*'|[^\s"'<>]+))* [ \t]*/?>""",
    re.VERBOSE,
)
STARS = re.compile(
    r"""(?<![0-9A-Za-z\\*]) (?:
        \* (?![\s*]) (?P<one>[^\n]+?) (?<![\s*\\]) \* (?!\*)
      | (?P<run>\*{2,3}) (?![\s*]) (?P<more>(?:(?!\n\n).)+?) (?<![\s\\]) (?P=run) (?!\*)
    )""",
    re.VERBOSE | re.DOTALL,
)
UNDERSCORES = re.compile(
    r"""(?<![\w\\]) (?:
        _ (?![\s_]) (?P<one>[^\n]+?) (?<![\s_\\]) _ (?!\w)
      | (?P<run>_{2,3}) (?![\s_]) (?P<more>(?:(?!\n\n).)+?) (?<![\s\\]) (?P=run) (?!\w)
    )""",
    re.VERBOSE | re.DOTALL,
)
STRIKE = re.compile(r"~~(?![\s~])((?:(?!\n\n).)+?)(?<![\s~])~~(?!~)", re.DOTALL)

_EMOJI = r"\u231a-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
EMOJI_SIGNS = _EMOJI + r"\u200d\u20e3\ufe0f"

_MARKUP = re.compile(
    rf"[*_`~#>\[<&|\\•·{EMOJI_SIGNS}]|https?:|www\.|^[ \t]*(?:[-+–][ \t]|\d+\)|[-=]{{3}})", re.MULTILINE
)
_WORD = re.compile(r"[^\W_]")

_LINE_START = re.compile(r"\A\s*(?:(?:#{1,6}|>|[-*+•◦▪‣●–])(?:\s+|$)(?:\[[ xX]\]\s+)?|>)+")
_NUMBERING = re.compile(r"\A(\s*\d{1,3})\)(?=\s)")
_URL = re.compile(
    r"""(?<![\w@/.]) (?:https?://(?:www\.)?|www\.)
    ([^\s/?\#:"'<>()\[\]*]*[^\W_]) (?::\d+)?         # the host, and its port
    (?:[/?\#][^\s<>]*?)?                             # the rest, without the sentence's own signs
    (?= [.,;:!?)\]}"'”’»*_…]* (?:\s|$) )""",
    re.VERBOSE | re.IGNORECASE,
)

_BOTH = r"\g<one>\g<more>"
_RULES = (
    # What must be in the text, what it looks like, what is left of it; in this order.
    ("`", CODE, r"\2"),
    ("![", re.compile("!" + LINK.pattern, LINK.flags), r"\1"),
    ("](", LINK, r"\1"),
    ("[", re.compile(r"\[\^?\d{1,3}\]"), ""),  # the number of a footnote
    ("<", re.compile(r"</?(?:br|p|li|ul|ol|div|td|th|tr|hr|h[1-6])\b[^<>]*>", re.IGNORECASE), " "),
    ("<", TAG, r"\1"),
    ("://", _URL, r"\1"),
    ("www.", _URL, r"\1"),
    ("*", STARS, _BOTH),
    ("_", UNDERSCORES, _BOTH),
    ("*", STARS, _BOTH),  # again: one may stand in the other
    ("_", UNDERSCORES, _BOTH),
    ("~~", STRIKE, r"\1"),
    # Signs of what never closes, at the start or the end of a word; between spaces or numbers they are meant.
    ("**", re.compile(r"(?<![0-9A-Za-z])\*{2,}(?=\S)|(?<=\S)\*{2,}(?![0-9A-Za-z])"), ""),
    ("*", re.compile(r"(?<![\w*\\])\*(?=\w)|(?<=\w)\*(?=[\s.,;:!?)]|$)"), ""),
    ("__", re.compile(r"(?<!\w)__+|__+(?!\w)"), ""),
    ("~~", re.compile(r"~~+"), ""),
    ("`", re.compile(r"`+"), ""),
    ("\\", re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
    ("•", re.compile(r"\s•\s"), ", "),
    ("·", re.compile(r"\s·\s"), ", "),
)
_PICTURE = re.compile(rf"[{_EMOJI}][\u200d\ufe0f]*|[\u20e3\ufe0f]")
_LOOSE = re.compile(r"\s+(?=[.,;!?])")


def speakable(text: str, *, line_start: bool = True) -> str:
    """What the voice says of a piece of text.

    Bullets, heading and quote signs go; the numbers of a list stay. Links are said by their label, bare addresses by
    their host, table rows cell by cell.

    Args:
        text: A piece that cuts through no link, emphasis or tag.
        line_start: Whether the piece begins where a line begins, so that a first ``-`` or ``#`` is markup.

    Returns:
        Words and punctuation on one line; empty if there is nothing to say.
    """
    if not _WORD.search(text):
        return ""
    if _MARKUP.search(text):
        text = _plain(text, line_start)
    return " ".join(text.split())


def _plain(text: str, line_start: bool) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        lines[number] = _cells(_without_line_start(line) if number or line_start else line)
    text = "\n".join(lines)
    for sign, shape, rest in _RULES:
        if sign in text:
            text = shape.sub(rest, text)
    text = _LOOSE.sub("", _PICTURE.sub(" ", html.unescape(text)))
    return text if _WORD.search(text) else ""


def _without_line_start(line: str) -> str:
    if not _WORD.search(line):
        return ""  # a rule, or the line below a table's head
    return _NUMBERING.sub(r"\1.", _LINE_START.sub("", line))


def _cells(line: str) -> str:
    """The cells of a table's row, as a list."""
    return ", ".join(cell.strip() for cell in line.split("|") if cell.strip()) if "|" in line else line
