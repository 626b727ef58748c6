"""Ways to get a weight's bytes from a folder or over HTTP. Nobody here trusts the bytes; the store checks them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.models.weights.manifest import Weight

if TYPE_CHECKING:
    import httpx

Report = Callable[[int], None]
"""Called with the bytes of the weight that are here so far."""


class SourceError(Exception):
    """A source gave no bytes; the text says why."""


class Unreachable(SourceError):
    """The source's host cannot be reached, so that it need not be asked again."""


async def from_mirror(mirror: str, weight: Weight, target: Path, *, timeout_s: float, report: Report) -> None:
    """Take a weight from the user's own folder or URL, where it is named by its hash or by its usual name.

    Args:
        mirror: A folder, or the URL of one.
        weight: What to get.
        target: File to write; a part of it that is already there is kept where the mirror allows it.
        timeout_s: Longest wait for a connection and for each piece.
        report: Gets the progress.

    Raises:
        SourceError: The mirror has no such file, or cannot be read.
    """
    if mirror.startswith(("http://", "https://")):
        await _from_mirror_url(mirror.rstrip("/"), weight, target, timeout_s=timeout_s, report=report)
        return
    await asyncio.to_thread(_copy_from, Path(mirror), weight, target)
    report(weight.size)


def _copy_from(folder: Path, weight: Weight, target: Path) -> None:
    try:
        for name in (weight.sha256, weight.file_name):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, target)
                return
    except OSError as error:
        raise SourceError(f"{folder} cannot be copied from ({error.strerror})") from error
    raise SourceError(f"{folder} has neither {weight.file_name} nor a file named by its hash")


async def _from_mirror_url(base: str, weight: Weight, target: Path, *, timeout_s: float, report: Report) -> None:
    try:
        await download(f"{base}/{weight.sha256}", weight, target, timeout_s=timeout_s, report=report)
    except Unreachable:
        raise
    except SourceError:
        await download(f"{base}/{weight.file_name}", weight, target, timeout_s=timeout_s, report=report)


async def download(url: str, weight: Weight, target: Path, *, timeout_s: float, report: Report) -> None:
    """Fetch a URL into ``target``, going on where an earlier try stopped.

    Args:
        url: Where the file is.
        weight: What it should be.
        target: File to write or to complete.
        timeout_s: Longest wait for a connection and for each piece.
        report: Gets the progress.

    Raises:
        Unreachable: No connection.
        SourceError: The answer is not this file, or it broke off twice without a new byte.
    """
    import httpx

    async with httpx.AsyncClient(follow_redirects=True, timeout=timeout_s) as client:
        while True:
            before = _size(target)
            try:
                await _download_once(client, url, weight, target, report=report)
                return
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise Unreachable(f"{_host(url)} cannot be reached ({_why(error)})") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if _size(target) <= before:
                    raise SourceError(f"{_host(url)} broke off ({_why(error)})") from error
            except OSError as error:
                raise SourceError(f"{target} cannot be written: {error.strerror}") from error


async def _download_once(client: httpx.AsyncClient, url: str, weight: Weight, target: Path, *, report: Report) -> None:
    have = _size(target)
    headers = {"Accept-Encoding": "identity"}
    if 0 < have < weight.size:
        headers["Range"] = f"bytes={have}-"
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code not in (200, 206):
            raise SourceError(f"{_host(url)} answered {response.status_code}")
        resumed = response.status_code == 206 and "Range" in headers
        done = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and done + int(length) != weight.size:
            raise SourceError(f"{_host(url)} has a file of {done + int(length)} bytes, not {weight.size}")
        with target.open("ab" if resumed else "wb") as file:
            # As it comes off the network: bytes held back for a bigger chunk would be lost when the line breaks.
            async for chunk in response.aiter_bytes():
                file.write(chunk)
                done += len(chunk)
                if done > weight.size:
                    raise SourceError(f"{_host(url)} sends more than {weight.size} bytes")
                report(done)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(url: str) -> str:
    # Only the host is told: the rest of a mirror's URL may hold a password or a token.
    return url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
