"""What a tool may ask of a call's sounds: ``context.request(NAME, details)``. Text turns ignore it."""

from __future__ import annotations

PLAY = "play"
"""Play a file in the order of what is said. Its details: ``sound``, a WAV's path or bytes; and where wanted
``interruptible`` (yes) and ``text``, what is said in it."""
PLAY_BACKGROUND = "play_background"
"""Have something heard behind the agent. Its details: ``sound``; where wanted ``volume`` (0.5) and ``loop`` (yes)."""
STOP_BACKGROUND = "stop_background"
"""Have nothing heard behind the agent."""
HOLD = "hold"
"""Let the caller wait with music. Its details, where wanted: ``sound`` and ``volume``."""
RESUME = "resume"
"""Let the caller wait no longer."""
PAUSE_RECORDING = "pause_recording"
"""Keep nothing of what is heard, until ``RESUME_RECORDING``. Its details, where wanted: ``by``, who asks. Of several
who ask, each has to end its own pause."""
RESUME_RECORDING = "resume_recording"
"""End the pause of the same ``by``."""
