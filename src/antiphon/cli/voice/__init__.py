"""``antiphon run`` and its companions: talk by microphone and loudspeaker. Also the program ``voicebot``."""

from __future__ import annotations

from antiphon.cli.voice.app import devices_app, run, self_test, summary_app, voice_app

__all__ = ["devices_app", "run", "self_test", "summary_app", "voice_app"]
