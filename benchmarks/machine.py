"""What the measurements ran on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from benchmarks.subjects import ENVIRONMENTS

_PEER_PACKAGES = {"pipecat": "pipecat-ai", "livekit": "livekit-agents"}


def cpu_model() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe() -> str:
    """Processor, cores, memory and system on one line."""
    memory_gb = psutil.virtual_memory().total / 1e9
    return f"{cpu_model()}, {psutil.cpu_count()} cores, {memory_gb:.0f} GB, {platform.system()}"


def versions() -> str:
    """Of Python, Antiphon and the peers that are installed."""
    found = [f"Python {platform.python_version()}", f"Antiphon {metadata.version('antiphon')}"]
    for name, package in _PEER_PACKAGES.items():
        python = ENVIRONMENTS / name / "bin" / "python"
        if python.exists():
            code = f"from importlib import metadata; print(metadata.version({package!r}))"
            asked = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30, check=False)
            found.append(f"{package} {asked.stdout.strip() or 'unknown'}")
    return ", ".join(found)
