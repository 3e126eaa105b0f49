"""Stitching: the pieces of many blocks become one polygon per connected region.

Which pieces belong together is read from the pixels along the edges of the blocks, and
their outlines are united by adding corners (see `areca.objects.corners`). Both are
whole numbers, so the result equals polygonising the whole array, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import shapely

from areca.objects.borders import meetings, pack_borders, unpack_borders
from areca.objects.corners import (
    Corners,
    add_corners,
    gather,
    outline_corners,
    trace,
)
from areca.objects.groups import add_up, first_of_each, number_groups
from areca.objects.pieces import check_connectivity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import Window

MOST_VERTICES = 1_000_000
"""Vertices of the largest outline that pieces are united to."""

_BATCH = 2_000_000


@dataclass(frozen=True)
class _Polygons:
    """The single polygons of all pieces that meet others, in the order of regions."""

    begin: NDArray[np.int64]
    """Where the polygons of each piece begin, shape (piece,)."""
    geometry: NDArray[np.object_]
    region: NDArray[np.int64]
    part: NDArray[np.int64]
    """The united polygon each one goes into, numbered in the order of regions."""
    within: NDArray[np.int64]
    """Position of that united polygon in the outline of its region."""


def stitch(
    pieces: pd.DataFrame,
    *,
    connectivity: Literal[4, 8] = 4,
    window: Window | None = None,
    most_vertices: int = MOST_VERTICES,
) -> pd.DataFrame:
    """Unite the pieces of blocks to one row per connected region.

    It may run in steps: what it returns for some blocks can be stitched with what it
    returns for others, in any order, and gives the same as one call. Regions of more
    than `most_vertices` stay as pieces (`is_piece`), listed under the `row` and `col`
    of the region; steps may leave them in larger pieces than one call does.

    Args:
        pieces: Tables of `polygonise_block` or of `stitch`, concatenated. Other
            columns, for example `block`, are taken from the piece that holds the
            first pixel of the region.
        connectivity: 4 or 8, as given to `polygonise_block`; others are refused.
        window: The rectangle that all the blocks so far fill, also those without
            pieces. Only what touches its edge stays `open`. Without it every region
            that touches an edge of its blocks stays open.
        most_vertices: Vertices of the largest outline to unite.

    Returns:
        A table like `pieces`, ordered by `row` and `col`.
    """
    check_connectivity(connectivity)
    if pieces.empty:
        return pieces.copy()
    table = _ordered(pieces)  # the first piece of a region holds its first pixel
    borders = unpack_borders(table["border"])
    label = table["label"].to_numpy(np.int64)[borders[:, 0]]
    edges = meetings(borders, label, corners=False)
    meets = meetings(borders, label, corners=True) if connectivity == 8 else edges
    region = number_groups(len(table), *borders[meets, 0])
    polygons = _polygons(table, region, borders, edges)
    seams = 2 * np.bincount(region[borders[:, 0]], minlength=int(region.max()) + 1)
    outlines, too_large = _unite(polygons, seams, most_vertices)
    result = _result(table, region, outlines, too_large)
    borders = _renumber(borders, region, polygons, too_large)
    return _ordered(_bordered(result, borders, window))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by the first pixel of the region, then of the piece itself."""
    row, col = (table[name].to_numpy(np.int64) for name in ("row", "col"))
    own_row, own_col = row.copy(), col.copy()
    at = np.flatnonzero(table["is_piece"].to_numpy(bool))
    outlines = shapely.from_wkb(table["outline"].to_numpy(object)[at])
    own_col[at], own_row[at] = _first_corners(shapely.get_geometry(outlines, 0))
    return table.iloc[np.lexsort((own_col, own_row, col, row))].reset_index(drop=True)


def _first_corners(polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return x and y of the first pixel of canonical polygons, shape (2, n)."""
    first = shapely.get_point(shapely.get_exterior_ring(polygons), 0)
    return np.stack([shapely.get_x(first), shapely.get_y(first)]).astype(np.int64)


def _polygons(
    table: pd.DataFrame,
    region: NDArray[np.int64],
    borders: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> _Polygons:
    """Return the polygons of pieces that meet others, and which of them unite."""
    meeting = np.flatnonzero(np.bincount(region)[region] > 1)
    meeting = meeting[np.argsort(region[meeting], kind="stable")]
    outlines = shapely.from_wkb(table["outline"].to_numpy(object)[meeting])
    geometry, owner = shapely.get_parts(outlines, return_index=True)
    begin = np.zeros(len(table), np.int64)
    begin[meeting] = np.searchsorted(owner, np.arange(len(meeting)))
    regions = region[meeting[owner]]
    if not len(geometry):
        return _Polygons(begin, geometry, regions, regions, regions)
    number = begin[borders[:, 0]] + borders[:, 5]
    met = number_groups(len(geometry), number[edges[0]], number[edges[1]])
    # Number the united polygons as `polygonise_block` does: by their first pixels.
    order = np.lexsort((*_first_corners(geometry), regions))
    first = np.sort(first_of_each(met[order]))
    home = regions[order[first]]
    within = np.arange(len(first)) - np.searchsorted(home, home)
    rank = np.empty(len(first), np.int64)
    rank[met[order[first]]] = np.arange(len(first))
    part = rank[met]
    return _Polygons(begin, geometry, regions, part, within[part])


def _unite(
    polygons: _Polygons, seams: NDArray[np.int64], most_vertices: int
) -> tuple[dict[int, bytes], NDArray[np.bool_]]:
    """Unite the polygons of each region.

    Args:
        polygons: What meets.
        seams: How many corners of each region lie on the edges of its blocks at most,
            shape (region,).
        most_vertices: Vertices of the largest outline.

    Returns:
        WKB of the outline by the number of the region, and which regions would have
        too many vertices, shape (region,).
    """
    rings = shapely.get_num_interior_rings(polygons.geometry) + 1
    vertices = shapely.get_num_coordinates(polygons.geometry) - rings
    total = np.bincount(polygons.region, vertices, minlength=len(seams))
    # Corners vanish only on the edges of blocks: regions that are too large without
    # those are left out before their corners take memory.
    too_large = total - seams > most_vertices
    outlines: dict[int, bytes] = {}
    chosen = np.flatnonzero(~too_large[polygons.region])
    home = polygons.region[chosen]
    before = np.append(0, np.cumsum(vertices[chosen]))[np.searchsorted(home, home)]
    for some in np.split(chosen, np.flatnonzero(np.diff(before // _BATCH)) + 1):
        corners, regions = _corners(polygons, some)
        count = np.bincount(regions, np.abs(corners.jump), minlength=len(seams))
        too_large |= count > most_vertices
        fits = ~too_large[regions]
        corners, regions = corners.take(fits), regions[fits]
        _, first = np.unique(corners.part, return_index=True)
        names, rows = np.unique(regions[first], return_inverse=True)
        wkb = shapely.to_wkb(gather(trace(corners), rows), byte_order=1)
        outlines.update(zip(names.tolist(), wkb, strict=True))
    return outlines, too_large


def _corners(
    polygons: _Polygons, some: NDArray[np.int64]
) -> tuple[Corners, NDArray[np.int64]]:
    """Return the added corners of some polygons and the region of each corner."""
    found = outline_corners(polygons.geometry[some])
    part = polygons.part[some]
    corners = add_corners(Corners(part[found.part], found.x, found.y, found.jump))
    parts, first = np.unique(part, return_index=True)
    of_part = polygons.region[some][first]
    return corners, of_part[np.searchsorted(parts, corners.part)]


def _result(
    table: pd.DataFrame,
    region: NDArray[np.int64],
    outlines: dict[int, bytes],
    too_large: NDArray[np.bool_],
) -> pd.DataFrame:
    """Return a row per region and then the pieces of those that are too large."""
    first = first_of_each(region)
    united = table.iloc[first].reset_index(drop=True)
    for name in ("pixels", "score_sum"):
        united[name] = add_up(region, table[name].to_numpy(np.int64))
    outline = united["outline"].to_numpy(object, copy=True)
    is_piece = united["is_piece"].to_numpy(bool, copy=True)
    for number, wkb in outlines.items():
        outline[number] = wkb
        is_piece[number] = False
    united["outline"], united["is_piece"] = outline, is_piece
    apart = np.flatnonzero(too_large[region])
    kept = table.iloc[apart].copy()
    kept["is_piece"] = True
    for name in ("row", "col"):
        kept[name] = table[name].to_numpy()[first[region[apart]]]
    return pd.concat([united[~too_large], kept], ignore_index=True)


def _renumber(
    borders: NDArray[np.int64],
    region: NDArray[np.int64],
    polygons: _Polygons,
    too_large: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return the border runs with the rows of `_result` and their new polygons."""
    row = borders[:, 0]
    apart = too_large[region]
    place = (np.cumsum(~too_large) - 1)[region]
    place[apart] = np.count_nonzero(~too_large) + np.arange(np.count_nonzero(apart))
    united = (np.bincount(region)[region] > 1) & ~apart
    moved = np.flatnonzero(united[row])
    renumbered = borders.copy()
    number = polygons.begin[row[moved]] + borders[moved, 5]
    renumbered[moved, 5] = polygons.within[number]
    renumbered[:, 0] = place[row]
    return renumbered


def _bordered(
    table: pd.DataFrame, borders: NDArray[np.int64], window: Window | None
) -> pd.DataFrame:
    """Return the new rows with their borders, without what the window has settled."""
    outer = np.ones(len(borders), bool)
    if window is not None:
        lines = np.array([window.row0, window.col1, window.row1, window.col0])
        outer = borders[:, 2] == lines[borders[:, 1]]
    goes_on = np.zeros(len(table), bool)
    goes_on[borders[outer, 0]] = True
    # Pieces kept apart keep their seams: another step may yet unite them.
    needed = outer | table["is_piece"].to_numpy(bool)[borders[:, 0]]
    border = np.empty(len(table), object)
    border[:] = pack_borders(borders[needed], len(table))
    return table.assign(open=goes_on, border=border)
