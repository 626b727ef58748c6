"""What words tell about the end of a turn. Pure text in, a judgement out.

Recognisers put a full stop behind every pause, so punctuation alone means little: the last words decide. "And",
"on the", "um" promise more; a number in the middle wants its other digits; a short answer is whole as it stands.
"""

from __future__ import annotations

import re

from antiphon.calls.expected import Completeness, Expected, judge_piece

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_ONE_NUMBER = re.compile(r"(?<=\d)[:.,](?=\d)")
"""Inside "10:30", "3.5" and "1,200"."""

_PROMISES_MORE = frozenset(
    "and but or so because if when while that which who whose than as like um uh er erm hmm well "
    "the a an my your our their his her its this these to of for from with without on in at by about into "
    "is are was were am be been have has had do does did will would could should can may might must "
    "i'm i'd i'll we're it's there's let's i we they he she you very really just maybe also then "
    "mister mrs miss doctor dr mr ms".split()
)
_ENDS_FINE = frozenset("so that like this these you well is are am was were do does did have has had can will".split())
"""Of those, words that also end a whole sentence; they only make the end uncertain when it has a full stop."""

_DIGITS = frozenset(
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred double triple".split()
)
_SHORT_ANSWERS = frozenset(
    {
        *("yes", "no", "yes please", "no thanks", "no thank you", "yeah", "nope", "yep", "sure", "okay", "ok"),
        *("right", "correct", "exactly", "that's right", "that's all", "thank you", "thanks", "bye", "goodbye"),
        *("hello", "hi", "stop", "wait", "please", "good morning", "good afternoon", "good evening", "bye bye"),
    }
)

_HELLO_WORDS = 2
"""Who says no more than this says hello, and waits; a machine goes on behind a whole sentence."""


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return _WORD.findall(text.lower().replace("’", "'"))


def judge(text: str, *, expected: Expected | None = None) -> Completeness:
    """How likely these words are the whole turn.

    Args:
        text: The caller's words of the turn so far.
        expected: What the agent has just asked for, where people give it in pieces: be patient.
    """
    words = words_of(_ONE_NUMBER.sub("", text))
    if not words:
        return "uncertain"
    stripped = text.rstrip()
    if expected is not None and expected.what == "announcement":
        is_hello = len(words) <= _HELLO_WORDS or stripped.endswith("?")
        plainly = judge(text)
        return plainly if is_hello or plainly != "complete" else "uncertain"
    last = words[-1]
    if " ".join(words) in _SHORT_ANSWERS:
        return "complete"
    if stripped.endswith((",", "-", "–", "…", "...", ":", ";")):
        return "incomplete"
    run = _digit_run(words)
    digits = sum(run)
    if expected is not None:
        opinion = judge_piece(expected, stripped, words=words, digits=digits)
        if opinion is not None:
            return opinion
    if run and digits >= 3 and len(run) > 1 and expected is None:
        # A digit run: whole at the length of a phone number, else its other half is still to come.
        return "uncertain" if digits >= 10 else "incomplete"
    if stripped.endswith("?"):
        return "complete"
    if last in _PROMISES_MORE and not _is_time_of_day(words):
        is_sentence = expected is None and last in _ENDS_FINE and stripped.endswith((".", "!"))
        return "uncertain" if is_sentence else "incomplete"
    if expected is not None:
        return "uncertain"
    return "complete" if stripped.endswith((".", "!")) else "uncertain"


def _digit_run(words: list[str]) -> list[int]:
    """How many digits each of the number words at the end holds, written or spoken; the last first."""
    run: list[int] = []
    for word in reversed(words):
        groups = word.split("-")
        if not all(group.isdecimal() or group in _DIGITS for group in groups):
            break
        run.extend(len(group) if group.isdecimal() else 1 for group in reversed(groups))
    return run


def _is_time_of_day(words: list[str]) -> bool:
    """Whether the words end like "at 9 am"."""
    return words[-1] == "am" and bool(_digit_run(words[:-1]))


def is_backchannel(text: str, backchannels: frozenset[str]) -> bool:
    """Whether the words only show that someone listens: "uh-huh", "okay, right"."""
    rest = " ".join(words_of(text)).replace("-", " ")
    if not rest:
        return False
    known = sorted((phrase.replace("-", " ") for phrase in backchannels), key=len, reverse=True)
    while rest:
        # Two or three of them in a row: cut greedily, longest first.
        phrase = next((phrase for phrase in known if _starts_with(rest, phrase)), None)
        if phrase is None:
            return False
        rest = rest[len(phrase) :].lstrip()
    return True


def is_command(text: str, commands: frozenset[str]) -> bool:
    """Whether the words start with one that takes the floor: "no", "stop", "wait a moment"."""
    words = " ".join(words_of(text))
    return any(_starts_with(words, command) for command in commands)


def _starts_with(words: str, phrase: str) -> bool:
    return words == phrase or words.startswith(f"{phrase} ")
