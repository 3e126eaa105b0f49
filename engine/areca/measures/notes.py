"""What was not plain about a geometry, in words; nothing of it is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NOTE = "measure_note"
"""The column; None for a plain geometry, several notes parted by "; "."""
ABSENT = "no geometry"
"""Null or empty: nothing could be measured, the row stays."""
NO_AREA = "no area"
"""A point, a line, or a polygon that is as good as a line: it has a place; a polygon
has an area of 0 and a perimeter, the others have no size."""
REPAIRED = "repaired"
"""It crossed itself, or its parts overlapped; what it covers is counted once."""
COLLECTION = "polygons of a collection"
"""Points and lines beside the polygons of a collection were left out."""
HEIGHTS = "heights ignored"
"""Vertices had a third coordinate."""
LARGE = "large"
"""Beyond a local frame (some 2 km): area and perimeter come from geodesics; rectangle,
calipers and circles are those of a plane, off by about (reach / 6,400 km)**2, and NaN
where that is 1 % or more."""
ACROSS = "across 180 degrees"
"""It has vertices on both sides of the edge of the map, more than half a turn apart.
Each edge was taken the short way: over the antimeridian, and never around the Earth.
(An edge along a parallel from -180 to 180 degrees has no length.)"""


BOX = "box taken for the ellipse in it"
"""A rectangle along the axes, of which nothing else told what it stands for: area and
all else are those of the ellipse (see `areca.measures.measure`)."""


def notes_of(flags: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.object_]:
    """Return the notes of each object, shape (n,), from masks of shape (n,) by note."""
    count = len(next(iter(flags.values())))
    notes, noted = np.full(count, None, dtype=np.object_), np.zeros(count, dtype=bool)
    for note, mask in flags.items():
        notes[mask & noted] += f"; {note}"
        notes[mask & ~noted] = note
        noted |= mask
    return notes
