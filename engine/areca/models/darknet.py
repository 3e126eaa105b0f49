"""Darknet's own files of weights: a header, then float32 numbers in network order.

The layout is what `save_weights` of Darknet (https://github.com/pjreddie/darknet)
writes: three int32 of its version, the number of images seen in training (8 bytes from
version 0.2 on, 4 before), and for each layer of the network, all little-endian:

- convolution with a norm: the norm's bias, weight, mean and variance, then the kernel;
- convolution without: bias, then the kernel.

Nothing else is in the file, no name and no shape; loading it can run no code. Networks
that Darknet has trained see red, green and blue from 0 to 1: for pixels of 8 bits their
card has the mean 0 and the deviation 255.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from areca.errors import ModelError
from areca.models.network import ConvNorm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_VERSION = struct.Struct("<3i")
_SEEN_BYTES = 8
_SEEN_BYTES_BEFORE_0_2 = 4
_LARGEST = 1000
"""Versions above mark matrices that lie transposed; no such file has convolutions
alone."""
_NUMBER_BYTES = 4


def load_darknet(network: nn.Module, data: bytes, what: str) -> None:
    """Fill a network with the numbers of a Darknet file.

    Args:
        network: Its modules were made in the order of Darknet's layers, its norms are
            those of `ConvNorm` and not folded. It is changed in place.
        data: The file.
        what: Names of the file and the model, for messages.

    Raises:
        ModelError: The header is none, or the file has fewer or more numbers than the
            network.
    """
    numbers = _numbers(data, what)
    tensors = list(darknet_tensors(network))
    wanted = sum(tensor.numel() for tensor in tensors)
    if len(numbers) != wanted:
        raise ModelError(
            f"{what} do not fit: the file has {len(numbers):,} numbers, the network "
            f"takes {wanted:,}. The file is damaged or of another network: check the "
            "labels, bands and architecture_options of the card"
        )
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            part = numbers[start : start + tensor.numel()]
            # A copy, because the bytes of a file cannot be written to.
            tensor.copy_(torch.from_numpy(part.astype(np.float32)).view_as(tensor))
            start += tensor.numel()


def darknet_tensors(network: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors of a network in the order of Darknet's files.

    Args:
        network: As `load_darknet` takes it.
    """
    in_norms = set()
    for module in network.modules():
        if isinstance(module, ConvNorm):
            norm = cast("nn.BatchNorm2d", module.norm)
            yield from (norm.bias, norm.weight)
            yield cast("Tensor", norm.running_mean)
            yield cast("Tensor", norm.running_var)
            yield module.conv.weight
            in_norms.add(module.conv)
        elif isinstance(module, nn.Conv2d) and module not in in_norms:
            yield cast("Tensor", module.bias)
            yield module.weight


def _numbers(data: bytes, what: str) -> NDArray[np.float32]:
    """Return the numbers after the header, without a copy.

    Raises:
        ModelError: The header is none, or a number is cut.
    """
    if len(data) < _VERSION.size:
        raise ModelError(
            f"{what}: {len(data)} bytes are too few for the header of a Darknet file"
        )
    major, minor, _ = _VERSION.unpack_from(data)
    if not (0 <= major < _LARGEST and 0 <= minor < _LARGEST):
        raise ModelError(
            f"{what}: the file begins with the version {major}.{minor}, which Darknet "
            "never had; it is no Darknet file of weights"
        )
    is_old = (major, minor) < (0, 2)
    header = _VERSION.size + (_SEEN_BYTES_BEFORE_0_2 if is_old else _SEEN_BYTES)
    if len(data) < header or (len(data) - header) % _NUMBER_BYTES:
        raise ModelError(
            f"{what}: {len(data):,} bytes are no header of {header} and whole numbers "
            f"of {_NUMBER_BYTES}; the file is cut: copy it again"
        )
    return np.frombuffer(data, "<f4", offset=header)
