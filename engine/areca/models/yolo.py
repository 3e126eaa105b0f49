"""YOLOv3: boxes on three grids over the features of Darknet-53.

Written from the papers of Redmon and Farhadi, "YOLOv3: An Incremental Improvement"
(2018, arXiv:1804.02767) and, for the form of a box, "YOLO9000" (2016,
arXiv:1612.08242). The modules are made in the order of Darknet's layers, which is the
order of the numbers in its files (`areca.models.darknet`).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from areca.models.checks import check_known
from areca.models.network import ConvNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.models.card import ModelCard

    Anchors = Sequence[Sequence[Sequence[float]]]

STRIDES = (8, 16, 32)
"""Input pixels per cell of each grid."""
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""Width and height of the boxes that the paper starts from, px, for each grid."""
BLOCKS = (1, 2, 8, 8, 4)
"""Residual blocks at the strides 2, 4, 8, 16 and 32 of Darknet-53."""
_CHANNELS = (32, 64, 128, 256, 512, 1024)
"""Of Darknet-53, at the strides 1 to 32."""
_BOX = 5
"""Values of a box before its classes: x, y, width, height, objectness."""
_SLOPE = 0.1
"""Of the leaky ReLU, below zero."""
_PRIOR = 0.01
"""Objectness before training: few cells hold a centre, so start low (Lin et al. 2017,
arXiv:1708.02002)."""


class Cells(NamedTuple):
    """Boxes of many tiles, all of k entries, ordered by tile."""

    tile: Tensor
    """Place in the batch."""
    bounds: Tensor
    """Left, top, right and bottom, shape (k, 4), px of the tile and inside it."""
    score: Tensor
    """Objectness x probability of the class, 0 to 1."""
    label: Tensor
    """Class, from 0."""


class LeakyConv(ConvNorm):
    """A convolution, BatchNorm and leaky ReLU."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outer, h / stride, w / stride) for (n, inner, h, w)."""
        return functional.leaky_relu(self.norm(self.conv(x)), _SLOPE, inplace=True)


class Shortcut(nn.Module):
    """A residual block of Darknet-53: 1 x 1 to few channels, 3 x 3 back to many."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.squeeze = LeakyConv(wide, narrow, kernel=1)
        self.expand = LeakyConv(narrow, wide)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape, (n, wide, h, w)."""
        out: Tensor = x + self.expand(self.squeeze(x))
        return out


class Grid(nn.Module):
    """The layers that lead to one grid of boxes."""

    def __init__(
        self,
        beside: int,
        deeper: int,
        channels: tuple[int, int],
        outputs: tuple[int, int],
    ) -> None:
        """Build the layers.

        Args:
            beside: Channels of the backbone at this stride.
            deeper: Channels that the next coarser grid hands on; 0 without one.
            channels: How many after the 1 x 1 and after the 3 x 3 convolutions.
            outputs: Anchors of a cell, and values of each.
        """
        super().__init__()
        narrow, wide = channels
        self.lateral = LeakyConv(deeper, narrow, kernel=1) if deeper else None
        inner = beside + (narrow if deeper else 0)
        self.mix = nn.Sequential(
            LeakyConv(inner, narrow, kernel=1),
            LeakyConv(narrow, wide),
            LeakyConv(wide, narrow, kernel=1),
            LeakyConv(narrow, wide),
            LeakyConv(wide, narrow, kernel=1),
        )
        self.last = LeakyConv(narrow, wide)
        self.head = nn.Conv2d(wide, math.prod(outputs), 1)
        bias = cast("Tensor", self.head.bias).detach().view(outputs)
        bias[:, _BOX - 1] = math.log(_PRIOR / (1 - _PRIOR))

    @override
    def forward(self, beside: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what the next finer grid takes, and the values of the cells."""
        x = beside
        if self.lateral is not None and deeper is not None:
            above = functional.interpolate(
                self.lateral(deeper), scale_factor=2.0, mode="nearest"
            )
            x = torch.cat([above, beside], dim=1)
        mixed = self.mix(x)
        return mixed, self.head(self.last(mixed))


class YoloV3(nn.Module):
    """Darknet-53 and three grids; it takes tiles whose sides are multiples of 32."""

    def __init__(
        self,
        *,
        bands: int = 3,
        classes: int = 80,
        anchors: Anchors = ANCHORS,
        width: float = 1.0,
        blocks: Sequence[int] = BLOCKS,
    ) -> None:
        """Build the network with random weights.

        Args:
            bands: Input bands.
            classes: Object classes.
            anchors: For the strides 8, 16 and 32: widths and heights, px.
            width: Channels, as a multiple of the paper's.
            blocks: Residual blocks at the strides 2, 4, 8, 16 and 32.
        """
        super().__init__()
        _check_options(anchors, width, blocks)
        widths = [max(1, round(channels * width)) for channels in _CHANNELS]
        outputs = [(len(shapes), _BOX + classes) for shapes in anchors]
        self.classes = classes
        self.stem = LeakyConv(bands, widths[0])
        self.stages = _build_stages(widths, blocks)
        self.grids = _build_grids(widths, outputs)
        for stride, shapes in zip(STRIDES, anchors, strict=True):
            # Not persistent: they are no weights, and the card has them.
            sizes = torch.tensor(shapes, dtype=torch.float32)
            self.register_buffer(f"anchors_{stride}", sizes, persistent=False)

    @override
    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the values of the cells of each grid, for images (n, band, h, w).

        Shape (n, anchor x (5 + class), h / stride, w / stride) for the strides 32, 16
        and 8: for each anchor x, y, width, height, objectness and the classes, all
        before their sigmoid or exponential.
        """
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        deeper, cells = None, []
        for grid, level in zip(self.grids, levels[:-4:-1], strict=True):
            deeper, values = grid(level, deeper)
            cells.append(values)
        return cells

    def boxes(self, cells: Sequence[Tensor], lowest: float) -> Cells:
        """Return the boxes of what `forward` returned.

        Every class of every box is one by itself if its score is high enough: classes
        do not exclude each other in the paper. Nothing is suppressed.

        Args:
            cells: Finite values of the three grids.
            lowest: Boxes with a lower score are dropped, 0 to 1.

        Returns:
            The boxes, by tile, then from the coarsest grid to the finest.
        """
        parts = [
            decode_cells(values, self.get_buffer(f"anchors_{stride}"), stride, lowest)
            for values, stride in zip(cells, STRIDES[::-1], strict=True)
        ]
        joined = Cells(*(torch.cat(values) for values in zip(*parts, strict=True)))
        order = torch.argsort(joined.tile, stable=True)
        return Cells(*(values[order] for values in joined))


def decode_cells(cells: Tensor, anchors: Tensor, stride: int, lowest: float) -> Cells:
    """Return the boxes of one grid, by the formulas of section 2.1 of the paper.

    With (c_x, c_y) the cell and (p_w, p_h) the anchor: centre sigmoid(t_x) + c_x and
    sigmoid(t_y) + c_y in cells, width p_w exp(t_w), height p_h exp(t_h).

    Args:
        cells: Shape (n, anchor x (5 + class), rows, columns), finite.
        anchors: Widths and heights, shape (anchor, 2), px.
        stride: Edge of a cell, px.
        lowest: Boxes with a lower score are dropped.

    Returns:
        The boxes, cut at the edges of the tile.
    """
    count, _, rows, cols = cells.shape
    values = cells.float().view(count, len(anchors), -1, rows, cols)
    objectness = values[:, :, _BOX - 1 : _BOX].sigmoid()
    scores = objectness * values[:, :, _BOX:].sigmoid()
    found = torch.nonzero(scores >= lowest, as_tuple=True)
    tile, anchor, label, row, col = found
    t = values[tile, anchor, : _BOX - 1, row, col]
    centre = (t[:, :2].sigmoid() + torch.stack([col, row], dim=1)) * stride
    half = anchors[anchor] * t[:, 2:].exp() / 2
    bounds = torch.cat([centre - half, centre + half], dim=1)
    # This also tames a width whose exponential overflows.
    bounds[:, ::2].clamp_(0, cols * stride)
    bounds[:, 1::2].clamp_(0, rows * stride)
    return Cells(tile, bounds, scores[found], label)


def build_yolo(card: ModelCard) -> YoloV3:
    """Return the card's YOLOv3 with random weights; all its input bands are built in.

    Options: `anchors` (for each of the strides 8, 16 and 32 a list of [width, height],
    px), `width` (channels as a multiple of the paper's) and `blocks` (residual blocks
    at the strides 2 to 32). By default all are those of the paper.
    """
    check_known(card, card.architecture_options, ["anchors", "width", "blocks"])
    return YoloV3(
        bands=len(card.bands), classes=len(card.labels), **card.architecture_options
    )


def _build_stages(widths: Sequence[int], blocks: Sequence[int]) -> nn.ModuleList:
    """Return the five steps of Darknet-53, each to half the resolution."""
    return nn.ModuleList(
        nn.Sequential(
            LeakyConv(narrow, wide, stride=2),
            *(Shortcut(wide, narrow) for _ in range(count)),
        )
        for (narrow, wide), count in zip(pairwise(widths), blocks, strict=True)
    )


def _build_grids(
    widths: Sequence[int], outputs: Sequence[tuple[int, int]]
) -> nn.ModuleList:
    """Return the grids, the coarsest first: it hands its features to the next."""
    grids = nn.ModuleList()
    deeper = 0
    for narrow, wide, values in zip(
        widths[-2:1:-1], widths[:2:-1], outputs[::-1], strict=True
    ):
        grids.append(Grid(wide, deeper, (narrow, wide), values))
        deeper = narrow
    return grids


def _check_options(anchors: Anchors, width: float, blocks: Sequence[int]) -> None:
    """Refuse options of which no network can be made.

    Raises:
        ValueError: One is such.
    """
    is_full = len(anchors) == len(STRIDES) and all(
        shapes and all(len(shape) == 2 and min(shape) > 0 for shape in shapes)
        for shapes in anchors
    )
    if not is_full:
        raise ValueError(
            f"anchors are {anchors}; give three lists of [width, height] above zero, "
            "px, for the strides 8, 16 and 32"
        )
    if not width > 0:
        raise ValueError(f"width is {width}; it multiplies channels: give 1 or less")
    if len(blocks) != len(BLOCKS) or min(blocks) < 0:
        raise ValueError(
            f"blocks are {blocks}; give five numbers of residual blocks, 0 or more"
        )
