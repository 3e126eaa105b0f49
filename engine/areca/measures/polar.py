"""Places around a pole in metres, where meridians turn too fast for any other frame.

The polar azimuthal equidistant projection (Snyder 1987, USGS PP 1395, p. 195):
distances from the pole are exact, lengths across are off by
(distance / earth radius)**2 / 6, which is 2e-8 at 2 km.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles.earth import Earth

EDGES = np.minimum, np.maximum
WITHIN = 0.1
"""How far from a pole, radians, what does not reach over it may have a frame there."""


def polar_metres(
    earth: Earth,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    pole: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map angles to metres around a pole.

    Args:
        earth: The ellipsoid.
        longitude: From the meridian along which y runs to true north, shape (n,),
            radians.
        latitude: Shape (n,), radians.
        pole: 1 for the North Pole, -1 for the South Pole, shape (n,).

    Returns:
        x and y, m, shape (n,) each; the pole is at (0, 0).
    """
    distance = _distance(earth, np.pi / 2 - pole * latitude)
    return distance * np.sin(longitude), -pole * distance * np.cos(longitude)


def polar_angles(
    earth: Earth,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    pole: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude in radians for metres; undoes `polar_metres`."""
    distance = np.hypot(x, y)
    angle = distance / earth.radii(np.array(np.pi / 2))[1]
    # A secant through the pole: each step is 300 times closer, as radii hardly change.
    for _ in range(6):
        reached = _distance(earth, angle)
        angle = angle * np.divide(
            distance, reached, where=reached > 0, out=np.ones_like(distance)
        )
    # Rounding must not go on behind the other pole.
    return np.arctan2(x, -pole * y), pole * (np.pi / 2 - np.minimum(angle, np.pi))


def around_poles(
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    starts: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find objects that need a frame on a pole.

    Args:
        longitude: Vertices, shape (vertex,), radians.
        latitude: Shape (vertex,), radians.
        starts: First vertex of each object, shape (object,).

    Returns:
        1 or -1 for the pole, 0 for none, shape (object,); the longitude of the middle
        of each object, 0 for those that reach over a pole, shape (object,), radians.
    """
    counts = np.diff(starts, append=len(latitude))
    north = np.add.reduceat(latitude, starts) >= 0
    pole = np.where(north, 1.0, -1.0)
    angle = np.pi / 2 - np.repeat(pole, counts) * latitude
    flat = np.stack([angle * np.sin(longitude), angle * np.cos(longitude)])
    low, high = (edge.reduceat(flat, starts, axis=1) for edge in EDGES)
    middle, half = (low + high) / 2, np.hypot(*(high - low)) / 2
    over = ((low <= 0) & (high >= 0)).all(axis=0) & (half > 0)
    away = np.hypot(*middle)
    # A frame of its own is off by (half / away)**2, one on the pole by away**2.
    close = (away < WITHIN) & (half > away**2)
    meridian = np.where(over, 0.0, np.arctan2(*middle))
    return np.where(over | close, pole, 0.0), meridian


def _distance(earth: Earth, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far from the pole an angle from it is along a meridian, m.

    Simpson's rule on the curvature: off by 2e-9 at 600 km, by the fourth power of that
    nearer by and further out.
    """
    ends = earth.radii(np.array(np.pi / 2))[1] + earth.radii(np.pi / 2 - angle)[1]
    middle = earth.radii((np.pi - angle) / 2)[1]
    return np.asarray(angle * (ends + 4 * middle) / 6)
