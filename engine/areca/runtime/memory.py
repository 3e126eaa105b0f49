"""What a process has used, and what it may use."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from distributed import get_worker
from distributed.system import MEMORY_LIMIT

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What Linux takes there to start the peak anew (proc_pid_clear_refs(5))."""


def peak_memory_bytes() -> int:
    """Return the largest resident memory that this process has had so far, bytes."""
    # Not getrusage: its figure survives fork and exec, so that a worker would report
    # the peak of the process that started it.
    found = _status("VmHWM")
    if found is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, others in kB.
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory_bytes() -> int:
    """Return the resident memory of this process, bytes.

    The peak where the system does not say: never too little.
    """
    found = _status("VmRSS")
    return peak_memory_bytes() if found is None else found


def reset_peak_memory() -> None:
    """Let `peak_memory_bytes` start anew, where the system can; else it goes on."""
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK, encoding="ascii")


def release_unused_memory() -> None:
    """Give memory that is free, and held by the allocators, back to the system.

    glibc has a heap for each thread and keeps what is free in the middle of one; the
    threads of a worker would hold the peak of their work each.
    """
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)


def memory_limit_bytes(processes: int) -> int:
    """Return what this process may use: its limit as a Dask worker, or its part.

    Args:
        processes: Processes that share the memory of this machine (or container).

    Returns:
        Bytes.
    """
    part = int(MEMORY_LIMIT) // processes
    try:
        own = get_worker().memory_manager.memory_limit
    except ValueError:  # not in a worker
        return part
    return min(part, own) if own else part


def _status(name: str) -> int | None:
    if not STATUS.exists():
        return None
    text = STATUS.read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else None
