"""Which ground trains, which is held back: square blocks, never single labels.

Neighbouring crowns share light, age and image strip, so a split by label would leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.features import rasterize
from scipy import ndimage

from areca.errors import LabelError

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

PARTS = ("train", "validation", "test")
"""Names of the parts, in the order of their numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundSplit:
    """A division of an image into square blocks of ground."""

    block_px: int
    """Edge of a block, px."""
    part: NDArray[np.int8]
    """Part of each block, shape (block rows, block columns): index into `PARTS`,
    or -1 where nothing is labelled."""
    fold: NDArray[np.int8]
    """Fold of each block for cross-fitting, 0 or 1, in any part."""

    def mask(
        self, shape: tuple[int, int], part: str, *, fold: int | None = None
    ) -> NDArray[np.bool_]:
        """Return the pixels (height, width) of one part, and of one fold if given."""
        chosen = self.part == PARTS.index(part)
        if fold is not None:
            chosen &= self.fold == fold
        return self.to_pixels(chosen, shape)

    def to_pixels(
        self, blocks: NDArray[np.bool_], shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Return a choice of blocks as a mask of pixels (height, width)."""
        size = self.block_px
        return np.kron(blocks, np.ones((size, size), bool))[: shape[0], : shape[1]]


def split_ground(
    usable: NDArray[np.bool_],
    *,
    block_px: int,
    shares: tuple[float, float],
    seed: int,
) -> GroundSplit:
    """Deal the blocks that hold usable ground to train, validation and test.

    Blocks are anchored at the image's first pixel. A block counts as labelled where at
    least an eighth of it is usable.

    Args:
        usable: Where labels hold, shape (height, width).
        block_px: Edge of a block, px.
        shares: Share of the blocks for validation and for test; the rest trains.
        seed: Seed of the deal.

    Returns:
        The split.

    Raises:
        LabelError: the image has too few labelled blocks for all three parts.
    """
    height, width = usable.shape
    rows, cols = -(-height // block_px), -(-width // block_px)
    padded = np.zeros((rows * block_px, cols * block_px), np.float32)
    padded[:height, :width] = usable
    share = padded.reshape(rows, block_px, cols, block_px).mean(axis=(1, 3))
    held = np.flatnonzero(share.ravel() >= 1 / 8)
    rng = np.random.default_rng(seed)
    order = rng.permutation(held)
    counts = [round(len(held) * value) for value in shares]
    needed = [count for count, value in zip(counts, shares, strict=True) if value > 0]
    if 0 in needed or sum(counts) >= len(held):
        raise LabelError(
            f"{len(held)} blocks of {block_px} px hold labelled ground, too few for "
            f"shares of {shares} for validation and test; make the blocks smaller"
        )
    part = np.full(rows * cols, -1, np.int8)
    part[held] = 0
    part[order[: counts[0]]] = 1
    part[order[counts[0] : sum(counts)]] = 2
    fold = np.zeros(rows * cols, np.int8)
    fold[rng.permutation(rows * cols)[::2]] = 1
    return GroundSplit(
        block_px=block_px, part=part.reshape(rows, cols), fold=fold.reshape(rows, cols)
    )


def area_mask(area: gpd.GeoDataFrame, geobox: GeoBox) -> NDArray[np.bool_]:
    """Return the pixels (height, width) whose centre lies in the polygons."""
    burnt: NDArray[np.uint8] = rasterize(
        ((shape, 1) for shape in area.geometry),
        out_shape=geobox.shape.yx,
        transform=geobox.affine,
        dtype="uint8",
    )
    return burnt.astype(bool)


def erode(mask: NDArray[np.bool_], distance_px: float) -> NDArray[np.bool_]:
    """Return the pixels that are further than a distance from any pixel outside.

    The rim of the array is no outside: beyond it there is no ground to leak from.
    """
    if distance_px <= 0 or mask.all():
        return mask.copy()
    away: NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    return away > distance_px
