"""Which workers share a device, and the part of its memory that each may hold."""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING

from distributed import WorkerPlugin
from typing_extensions import override

if TYPE_CHECKING:
    from distributed import Client, Worker


def sharers_of(client: Client, device: str) -> dict[str, int]:
    """Return for each worker how many work on its device, itself among them.

    Args:
        client: Where they are.
        device: Torch device of the options; workers that are on "cpu" share the
            processors and the memory of a machine.

    Returns:
        By address; empty where there are no workers.
    """
    places = client.run(_place, device, on_error="ignore")
    count = Counter(places.values())
    # One that has no such device says so when it is to load the model.
    return {one: count[places.get(one)] or 1 for one in sorted(client.nthreads())}


def divide_memory(client: Client, device: str) -> None:
    """Let workers keep to equal parts of the GPU that they share, later ones too.

    A worker that lost its device is replaced by a new process, which would not know.

    Args:
        client: Where they are.
        device: Torch device of the options; nothing is done for a processor.
    """
    if device != "cpu":
        most = max(sharers_of(client, device).values(), default=1)
        client.register_plugin(_MemoryShare(device, most), name=_MemoryShare.name)


class _MemoryShare(WorkerPlugin):
    """Bounds the memory of a device that a worker may take."""

    name = "areca-memory-share"

    def __init__(self, device: str, sharers: int) -> None:
        self.device, self.sharers = device, sharers

    @override
    def setup(self, worker: Worker) -> None:
        """Bound a worker, when it starts or is told."""
        from areca.inference.device import share_memory  # noqa: PLC0415 - torch

        share_memory(self.device, self.sharers)


def _place(device: str) -> tuple[str, str]:
    """Return the machine and the device of this process."""
    if device == "cpu":
        return socket.gethostname(), device
    from areca.inference.device import device_of  # noqa: PLC0415 - it brings torch

    return socket.gethostname(), device_of(device)
