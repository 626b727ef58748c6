"""Lines of the standard input, while the loop goes on and without holding up the program's end."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator


async def lines() -> AsyncIterator[str]:
    """Each line without its end. Terminals, pipes and files alike are read in a thread that ends with the program."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)
    loop = asyncio.get_running_loop()

    def hand_over(line: str | None) -> bool:
        try:
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
        except (RuntimeError, asyncio.CancelledError, TimeoutError):
            return False  # The loop is closed: the program is over.
        return True

    def read() -> None:
        for line in sys.stdin:
            if not hand_over(line.rstrip("\r\n")):
                return
        hand_over(None)

    # A daemon: nobody can interrupt a thread that waits for the keyboard.
    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line
