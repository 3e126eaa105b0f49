"""Tiles to a device and answers back, through pinned memory where that is faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def empty_batch(shape: tuple[int, ...], device: torch.device) -> NDArray[np.float32]:
    """Return an array for tiles; a GPU copies from it beside its other work.

    Args:
        shape: Of the array.
        device: Where the tiles will go.
    """
    pinned = device.type == "cuda"
    array: NDArray[np.float32] = torch.empty(shape, pin_memory=pinned).numpy()
    return array


def to_device(batch: NDArray[np.float32], device: torch.device) -> Tensor:
    """Return tiles on a device, channels last.

    The copy may go on after the call: keep `batch` until an answer has come back.

    Args:
        batch: Shape (n, band, tile, tile).
        device: Where to put it.
    """
    tiles = torch.from_numpy(np.ascontiguousarray(batch))
    there = tiles.to(device, non_blocking=True)
    return there.contiguous(memory_format=torch.channels_last)


def to_host(values: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    """Return answers in host memory, as plain arrays; waits until they are there.

    Args:
        values: Named tensors of one device; floats come back as float32.
    """
    found: dict[str, Tensor] = {}
    for name, value in values.items():
        wanted = value.float() if value.is_floating_point() else value
        # NCHW in memory: everything after reads one class at a time.
        plain = wanted.contiguous()
        if plain.is_cuda:
            host = torch.empty(plain.shape, dtype=plain.dtype, pin_memory=True)
            found[name] = host.copy_(plain, non_blocking=True)
        else:
            found[name] = plain
    if any(value.is_cuda for value in values.values()):
        torch.cuda.current_stream().synchronize()
    return {name: value.numpy() for name, value in found.items()}
