"""The centre + radius network: one small fully convolutional net for round objects.

The head follows "Objects as Points" (Zhou et al. 2019, arXiv:1904.07850): a heat map
per class, an offset of the centre inside its cell, and here the logarithm of the
radius in place of width and height. Two choices are ours. The receptive field is
bounded (`receptive_radius_px`), so that a halo can hold all of it and a prediction
cannot depend on where the tile ends. And the norm is BatchNorm, whose statistics are
constants at inference, so that an image cannot depend on its batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from typing_extensions import override

REGRESSED = 3
"""Channels after the heat maps: offset x, offset y, log radius."""
_PRIOR = 0.02
"""Score of every cell before training: few cells hold a centre, so start low."""


class ConvNorm(nn.Module):
    """A convolution, BatchNorm and ReLU; `fold` merges the first two."""

    def __init__(
        self, inner: int, outer: int, *, kernel: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inner, outer, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outer)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outer, h / stride, w / stride) for (n, inner, h, w)."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Merge the norm into the convolution; the module must be in eval mode."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = ConvNorm(width, width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape, (n, width, h, w)."""
        out: Tensor = x + self.second(self.first(x))
        return out


class CentreRadiusNet(nn.Module):
    """Stem to stride 4, residual blocks at stride 4 and 8, head at stride 4."""

    def __init__(
        self,
        *,
        bands: int = 3,
        classes: int = 1,
        width: int = 48,
        deep_width: int = 128,
        deep_blocks: int = 3,
        radius_px: float = 20.0,
    ) -> None:
        """Build the network with random weights.

        Args:
            bands: Input bands.
            classes: Object classes, one heat map each.
            width: Channels at stride 4.
            deep_width: Channels at stride 8.
            deep_blocks: Residual blocks at stride 8.
            radius_px: Typical radius, px: what the head predicts before training.
        """
        super().__init__()
        self.classes = classes
        self.deep_blocks = deep_blocks
        self.stem = nn.Sequential(
            ConvNorm(bands, width // 2, stride=2),
            ConvNorm(width // 2, width, stride=2),
            Residual(width),
        )
        self.down = ConvNorm(width, deep_width, stride=2)
        self.deep = nn.Sequential(*(Residual(deep_width) for _ in range(deep_blocks)))
        self.lateral = nn.Conv2d(deep_width, width, 1)
        self.fuse = ConvNorm(width, width)
        self.neck = ConvNorm(width, width)
        self.head = nn.Conv2d(width, classes + REGRESSED, 1)
        self._start_head(radius_px)

    def _start_head(self, radius_px: float) -> None:
        bias = torch.zeros(self.classes + REGRESSED)
        bias[: self.classes] = math.log(_PRIOR / (1 - _PRIOR))
        bias[-1] = math.log(radius_px)
        with torch.no_grad():
            self.head.bias.copy_(bias)  # type: ignore[union-attr]
            self.head.weight.mul_(0.1)

    @property
    def receptive_radius_px(self) -> int:
        """How far, in input pixels, an output cell can see at most.

        A 3 x 3 convolution sees one cell of its own stride to each side: the two of
        the stem 1 and 2 px, four at stride 4, the step down to stride 8 4 px, and the
        deep blocks 8 px per convolution; the upsampled cell itself adds half a cell.
        """
        return 1 + 2 + 4 * 4 + 4 + 16 * self.deep_blocks + 4

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes + 3, h / 4, w / 4) for images (n, band, h, w).

        The sides must be multiples of 8. Channels: heat-map logits per class, then
        offset x, offset y (cells from the cell's centre), then ln(radius / px).
        """
        shallow = self.stem(x)
        deep = self.lateral(self.deep(self.down(shallow)))
        # Nearest, not bilinear: cheaper, and it keeps the receptive field bounded.
        mixed = shallow + functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        out: Tensor = self.head(self.neck(self.fuse(mixed)))
        return out

    def fold(self) -> None:
        """Put the network in eval mode and merge every norm into its convolution."""
        fold_conv_norms(self)


def fold_conv_norms(network: nn.Module) -> None:
    """Put a network in eval mode and merge every norm into its convolution, in place.

    Args:
        network: What it has of norms outside `ConvNorm` stays.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.fold()


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
