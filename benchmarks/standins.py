"""The fixed script that the stand-in services of every measured server follow.

The end of speech gives one final transcript at once; the model then gives 20 tokens (two sentences) with no delay,
and each sentence is voiced as one second of a tone, at once, in chunks of 20 ms. So whatever time passes between the
caller's silence and the agent's sound is the server's own. This file has no imports from outside, because the peers
run it in environments of their own.
"""

from __future__ import annotations

import math
import struct

TRANSCRIPT = "Hello, what can you do for me?"
SENTENCES = (
    "I can help you with your booking and payments today. ",
    "Please tell me which one of these you would like. ",
)
TOKENS = tuple(word + " " for sentence in SENTENCES for word in sentence.split())
SENTENCE_S = 1.0
CHUNK_MS = 20
VAD_STOP_MS = 200
TONE_HZ = 440.0
TONE_PEAK = 9000


def tone(rate_hz: int) -> bytes:
    """One sentence as PCM16 mono, little endian."""
    step = 2 * math.pi * TONE_HZ / rate_hz
    samples = (int(TONE_PEAK * math.sin(step * n)) for n in range(int(rate_hz * SENTENCE_S)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


def chunks(rate_hz: int) -> list[bytes]:
    """One sentence, cut in chunks of 20 ms."""
    audio = tone(rate_hz)
    size = rate_hz * CHUNK_MS // 1000 * 2
    return [audio[start : start + size] for start in range(0, len(audio), size)]
