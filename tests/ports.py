"""Ports for servers that must know their own address before they listen."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import suppress

_ports = itertools.count(20_000 + os.getpid() % 100 * 100)


def free_port() -> int:
    """A port that nobody has now.

    The system gives ports above 32768 to whoever asks for any, such as tests that run beside this one: this is none.
    """
    for port in _ports:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError
