"""What a process has used."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory_bytes() -> int:
    """Return the largest resident memory that this process has had so far, bytes."""
    if STATUS.exists():
        # Not getrusage: its figure survives fork and exec, so that a worker would
        # report the peak of the process that started it.
        found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, others in kB.
    return peak if sys.platform == "darwin" else peak * 1024
