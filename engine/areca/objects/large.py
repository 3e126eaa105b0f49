"""Regions that are too large to unite, found without their outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely

from areca.objects.borders import meetings, unpack_borders
from areca.objects.groups import add_up, number_groups

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def count_vertices(outlines: pd.Series) -> NDArray[np.int64]:
    """Return the vertices of outlines in WKB, each once, shape (n,)."""
    shapes = shapely.from_wkb(outlines.to_numpy(object))
    parts, rows = shapely.get_parts(shapes, return_index=True)
    rings = shapely.get_num_interior_rings(parts) + 1
    vertices = shapely.get_num_coordinates(parts) - rings
    return np.bincount(rows, vertices, minlength=len(shapes)).astype(np.int64)


def find_large(
    facts: pd.DataFrame, *, connectivity: Literal[4, 8], most_vertices: int
) -> pd.DataFrame:
    """Return the pieces of regions that have too many vertices for certain.

    A region that grows over very many blocks, such as the ground between objects,
    would take the memory of all its outlines only to be left in pieces. So it is known
    before: by the vertices of its pieces, less those that can vanish where they meet.
    Regions just above the limit are not found here; `stitch` leaves them in pieces.

    Args:
        facts: Rows of all blocks that touch the edges of these, as `polygonise_block`
            gives them, without `outline`, with `block` and `vertices`.
        connectivity: As given to `polygonise_block`.
        most_vertices: Vertices of the largest outline to unite.

    Returns:
        Columns block, row and col of each such piece; whole_row, whole_col (the first
        pixel of its region) and whole_pixels.
    """
    table = facts.sort_values(["row", "col"], ignore_index=True)
    borders = unpack_borders(table["border"])
    label = table["label"].to_numpy(np.int64)[borders[:, 0]]
    meets = meetings(borders, label, corners=connectivity == 8)
    # Groups are numbered in the order of their first pieces, which hold first pixels.
    region = number_groups(len(table), *borders[meets, 0])
    vertices = add_up(region, table["vertices"].to_numpy(np.int64))
    seams = 2 * np.bincount(region[borders[:, 0]], minlength=len(vertices))
    chosen = (vertices - seams > most_vertices)[region]
    _, first = np.unique(region, return_index=True)
    at = first[region]
    whole = {f"whole_{name}": table[name].to_numpy()[at] for name in ("row", "col")}
    whole["whole_pixels"] = add_up(region, table["pixels"].to_numpy(np.int64))[region]
    return table[["block", "row", "col"]].assign(**whole)[chosen]
