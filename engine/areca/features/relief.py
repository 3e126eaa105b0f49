"""The lie of the land, after Horn (1981, Proc. IEEE 69, 14-47), as gdaldem has it.

Gradients run along the axes of the grid, and a pixel is as wide and high as it is on
the ellipsoid, so that degrees and Mercator metres give true slopes. Heights are metres.
A pixel with a missing neighbour has no gradient: it is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from areca.errors import GridError
from areca.tiles import pixel_sizes_m

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer

    Floats = NDArray[np.float64]


class _Gradient(NamedTuple):
    """Rise in metres a metre."""

    east: Floats
    """Along the rows of the grid."""
    south: Floats
    """Along its columns."""


def slope(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return how steep the ground is, degrees from level."""
    rise = _gradient(layer, options["z"])
    steep = np.hypot(rise.east, rise.south)
    return layer.where_valid(np.degrees(np.arctan(steep)))


def aspect(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return where the ground falls to, degrees clockwise from the grid's north.

    NaN where the ground is level.
    """
    rise = _gradient(layer, options["z"])
    downhill = np.degrees(np.arctan2(-rise.east, rise.south)) % 360
    level = (rise.east == 0) & (rise.south == 0)
    # An angle a hair below 0 becomes 360 in float32.
    turned = np.where(level, np.nan, downhill).astype(np.float32)
    return layer.where_valid(np.where(turned == 360, 0, turned))


def northness(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the sine of the slope times the cosine of the aspect, -1 to 1."""
    rise = _gradient(layer, options["z"])
    return layer.where_valid(rise.south / _length(rise))


def eastness(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the sine of the slope times the sine of the aspect, -1 to 1."""
    rise = _gradient(layer, options["z"])
    return layer.where_valid(-rise.east / _length(rise))


def hillshade(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return how bright the sun makes the ground, 1 (dark) to 255, not rounded."""
    rise = _gradient(layer, options["z"])
    azimuth, altitude = np.radians(options["azimuth"]), np.radians(options["altitude"])
    towards = np.sin(azimuth) * rise.east - np.cos(azimuth) * rise.south
    bright = (np.sin(altitude) - np.cos(altitude) * towards) / _length(rise)
    return layer.where_valid(1 + 254 * np.where(bright < 0, 0, bright))


def tpi(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the topographic position: the height less the mean of 8 neighbours, m."""
    middle, *around = _neighbours(layer)
    return layer.where_valid(options["z"] * (middle - sum(around) / 8))


def tri(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the terrain ruggedness of Riley et al. (1999), m."""
    middle, *around = _neighbours(layer)
    squares = sum((other - middle) ** 2 for other in around)
    return layer.where_valid(options["z"] * np.sqrt(squares))


def roughness(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the largest less the smallest of 3 x 3 heights, m."""
    every = np.stack(_neighbours(layer))
    return layer.where_valid(options["z"] * (every.max(axis=0) - every.min(axis=0)))


def _length(rise: _Gradient) -> Floats:
    """Return the length of the normal whose upward part is 1."""
    return np.sqrt(1 + rise.east**2 + rise.south**2)


def _gradient(layer: Layer, z: float) -> _Gradient:
    def make() -> _Gradient:
        place = layer.place
        if place is None:
            raise GridError(
                "terrain needs pixels in metres, and this block does not say where it "
                "lies; use areca.stack_features or areca.tiles.placed"
            )
        width, height = pixel_sizes_m(place.lattice, place.window)
        _, nw, n, ne, w, e, sw, s, se = _neighbours(layer)
        east = ((ne + 2 * e + se) - (nw + 2 * w + sw)) / (8 * width)
        south = ((sw + 2 * s + se) - (nw + 2 * n + ne)) / (8 * height)
        return _Gradient(z * east, z * south)

    return layer.once(("gradient", z), make)


def _neighbours(layer: Layer) -> list[Floats]:
    """Return each pixel, then its neighbours row by row from the north-west one."""

    def make() -> list[Floats]:
        values = np.where(layer.valid, layer.values, np.nan).astype(np.float64)
        padded = np.pad(values, 1, constant_values=np.nan)
        height, width = values.shape
        around = [(1, 1)]
        around += [(r, c) for r in range(3) for c in range(3) if (r, c) != (1, 1)]
        return [padded[r : r + height, c : c + width] for r, c in around]

    return layer.once("neighbours", make)
