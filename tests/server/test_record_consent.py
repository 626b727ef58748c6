"""Where consent is asked for, only calls of callers who gave it are recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.server.harness import SILENCE, Serve, phone, start_stream


@pytest.mark.parametrize(
    ("asks", "answer", "is_recorded"),
    [
        (True, {}, False),
        (True, {"record_consent": "no"}, False),
        (True, {"record_consent": "Yes"}, True),
        (False, {}, True),
    ],
)
async def test_a_call_is_recorded_where_the_caller_agreed_or_nobody_asks(
    serve: Serve, tmp_path: Path, asks: bool, answer: dict[str, str], is_recorded: bool
) -> None:
    async with serve(keep_files=True, record=True, record_consent=asks) as up, asyncio.timeout(30):
        async with phone(up) as socket:
            caller = await start_stream(socket, **answer)
            for _ in range(25):
                await socket.send(caller.media(SILENCE))
            await socket.recv()
        await up.board.all_over()
    assert files(tmp_path, "log.jsonl") == 1
    assert files(tmp_path, "*.wav") == is_recorded


def files(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"calls/*/*/{name}")))
