"""Stretches of a table that are measured at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK_VERTICES = 150_000
CHUNK_OBJECTS = 10_000
"""Objects are measured in chunks of at most so many vertices and objects: arrays of a
chunk stay in the cache, and memory does not grow with the table."""


def chunks_of(
    geometry: NDArray[np.object_], rows: NDArray[np.intp]
) -> Iterator[NDArray[np.intp]]:
    """Yield stretches of some rows of a table.

    Args:
        geometry: Of all rows, shape (n,).
        rows: Those wanted, ascending.

    Yields:
        Rows, at least one.
    """
    vertices = np.cumsum(shapely.get_num_coordinates(geometry[rows]))
    # Objects and vertices are counted in chunks; a new one begins where either says so.
    chunk = vertices // CHUNK_VERTICES + np.arange(len(rows)) // CHUNK_OBJECTS
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(chunk)) + 1)
