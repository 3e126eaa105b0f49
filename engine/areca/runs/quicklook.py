"""Quick-looks: small pictures that blocks leave behind, put together for the report.

A block has its pixels in memory anyway. Keeping every n-th of them costs nothing and
spares a second pass over the imagery, whatever it was read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from areca.tiles import as_floats

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from areca.models.card import ModelCard
    from areca.tiles import Window

LARGEST_EDGE = 1600
"""Edge of the overview, pixels."""
UNSEEN_GREY = 225
MIDDLE, SPREAD = 120.0, 55.0
"""Grey of a band's mean, and grey levels of one standard deviation."""


def step_of(shown: Window) -> int:
    """Return of how many pixels a quick-look keeps one, in each direction."""
    return -(-max(shown.height, shown.width) // LARGEST_EDGE)


def quicklook(
    block: xr.DataArray, padded: Window, core: Window, step: int
) -> NDArray[np.float32]:
    """Return every `step`-th pixel of a block's core.

    Args:
        block: Dims (band, y, x) of `padded` (`areca.tiles.block_array`).
        padded: Absolute pixels of `block`.
        core: The block.
        step: Of how many pixels to keep one; those whose absolute row and column are
            multiples of it.

    Returns:
        Shape (band, rows, columns), NaN where nothing was seen.
    """
    rows, cols = core.slices_in(padded)
    every = slice(rows.start + -core.row0 % step, rows.stop, step)
    along = slice(cols.start + -core.col0 % step, cols.stop, step)
    return np.asarray(as_floats(block.isel(y=every, x=along)).to_numpy())


def paint(pixels: NDArray[np.float32], card: ModelCard) -> Image.Image:
    """Return a picture of the first three bands, light grey where nothing was seen.

    Args:
        pixels: Shape (band, height, width) in the order of the model's inputs.
        card: Its statistics set brightness and contrast, so that blocks match.

    Returns:
        An RGB picture.
    """
    count = len(pixels)
    mean = np.resize(np.asarray(card.mean, np.float32), count)[:, None, None]
    std = np.resize(np.asarray(card.std, np.float32), count)[:, None, None]
    seen = np.isfinite(pixels).any(axis=0)
    grey = MIDDLE + SPREAD * (pixels - mean) / std
    # A band alone at its nodata value is nearly always a saturated one.
    grey = np.where(np.isfinite(grey), np.clip(grey, 0, 255), 255).astype(np.uint8)
    grey[:, ~seen] = UNSEEN_GREY
    chosen = grey[[0, 1, 2]] if count > 2 else grey[[0, 0, 0]]
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(chosen, 0, -1)))


def assemble(
    pictures: Iterable[tuple[Window, Path]], region: Window, step: int
) -> Image.Image:
    """Return the overview of a region.

    Args:
        pictures: Window of each block, and its quick-look; those that are not there
            (holes) stay grey.
        region: Absolute pixels.
        step: As the quick-looks were made.

    Returns:
        An RGB picture, one pixel for `step` pixels.
    """
    top, left = -(-region.row0 // step), -(-region.col0 // step)
    size = (-(-region.col1 // step) - left, -(-region.row1 // step) - top)
    blank = (UNSEEN_GREY,) * 3
    sheet = Image.new("RGB", (max(1, size[0]), max(1, size[1])), blank)
    for window, path in pictures:
        if path.is_file():
            with Image.open(path) as picture:
                place = (-(-window.col0 // step) - left, -(-window.row0 // step) - top)
                sheet.paste(picture, place)
    return sheet
