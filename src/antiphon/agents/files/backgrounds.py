"""From the key ``background`` of an agent file to what is heard behind the agent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from antiphon.agents.background import BackgroundSound
from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.prompts import prompt_path
from antiphon.errors import AudioError


def background_of(found: Findings, path: Path, values: Mapping[str, Read]) -> BackgroundSound | None:
    """The background that a file asks for; None where it asks for none, or that is told to be wrong."""
    if "background" not in values:
        return None
    from antiphon.audio.ambience import AMBIENCES  # numpy is for those who want sound

    block = values["background"]
    given = plain(block)
    if "sound" not in given:
        found.fault(block.node, "background.sound is missing; name a sound, or a WAV in the agent's folder.")
        return None
    sound = given["sound"]
    if sound in AMBIENCES:
        return BackgroundSound(**given)
    file = _file(found, path, block.value["sound"], names=sorted(AMBIENCES))
    return None if file is None else BackgroundSound(**{**given, "sound": file})


def _file(found: Findings, path: Path, read: Read, *, names: list[str]) -> Path | None:
    from antiphon.audio.wav import read_wav

    if not read.value.lower().endswith(".wav"):
        found.fault(
            read.node, f"there is no sound {read.value!r}; use {', '.join(names)}, or a WAV in the agent's folder."
        )
        return None
    file = prompt_path(path, read.value)
    if file is None:
        found.fault(read.node, f"background.sound {read.value!r} leads out of the agent's folder.")
        return None
    try:
        read_wav(file)
    except (OSError, AudioError) as error:
        found.fault(read.node, f"background.sound {read.value!r} cannot be used: {getattr(error, 'strerror', error)}")
        return None
    return file
