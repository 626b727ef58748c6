"""From a vendor's bytes to samples."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray


class Samples:
    """Joins bytes of 16-bit little-endian mono to samples; a sample may be split over two pieces."""

    __slots__ = ("_rest", "count")

    def __init__(self) -> None:
        self.count = 0
        """Samples given so far."""
        self._rest = b""

    def feed(self, piece: bytes) -> NDArray[np.int16]:
        """Take bytes; gives the samples that are whole, shape (n,)."""
        data = self._rest + piece
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        self.count += whole // 2
        return np.frombuffer(data[:whole], "<i2").astype(np.int16)

    def feed_base64(self, text: object) -> NDArray[np.int16]:
        """The same, from base64.

        Raises:
            ValueError: It is none.
        """
        if not isinstance(text, str):
            raise ValueError("audio that is no text")
        try:
            return self.feed(base64.b64decode(text, validate=True))
        except binascii.Error:
            raise ValueError("audio that is no base64") from None
