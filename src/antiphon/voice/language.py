"""Which language a conversation is in, by its last words and offline. The detector is loaded when it is first used."""

from __future__ import annotations

import importlib
from collections import deque
from typing import Any, Literal

from antiphon.errors import IntegrationInitializationError

LanguagePolicy = Literal["auto", "en", "force"]

LANGUAGES = (
    "en es fr de it pt nl pl tr ru uk ar hi ja ko zh sv da no fi cs sk ro hu el bg hr sl et lv lt vi th id he fa"
)
LAST_TURNS = 6
MIN_LETTERS = 20
TURNS_TO_CHANGE = 2


class Detector:
    """Tells languages apart. Loading it takes a second and a half: do it in a thread.

    Raises:
        IntegrationInitializationError: The package is missing.
    """

    def __init__(self) -> None:
        try:
            langid = importlib.import_module("py3langid.langid")
        except ImportError:
            raise IntegrationInitializationError(
                'To follow the language needs py3langid: run `pip install "antiphon[local]"`, or set '
                "LANGUAGE_POLICY=force and LANGUAGE."
            ) from None
        self._identifier: Any = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
        self._identifier.set_languages(LANGUAGES.split())

    def detect(self, text: str) -> str | None:
        """The language's two letters; None for a text that is too short to tell."""
        if letters(text) < MIN_LETTERS:
            return None
        language, _probability = self._identifier.classify(text)
        return str(language)


class ConversationLanguage:
    """The language of summaries: the user's, English, or always the same.

    Args:
        policy: Which of these.
        language: For ``force``, and for ``auto`` until the user has said enough.
        detector: For ``auto``; without one the language stays.
    """

    def __init__(self, policy: LanguagePolicy, language: str, detector: Detector | None = None) -> None:
        self._policy = policy
        self._language = "en" if policy == "en" else language
        self.detector = detector
        self._turns: deque[str] = deque(maxlen=LAST_TURNS)
        self._streak = 0

    @property
    def current(self) -> str:
        """The language, as BCP 47."""
        return self._language

    def heard(self, text: str) -> str:
        """Take what the user said; give the language from now on. It changes after two turns in another one."""
        if self._policy != "auto" or self.detector is None:
            return self._language
        self._turns.append(text)
        found = self.detector.detect(text)
        if found is None or found == _base(self._language):
            self._streak = 0 if found else self._streak
            return self._language
        self._streak += 1
        if self._streak >= TURNS_TO_CHANGE:
            self._language = self.detector.detect(" ".join(list(self._turns)[-self._streak :])) or found
            self._streak = 0
        return self._language

    def is_in(self, text: str, language: str) -> bool | None:
        """Whether a text is in a language; None where it is too short, or nobody can tell."""
        found = self.detector.detect(text) if self.detector is not None else None
        return None if found is None else found == _base(language)


def letters(text: str) -> int:
    """How much there is to tell a language by; a sign of Chinese, Japanese or Korean says as much as three letters."""
    return sum(3 if sign >= "\u2e80" else 1 for sign in text if sign.isalpha())


def _base(language: str) -> str:
    return language.split("-")[0].lower()
