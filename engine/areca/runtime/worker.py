"""What a worker process of this machine does before its first task."""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C to the client, which closes the workers in order.

    The terminal sends it to all processes of a command; workers that die of it would
    fill the screen with tracebacks.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
