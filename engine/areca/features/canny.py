"""Canny's edges of a block: thin lines of strong and weak pixels.

Canny 1986, doi 10.1109/TPAMI.1986.4767851, with the details of `skimage.feature.canny`:
pixels that are missing weigh nothing in the Gaussian, gradients are Sobel's, lines are
thinned with neighbours interpolated between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy import ndimage

from areca.errors import BandError
from areca.features.filters import TRUNCATE, gaussian_radius
from areca.tiles import place_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import Window

    Floats = NDArray[np.float64]

NONE, WEAK, STRONG = 0.0, 1.0, 2.0
"""What a pixel is: no edge, one if a strong pixel goes on from it, one."""
_AROUND = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinEdges:
    """A stage that finds thin lines where bands change, strong and weak ones."""

    bands: tuple[str, ...]
    low: float
    """Least strength of a weak pixel: the length of Sobel's gradient (the sum of its
    weights is 8 for a slope of one unit a pixel), in the unit of the bands."""
    high: float
    """Least strength of a strong pixel."""
    sigma: float
    """Of the Gaussian before, pixels."""
    whole: Window
    """Absolute pixels of the cube: gradients at its rim go on as they are."""

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < np.inf:
            raise BandError(
                f"low={self.low} and high={self.high} cannot be: low must be more than "
                "0 and not above high; they are gradients in the unit of the bands"
            )
        if not 0 < self.sigma < np.inf:
            raise BandError(f"sigma must be more than 0 pixels, got {self.sigma}")

    @property
    def halo_px(self) -> int:
        """The Gaussian, the gradient of it, and the gradients beside."""
        return gaussian_radius(self.sigma) + 2

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Find the lines of a block.

        Args:
            block: Dims (band, y, x), NaN where missing, `halo_px` wider on each side,
                which says where it lies.

        Returns:
            Dims (band, y, x) without the halo, float32: `NONE`, `WEAK`, `STRONG`, NaN
            where missing. Beside a missing pixel there is no edge.
        """
        halo = self.halo_px
        place = place_of(block)
        found = [
            self._lines(band, None if place is None else place.window)
            for band in block.to_numpy()
        ]
        inner = np.stack(found)[:, halo:-halo, halo:-halo]
        return xr.DataArray(inner, dims=block.dims, coords={"band": list(self.bands)})

    def _lines(
        self, band: NDArray[np.float32], window: Window | None
    ) -> NDArray[np.float32]:
        valid = np.isfinite(band)
        values = _smooth(np.where(valid, band, 0).astype(np.float64), valid, self.sigma)
        if window is not None:
            _go_on(values, window, self.whole)
        down, across = (ndimage.sobel(values, axis=axis) for axis in (0, 1))
        strength = np.sqrt(down * down + across * across)
        whole = ndimage.binary_erosion(valid, _AROUND)
        seen = whole & (strength >= self.low)
        seen[[0, -1]] = seen[:, [0, -1]] = False  # in the halo, without neighbours
        rows, cols = np.nonzero(seen)
        thin = _is_crest(down, across, strength, (rows, cols))
        rows, cols = rows[thin], cols[thin]
        out = np.where(valid, np.float32(NONE), np.float32(np.nan))
        is_strong = strength[rows, cols] >= self.high
        out[rows, cols] = np.where(is_strong, STRONG, WEAK)
        return out


def _smooth(filled: Floats, valid: NDArray[np.bool_], sigma: float) -> Floats:
    """Return a Gaussian mean of the pixels that are there, also where one is not."""
    how = {"mode": "constant", "truncate": TRUNCATE}
    weight = ndimage.gaussian_filter(valid.astype(np.float64), sigma, **how)
    weight += np.finfo(np.float64).eps
    smooth: Floats = ndimage.gaussian_filter(filled, sigma, **how) / weight
    return smooth


def _go_on(values: Floats, window: Window, whole: Window) -> None:
    """Repeat the rim of the cube by one pixel, in place."""
    for axis, (first, end) in enumerate(
        (
            (whole.row0 - window.row0, whole.row1 - window.row0),
            (whole.col0 - window.col0, whole.col1 - window.col0),
        )
    ):
        lines = np.moveaxis(values, axis, 0)
        if first > 0:
            lines[first - 1] = lines[first]
        if end < len(lines):
            lines[end] = lines[end - 1]


def _is_crest(
    down: Floats,
    across: Floats,
    strength: Floats,
    at: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> NDArray[np.bool_]:
    """Return where the strength is no less than on both sides along the gradient.

    Args:
        down: Gradient along rows, shape (height, width).
        across: Gradient along columns.
        strength: Length of both.
        at: Rows and columns to look at, shape (n,), none at the edge.
    """
    rows, cols = at
    steep, flat = np.abs(down[at]), np.abs(across[at])
    same = (down[at] > 0) == (across[at] > 0)
    # Equal ones: as skimage has it, which differs between the two diagonals.
    is_steep = np.where(same, steep > flat, steep >= flat)
    large, small = np.where(is_steep, (steep, flat), (flat, steep))
    share = small / large
    turn = np.where(same, 1, -1)
    along = np.where(is_steep, turn, 0), np.where(is_steep, 0, 1)
    here = strength[at]
    crest = np.ones(here.shape, bool)
    for side in (1, -1):
        straight = strength[rows + side * along[0], cols + side * along[1]]
        corner = strength[rows + side * turn, cols + side]
        crest &= corner * share + straight * (1.0 - share) <= here
    return crest
