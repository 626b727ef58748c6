"""How an agent's model is named that hears and speaks: ``s2s:PROVIDER/MODEL``, and the one that writes beside it."""

from __future__ import annotations

import re

from antiphon.errors import ConfigurationError

SPEECH = "s2s:"
NAME = re.compile(r"(?P<provider>openai|azure)[/:](?P<model>[^\s|]+)")
"""A model of speech to speech, without ``SPEECH``."""


def parts_of(name: str) -> tuple[str | None, str | None]:
    """The model that holds calls, and the one that writes: ``s2s:openai/gpt-realtime|openai:gpt-4o-mini`` names both.

    Raises:
        ConfigurationError: There are several that hold calls.
    """
    parts = [part.strip() for part in name.split("|")]
    spoken = [part.removeprefix(SPEECH) for part in parts if part.startswith(SPEECH)]
    if len(spoken) > 1:
        raise ConfigurationError(f"One speech-to-speech model holds a call; {name!r} names {len(spoken)}: keep one.")
    written = "|".join(part for part in parts if not part.startswith(SPEECH))
    return (spoken[0] if spoken else None), written or None


def check_speech_name(name: str) -> re.Match[str] | None:
    """See whether this names a model of speech to speech; gives its parts, None for the scripted one.

    Raises:
        ConfigurationError: It does not.
    """
    match = NAME.fullmatch(name.strip())
    if match is None and name != "scripted":
        raise ConfigurationError(
            f"There is no speech-to-speech model {name!r}: write openai/MODEL or azure/DEPLOYMENT, such as "
            "openai/gpt-realtime; OPENAI_BASE_URL leads to any other service of the Realtime protocol."
        )
    return match
