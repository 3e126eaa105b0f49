"""Mean shift: each pixel moves to the mean of those around it that are like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from areca.errors import BandError
from areca.features.lineage import traced_each
from areca.tiles import map_stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float32]

STRIP_PX = 2**14
"""Pixels that are worked on at once: they stay in the cache of a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanShift:
    """A stage that evens out bands and keeps edges.

    All pixels move together, a fixed number of times, and none of them in space:
    the blurring mean shift of Fukunaga & Hostetler (1975, doi
    10.1109/TIT.1975.1055330) and Cheng (1995, doi 10.1109/34.400568) with a flat
    kernel, in a window. So a pixel depends on `iterations * spatial_radius` pixels
    around it and on nothing else.
    """

    bands: tuple[str, ...]
    """Names of the bands, in the order of the cube."""
    spectral_radius: float
    """How far two pixels that are alike lie apart at most, over all bands."""
    spatial_radius: int
    """How far away a pixel looks, up, down and to both sides."""
    iterations: int

    def __post_init__(self) -> None:
        if not 0 < self.spectral_radius < np.inf:
            raise BandError(
                f"spectral_radius must be more than 0, got {self.spectral_radius}: it "
                "is a distance in the unit of the bands"
            )
        for name in ("spatial_radius", "iterations"):
            value = getattr(self, name)
            if value < 1 or value % 1:
                raise BandError(f"{name} must be a whole number from 1, got {value}")

    @property
    def halo_px(self) -> int:
        """Each time a pixel sees one radius further."""
        return self.iterations * self.spatial_radius

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Filter a block.

        Args:
            block: Dims (band, y, x), NaN where missing, `halo_px` wider on each side.

        Returns:
            Dims (band, y, x) without the halo, float32, NaN in all bands where one is
            missing; missing pixels are not looked at.
        """
        pixels = block.to_numpy()
        valid = np.isfinite(pixels).all(axis=0)
        values = np.where(valid, pixels, 0).astype(np.float32)
        inner = slice(self.spatial_radius, -self.spatial_radius)
        for _ in range(self.iterations):
            values = self._moved(values, valid)
            valid = valid[inner, inner]
        return xr.DataArray(
            np.where(valid, values, np.float32(np.nan)),
            dims=block.dims,
            coords={"band": list(self.bands)},
        )

    def _moved(self, values: Values, valid: NDArray[np.bool_]) -> Values:
        """Return all pixels, moved once, without a rim of one radius."""
        reach = 2 * self.spatial_radius
        height, width = valid.shape[0] - reach, valid.shape[1] - reach
        out = np.empty((len(values), height, width), np.float32)
        rows = max(STRIP_PX // max(width, 1), 1)
        for row in range(0, height, rows):
            strip = slice(row, min(row + rows, height) + reach)
            out[:, row : row + rows] = self._strip(values[:, strip], valid[strip])
        return out

    def _strip(self, values: Values, valid: NDArray[np.bool_]) -> Values:
        """Return the pixels of a strip, moved; in one order, so bits depend on nothing.

        What one pixel of a pair adds to the other it takes from itself, so a pair is
        looked at once. Sums are of what sets neighbours off: small numbers lose less.
        """
        radius = self.spatial_radius
        height, width = (side - 2 * radius for side in valid.shape)
        total = np.zeros((len(values), height, width), np.float32)
        count = np.ones((height, width), np.float32)  # each pixel itself
        limit = np.float32(self.spectral_radius) ** 2
        for down in range(radius + 1):
            for right in range(-radius if down else 1, radius + 1):
                # All pairs that have a pixel of the strip for an end or the other.
                east, west = max(right, 0), max(-right, 0)
                rows = slice(radius - down, radius + height)
                cols = slice(radius - east, radius + width + west)
                here = (rows, cols)
                there = (_moved(rows, down), _moved(cols, right))
                off = values[:, *there] - values[:, *here]
                square = off[0] * off[0]
                for band in off[1:]:
                    square += band * band
                alike = ((square <= limit) & valid[here] & valid[there]).astype("f4")
                off *= alike
                first = (slice(down, None), slice(east, east + width))
                second = (slice(height), slice(west, west + width))
                count += alike[first]
                count += alike[second]
                total += off[:, *first]
                total -= off[:, *second]
        total /= count
        total += values[:, radius : radius + height, radius : radius + width]
        return total


def _moved(part: slice, step: int) -> slice:
    return slice(part.start + step, part.stop + step)


def mean_shift(
    cube: xr.DataArray,
    *,
    spectral_radius: float,
    spatial_radius: int = 3,
    iterations: int = 5,
) -> xr.DataArray:
    """Even out what is alike and keep edges; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS. Bands should share a range of values.
        spectral_radius: How far two pixels that are alike lie apart at most: the
            Euclidean distance over all bands, in their unit.
        spatial_radius: How far a pixel looks each time, pixels.
        iterations: How often all pixels move.

    Returns:
        The same bands, float32, NaN in all of them where one is missing; the same
        bits for any chunks.

    Raises:
        BandError: A radius or the iterations cannot be.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by MeanShift and map_stage
    stage = MeanShift(
        bands=tuple(str(name) for name in cube.band.values),
        spectral_radius=spectral_radius,
        spatial_radius=spatial_radius,
        iterations=iterations,
    )
    told = {"spectral_radius": spectral_radius, "spatial_radius": spatial_radius}
    options = dict.fromkeys(stage.bands, told | {"iterations": iterations})
    return traced_each(map_stage(stage, cube), cube, "mean_shift", options)
