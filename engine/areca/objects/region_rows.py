"""The steps from the pixels of one block to rows of a table of regions.

Between two steps a region is a row of pieces (see `areca.objects.pieces.DTYPES`) with
`strip`, the row of blocks that it begins in, and `whole_pixels`, the pixels of the
whole region where the row is a piece of one that is too large to unite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from areca.objects.large import count_vertices, find_large
from areca.objects.pieces import check_classes, polygonise_block
from areca.objects.region_table import outlines_of, prepared, regions_table
from areca.objects.simplify import points_on, points_to_keep
from areca.objects.stitch import stitch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from numpy.typing import NDArray

    from areca.objects.region_table import How
    from areca.tiles import Window


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What a block gave, or several."""

    rows: pd.DataFrame
    points: NDArray[np.int64]
    """Points that simplified outlines keep, shape (n, 2), absolute pixels."""


def trace_block(pixels: NDArray[Any], window: Window, strip: int, how: How) -> Traced:
    """Return the regions of one block.

    Args:
        pixels: Shape (height, width) of the window.
        window: Absolute pixels.
        strip: The row of blocks that it lies in.
        how: What all blocks share.
    """
    labels, seen = how.classes.of(pixels)
    classes = labels[seen]
    check_classes(classes)
    void = _unused(classes)
    marked = np.full(labels.shape, void, np.int32)
    marked[seen] = classes
    rows = polygonise_block(marked, window, connectivity=how.connectivity, nodata=void)
    points = np.empty((0, 2), np.int64)
    if how.options.simplify_px:
        points = points_to_keep(marked, window, how.options.simplify_px)
    return Traced(rows=prepared(rows, strip), points=points)


def _unused(labels: NDArray[np.integer]) -> int:
    """Return a number of 32 bits that is no class."""
    if not labels.size:
        return 0
    low, high = int(labels.min()), int(labels.max())
    return high + 1 if high < np.iinfo(np.int32).max else low - 1


def take_open(traced: Traced, window: Window) -> Traced:
    """Return what may go on in other blocks.

    Args:
        traced: The block.
        window: Its pixels.

    Returns:
        Rows that touch an edge of the block; of the points those on their outlines and
        all along the edge, where a neighbour may see nothing of two borders that meet.
    """
    rows = traced.rows[traced.rows["open"]].reset_index(drop=True)
    if not len(traced.points):
        return Traced(rows=rows, points=traced.points)
    x, y = traced.points.T
    edge = np.isin(x, [window.col0, window.col1]) | np.isin(
        y, [window.row0, window.row1]
    )
    found = points_on(outlines_of(rows), traced.points)
    points = np.unique(np.concatenate([found, traced.points[edge]]), axis=0)
    return Traced(rows=rows, points=points)


def open_facts(opened: Traced, block: int) -> pd.DataFrame:
    """Return all but the outlines of what may go on in other blocks.

    Args:
        opened: What `take_open` returned.
        block: Number of the block.
    """
    vertices = count_vertices(opened.rows["outline"])
    facts = opened.rows.drop(columns="outline")
    return facts.assign(vertices=vertices, block=np.int64(block))


def all_large(facts: Sequence[pd.DataFrame], how: How) -> pd.DataFrame:
    """Return which open rows are pieces of what is too large to unite.

    Args:
        facts: What `open_facts` returned, of all blocks.
        how: What all blocks share.
    """
    return find_large(
        pd.concat(facts, ignore_index=True),
        connectivity=how.connectivity,
        most_vertices=how.options.most_vertices,
    )


def take_small(
    opened: Traced, window: Window, large: pd.DataFrame, block: int
) -> Traced:
    """Return what is not too large to unite.

    Args:
        opened: What `take_open` returned.
        window: Pixels of the block.
        large: What `all_large` returned.
        block: Number of the block.
    """
    small = _place_in(large, block, opened.rows) < 0
    if small.all():
        return opened
    return take_open(replace(opened, rows=opened.rows[small]), window)


def take_large(opened: Traced, large: pd.DataFrame, block: int) -> pd.DataFrame:
    """Return the pieces of what is too large to unite, named by their regions.

    Args:
        opened: What `take_open` returned.
        large: What `all_large` returned.
        block: Number of the block.
    """
    place = _place_in(large, block, opened.rows)
    if (place < 0).all():
        return opened.rows[:0]
    named = large[large["block"] == block].iloc[place[place >= 0]]
    return opened.rows[place >= 0].assign(
        is_piece=True,
        row=named["whole_row"].to_numpy(),
        col=named["whole_col"].to_numpy(),
        whole_pixels=named["whole_pixels"].to_numpy(),
    )


def _place_in(large: pd.DataFrame, block: int, rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return where each row of a block stands in the rows of `large`, or -1."""
    if large.empty:
        return np.full(len(rows), -1)
    mine = pd.MultiIndex.from_frame(large.loc[large["block"] == block, ["row", "col"]])
    return mine.get_indexer(pd.MultiIndex.from_frame(rows[["row", "col"]]))


def unite(parts: Sequence[Traced], how: How) -> Traced:
    """Unite what goes on from block to block.

    Args:
        parts: What `take_small` returned, of all blocks.
        how: What all blocks share.

    Returns:
        The united regions, and all points.
    """
    united = stitch(
        pd.concat([part.rows for part in parts], ignore_index=True),
        connectivity=how.connectivity,
        most_vertices=how.options.most_vertices,
    )
    total = united["pixels"].groupby([united["row"], united["col"]]).transform("sum")
    points = np.unique(np.concatenate([part.points for part in parts]), axis=0)
    return Traced(rows=united.assign(whole_pixels=total), points=points)


def closed_table(traced: Traced, how: How) -> gpd.GeoDataFrame:
    """Return the table of what lies within one block.

    Args:
        traced: The block.
        how: What all blocks share.
    """
    rows = traced.rows[~traced.rows["open"]]
    return regions_table(rows, traced.points, how)


def strip_table(
    strip: int,
    opened: Sequence[tuple[int, Traced]],
    large: pd.DataFrame,
    united: Traced,
    how: How,
) -> gpd.GeoDataFrame:
    """Return the table of what goes on from block to block and begins in one strip.

    Args:
        strip: The row of blocks.
        opened: Number and open rows of each of its blocks.
        large: What `all_large` returned.
        united: What `unite` returned.
        how: What all blocks share.
    """
    rows = [united.rows[united.rows["strip"] == strip]]
    rows += [take_large(part, large, block) for block, part in opened]
    points = np.concatenate([united.points, *(part.points for _, part in opened)])
    return regions_table(
        pd.concat(rows, ignore_index=True), np.unique(points, axis=0), how
    )
