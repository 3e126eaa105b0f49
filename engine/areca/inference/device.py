"""The device of this process: what it is called, and how much memory is ours there."""

from __future__ import annotations

import torch

CONTEXT_BYTES = 10**9
"""What a process takes on a GPU besides the tensors of torch: the CUDA context, kernels
and the workspaces of cuDNN."""


def device_of(device: str) -> str:
    """Return what names the device of this process among all machines.

    Args:
        device: Torch device of the options.
    """
    if torch.device(device).type != "cuda":
        return "cpu"
    return str(torch.cuda.get_device_properties(device).uuid)


def share_memory(device: str, sharers: int) -> None:
    """Keep this process to its part of a GPU; a processor's memory is not touched.

    The cache of torch grows until the card is full, and a process that comes later
    would find no room. Where a batch does not fit into the part, it is halved.

    Args:
        device: Torch device of the options.
        sharers: Processes that use it, this one among them.
    """
    ours = torch.device(device)
    # A device that is not there is named when the model is to be loaded.
    if ours.type != "cuda" or (ours.index or 0) >= torch.cuda.device_count():
        return
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(
        part_of_memory(total, sharers), ours.index
    )


def part_of_memory(total_bytes: int, sharers: int) -> float:
    """Return what part of a GPU's memory the tensors of one process may take.

    Args:
        total_bytes: Memory of the GPU.
        sharers: Processes that use it. One alone is not bounded.

    Returns:
        Above 0, at most 1; where contexts alone would fill the card, half of an equal
        part.
    """
    if sharers == 1:
        return 1.0
    return max(1 / sharers - CONTEXT_BYTES / total_bytes, 0.5 / sharers)
