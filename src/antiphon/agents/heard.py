"""Which words of an answer the caller has heard."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from antiphon.models.llm.content import Audio
from antiphon.models.llm.messages import Message
from antiphon.models.tts.contract import WordTiming

_ALL = 0.999

# Chinese and Japanese put no space between words: there every sign counts as one.
_WORD = re.compile(r"[\u2e80-\u9fff\uff01-\uff65]|[^\s\u2e80-\u9fff\uff01-\uff65]+")
_CORE = re.compile(r".*\w", re.DOTALL)


def heard_text(
    speech_text: str, share: float, *, words: Sequence[WordTiming] = (), heard_ms: float | None = None
) -> str:
    """The part of a clause that was heard, cut behind a word and never inside one.

    Args:
        speech_text: What the voice was given.
        share: How much of the clause's sound was heard, 0 to 1.
        words: Where the voice tells: when each word is over. With ``heard_ms`` they decide, not the share.
        heard_ms: How much of the clause's sound was heard.

    Returns:
        All of it from a share of 0.999 on; a word counts as heard when it was heard to its end.
    """
    if share >= _ALL:
        return speech_text
    if words and heard_ms is not None:
        reached = max((word.char_end for word in words if word.end_ms <= heard_ms), default=0)
    else:
        reached = int(max(0.0, share) * len(speech_text) + 1e-6)
    end = 0
    for word in _WORD.finditer(speech_text):
        core = _CORE.match(word.group())
        if word.start() + (core.end() if core else len(word.group())) > reached:
            break
        end = word.end()  # with its comma or full stop
    return speech_text[:end]


def heard_words(message: Message, heard_ms: float | None) -> str:
    """The words of a message that were heard when its playback stopped.

    Args:
        message: With an audio content; without one nobody can know, and none were heard.
        heard_ms: Time since the playback's begin; None for all.
    """
    audio = next((content for content in message.contents if content.type == "audio"), None)
    if heard_ms is None:
        return message.generated_text or message.text
    return "" if audio is None else _words_of_audio(audio, heard_ms)


def heard_audio(audio: Audio, heard_ms: float | None, words: str | None = None) -> Audio:
    """The audio, with how much of it was heard; ``words`` where somebody knows them better."""
    if words is None:
        words = audio.transcript if heard_ms is None else _words_of_audio(audio, heard_ms)
    return replace(audio, heard_ms=heard_ms, heard_text=words)


def _words_of_audio(audio: Audio, heard_ms: float) -> str:
    """By the audio's alignment where it has one, else by the share of its duration."""
    share = heard_ms / audio.duration_ms if audio.duration_ms else 0.0
    words = [WordTiming(place, end_ms) for place, end_ms in audio.alignment]
    return heard_text(audio.transcript, min(share, 1.0), words=words, heard_ms=heard_ms)
