"""What can go wrong with the sound devices of this machine."""

from __future__ import annotations

from antiphon.errors import IntegrationInitializationError


class AudioDeviceError(IntegrationInitializationError):
    """A microphone or loudspeaker is missing, refused, lost or wrongly named; the sentence says what to do."""

    default_code = "audio_device"
