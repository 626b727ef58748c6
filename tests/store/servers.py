"""Database servers of a test run's own, on sockets in a folder of their own. Who has no program for one, skips."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_UNPRIVILEGED = "nobody"


@contextmanager
def postgres() -> Iterator[str]:
    """A Postgres cluster; gives its URL."""
    initdb = _program("initdb", *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    with _folder() as folder:
        # Postgres does not run as root: another user owns the folder and runs it.
        as_root = os.geteuid() == 0
        if as_root:
            shutil.chown(folder, _UNPRIVILEGED)
        run = {"cwd": folder, "capture_output": True, "text": True, "timeout": 50, "check": False}
        run |= {"user": _UNPRIVILEGED, "extra_groups": []} if as_root else {}
        data = str(folder / "data")
        options = ["--auth=trust", "--username=antiphon", "--locale=C", "--encoding=UTF8", "--no-sync"]
        made = subprocess.run([initdb, "-D", data, *options], **run)  # type: ignore[call-overload]
        if made.returncode:
            pytest.skip(f"initdb makes no Postgres cluster here: {made.stderr.strip()[-300:]}")
        control = [str(Path(initdb).with_name("pg_ctl")), "-D", data, "-w"]
        log = str(folder / "log")
        server = f"-F -c listen_addresses= -c unix_socket_directories={folder}"
        run |= {"capture_output": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started = subprocess.run([*control, "-l", log, "-o", server, "start"], **run)  # type: ignore[call-overload]
        if started.returncode:
            pytest.skip(f"Postgres does not start here: {Path(log).read_text()[-300:]}")
        try:
            yield f"postgresql://antiphon@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server; gives its URL."""
    program = _program("redis-server", Path(sys.executable).parent)
    with _folder() as folder:
        socket = folder / "redis.sock"
        command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            assert server.stdout is not None
            said = []
            for line in server.stdout:
                said.append(line)
                if "eady to accept connections" in line:
                    break
            else:
                pytest.skip(f"redis-server does not start here: {''.join(said)[-300:]}")
            try:
                yield f"unix://{socket}"
            finally:
                server.terminate()
                server.stdout.read()


@contextmanager
def _folder() -> Iterator[Path]:
    # A socket's path has at most 107 characters, which pytest's own folders leave no room for.
    folder = Path(tempfile.mkdtemp(prefix="antiphon-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str, *folders: Path) -> str:
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    if found is None:
        pytest.skip(f"There is no program {name} on this machine.")
    return str(Path(found).resolve())
