"""Server-sent events, sans I/O: bytes in, whatever their splits, and the data of each event out."""

from __future__ import annotations

MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventTooLong(ValueError):
    """The server sent an event without end."""


class SSEParser:
    """Reads one event stream. Lines end with LF, CRLF or CR; comments and fields other than ``data`` are skipped.

    It works on bytes, so that a character split over two chunks needs no care.
    """

    __slots__ = ("_after_cr", "_data", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; gives the data of the events that they complete, several data lines joined by LF.

        Raises:
            EventTooLong: An event is longer than ``MAX_EVENT_BYTES``.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            # The second half of a CRLF whose CR ended the last chunk.
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = (self._rest + chunk).splitlines(keepends=True)
        self._rest = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        events: list[bytes] = []
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text:
                self._field(text)
            elif self._data:
                events += self.finish()
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong(f"An event is longer than {MAX_EVENT_BYTES} bytes.")
        return events

    def finish(self) -> list[bytes]:
        """The stream has ended: an event whose blank line is missing still counts, a cut line does not."""
        events = [b"\n".join(self._data)] if self._data else []
        self._data = []
        self._size = 0
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
