"""Round objects as polygons that have the area of the circle they stand for."""

import math

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from areca.errors import InputError


def equal_area_factor(segments: int) -> float:
    """Return how far the vertices of a regular polygon lie out, in circle radii.

    A regular polygon with its vertices on the circle is too small: with 32 segments
    its area is 0.64 % short. Vertices at `factor * radius` give the circle's area.

    Args:
        segments: Number of sides.

    Returns:
        The factor, 1 or more. From the area of a regular n-gon with circumradius R,
        n/2 * R**2 * sin(2 pi / n).

    Raises:
        InputError: fewer than three segments.
    """
    if segments < 3:
        raise InputError(
            f"segments={segments} makes no polygon. Use 3 or more, for example 32."
        )
    turn = 2 * math.pi / segments
    return math.sqrt(turn / math.sin(turn))


def circle_polygons(
    x: ArrayLike,
    y: ArrayLike,
    radius_x: ArrayLike,
    radius_y: ArrayLike,
    *,
    segments: int = 32,
) -> NDArray[np.object_]:
    """Draw circles, or ellipses along the axes, as polygons of equal area.

    The vertices start in the direction of +x and run counter-clockwise.

    Args:
        x: Centres, shape (n,), CRS units.
        y: Centres, shape (n,), CRS units.
        radius_x: Radii along x, shape (n,) or one number, CRS units.
        radius_y: Radii along y; differs from `radius_x` where a CRS unit is not the
            same length on the ground in both directions, as in a geographic CRS.
        segments: Vertices of each polygon.

    Returns:
        shapely polygons, shape (n,). None where a centre or a radius is NaN. The
        planar area is pi * radius_x * radius_y.

    Raises:
        InputError: a radius is negative, or fewer than three segments.

    Example:
        >>> disc = circle_polygons([0.0], [0.0], [2.0], [2.0])[0]
        >>> round(disc.area / math.pi, 12)
        4.0
    """
    columns = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, np.float64)) for v in (x, y, radius_x, radius_y))
    )
    for name, radius in zip(("radius_x", "radius_y"), columns[2:], strict=True):
        if (radius < 0).any():
            raise InputError(
                f"{name} has {int((radius < 0).sum())} negative values, the least "
                f"{np.nanmin(radius):g}. A radius is a length: drop these rows first."
            )
    factor = equal_area_factor(segments)
    angle = np.arange(segments) * (2 * math.pi / segments)
    polygons = np.full(columns[0].shape, None, dtype=np.object_)
    drawn = np.isfinite(np.stack(columns)).all(axis=0)
    centre_x, centre_y, reach_x, reach_y = (v[drawn][:, None] for v in columns)
    rings = np.stack(
        [
            centre_x + factor * reach_x * np.cos(angle),
            centre_y + factor * reach_y * np.sin(angle),
        ],
        axis=-1,
    )
    polygons[drawn] = shapely.polygons(shapely.linearrings(rings))
    return polygons
