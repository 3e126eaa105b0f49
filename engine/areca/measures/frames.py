"""Local frames in true metres, one for each object, computed for all at once.

Each object gets its own equal-area frame around its own centre. Starting point is the
ellipsoidal sinusoidal projection (Snyder 1987, USGS PP 1395, eq. 30-1 and 30-2): it is
exactly equal-area, and exact in scale along its central meridian and along every
parallel. Its parallels are straight, while on the ground they bend towards the pole;
the term `bend` puts that curve back. It shears along y only, so areas stay exact, and
lengths and angles become those of a tangent plane to second order (what is left is of
the order of (size / earth radius)**2, 1e-12 for a tree). What is at a pole gets a frame
on the pole (`areca.measures.polar`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.measures.polar import around_poles, polar_angles, polar_metres
from areca.tiles.earth import wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles.earth import Earth


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFrames:
    """One frame for each object: x to the east, y to true north, in metres."""

    earth: Earth
    longitude: NDArray[np.float64]
    """Origins, shape (n,), radians; may lie outside +-pi, see `frames_around`."""
    latitude: NDArray[np.float64]
    """Origins, shape (n,), radians."""
    pole: NDArray[np.float64] | None = None
    """1 for a frame on the North Pole, -1 on the South Pole, 0 for any other, shape
    (n,); None if all are others. Along the meridian of its origin y is true north."""

    def taken(self, rows: NDArray[np.bool_]) -> LocalFrames:
        """Return the frames of some objects, shape (n,)."""
        return LocalFrames(
            earth=self.earth,
            longitude=self.longitude[rows],
            latitude=self.latitude[rows],
            pole=None if self.pole is None else self.pole[rows],
        )

    def metres(
        self,
        longitude: NDArray[np.float64],
        latitude: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map angles to metres.

        Args:
            longitude: Shape (vertex,), radians, any turn.
            latitude: Shape (vertex,), radians.
            frame: The frame of each vertex, shape (vertex,), indices into the frames.

        Returns:
            Metres to the east and to the north of the origin, shape (vertex,) each.
        """
        if self.pole is None:
            return self._metres(longitude, latitude, frame)
        x, y = np.empty((2, len(longitude)))
        at = self.pole[frame] != 0
        x[~at], y[~at] = self._metres(longitude[~at], latitude[~at], frame[~at])
        east = longitude[at] - self.longitude[frame[at]]
        pole = self.pole[frame[at]]
        x[at], y[at] = polar_metres(self.earth, east, latitude[at], pole)
        return x, y

    def _metres(
        self,
        longitude: NDArray[np.float64],
        latitude: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return metres for angles in frames that lie on no pole; see `metres`."""
        normal, curvature = self.earth.radii(latitude)
        x = normal * np.cos(latitude) * wrapped(longitude - self.longitude[frame])
        lat0 = self.latitude[frame]
        # Simpson's rule on the curvature. The usual series gives the distance from the
        # equator, and the difference of two of these loses seven digits on a tree.
        ends = self.earth.radii(self.latitude)[1][frame] + curvature
        middle = self.earth.radii((lat0 + latitude) / 2)[1]
        y = (latitude - lat0) * (ends + 4 * middle) / 6
        return x, y + self._bend(self.latitude)[frame] * x * x

    def angles(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return longitude and latitude in radians for metres; undoes `metres`."""
        if self.pole is None:
            return self._angles(x, y, frame)
        longitude, latitude = np.empty((2, len(x)))
        at = self.pole[frame] != 0
        longitude[~at], latitude[~at] = self._angles(x[~at], y[~at], frame[~at])
        east, latitude[at] = polar_angles(
            self.earth, x[at], y[at], self.pole[frame[at]]
        )
        longitude[at] = self.longitude[frame[at]] + east
        return longitude, latitude

    def _angles(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return angles for metres in frames that lie on no pole."""
        lat0 = self.latitude[frame]
        arc = y - self._bend(lat0) * x * x
        start = self.earth.radii(lat0)[1]
        latitude = lat0 + arc / start
        # Newton: the derivative is known exactly, three steps reach rounding.
        for _ in range(3):
            here = self.earth.radii(latitude)[1]
            middle = self.earth.radii((lat0 + latitude) / 2)[1]
            reached = (latitude - lat0) * (start + here + 4 * middle) / 6
            latitude = latitude + (arc - reached) / here
        parallel = self.earth.radii(latitude)[0] * np.cos(latitude)
        return self.longitude[frame] + x / parallel, latitude

    def _bend(self, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return half the curvature that a parallel shows on the ground, 1/m."""
        return np.tan(latitude) / (2 * self.earth.radii(latitude)[0])


def frames_around(
    earth: Earth,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    frame: NDArray[np.intp],
) -> LocalFrames:
    """Centre one frame on each object.

    Args:
        earth: Ellipsoid of the angles.
        longitude: Vertices, shape (vertex,), radians.
        latitude: Vertices, shape (vertex,), radians.
        frame: Object of each vertex, shape (vertex,): 0, 0, .., 1, 1, .., ascending
            with no gap.

    Returns:
        Frames on the middle of each object's bounds, or on a pole. Longitudes are
        followed from the first vertex over the antimeridian, so a crown at 180 degrees
        is one crown.
    """
    if not len(frame):
        empty = np.empty(0, np.float64)
        return LocalFrames(earth=earth, longitude=empty, latitude=empty)
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    first = longitude[starts]
    east = wrapped(longitude - first[frame])

    def middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
        low = np.minimum.reduceat(values, starts)
        return np.asarray((low + np.maximum.reduceat(values, starts)) / 2)

    pole, meridian = around_poles(longitude, latitude, starts)
    return LocalFrames(
        earth=earth,
        longitude=first + np.where(pole == 0, middle(east), wrapped(meridian - first)),
        latitude=np.where(pole == 0, middle(latitude), pole * np.pi / 2),
        pole=pole if pole.any() else None,
    )
