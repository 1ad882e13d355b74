"""CPU time of the live child processes, read from /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def children_cpu_s() -> float:
    """Return the CPU seconds of all live descendants, including their reaped children."""
    stats = {
        int(entry.name): stat for entry in Path("/proc").iterdir() if entry.name.isdigit() and (stat := _stat(entry))
    }
    return sum(cpu for pid, (_, cpu) in stats.items() if _descends(pid, stats))


def _stat(entry: Path) -> tuple[int, float] | None:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # the process has ended
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def _descends(pid: int, stats: dict[int, tuple[int, float]]) -> bool:
    while pid in stats:
        pid = stats[pid][0]
        if pid == os.getpid():
            return True
    return False
