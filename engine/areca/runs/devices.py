"""Which workers share a device, and the part of its memory that each may hold."""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


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


def _place(device: str) -> tuple[str, str]:
    """Return the machine and the device of this process."""
    if device == "cpu":
        return socket.gethostname(), device
    from areca.inference.device import device_of  # noqa: PLC0415 - it brings torch

    return socket.gethostname(), device_of(device)
