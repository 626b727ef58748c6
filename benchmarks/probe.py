"""What a process and the machine's cores spend."""

from __future__ import annotations

import psutil


class Probe:
    """CPU time, memory and threads of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of CPU used so far, user and system."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self._processes()))

    def memory_mb(self) -> float:
        """Resident memory."""
        return sum(process.memory_info().rss for process in self._processes()) / 1e6

    def threads(self) -> int:
        """Threads alive."""
        return sum(process.num_threads() for process in self._processes())


def cores_s() -> list[float]:
    """Seconds that each core has worked since the machine started, for whomever."""
    busy = []
    for core in psutil.cpu_times(percpu=True):
        # What did no work; Linux counts a guest's time in user's and nice's already.
        others = sum(getattr(core, name, 0.0) for name in ("iowait", "steal", "guest", "guest_nice"))
        busy.append(sum(core) - core.idle - others)
    return busy


def stolen_s() -> float:
    """Seconds that the machine's host gave to others, since it started."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))
