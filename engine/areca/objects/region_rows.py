"""The steps from the pixels of one block to rows of a table of regions.

Between two steps a region is a row of pieces (see `areca.objects.pieces.DTYPES`) with
`strip`, the row of blocks that it begins in, and `whole_pixels`, the pixels of the whole
region where the row is a piece of one that is too large to unite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from areca.objects.identity import object_ids
from areca.objects.large import count_vertices, find_large
from areca.objects.pieces import check_classes, empty_pieces, polygonise_block
from areca.objects.regularize import regularize
from areca.objects.rings import draw_through, fill_small
from areca.objects.simplify import points_on, points_to_keep
from areca.objects.stitch import stitch
from areca.tiles import ground_axes_m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affine import Affine
    from numpy.typing import NDArray

    from areca.objects.class_raster import Classes
    from areca.objects.polygon_options import PolygonOptions
    from areca.tiles import Lattice, Window

SOURCE = "class raster"
"""Stands in the ids of regions where objects of a model have its digest."""


@dataclass(frozen=True, kw_only=True)
class How:
    """What all blocks of a raster share."""

    classes: Classes
    connectivity: Literal[4, 8]
    options: PolygonOptions
    lattice: Lattice
    window: Window
    """Absolute pixels of the raster."""
    affine: Affine
    """Pixels counted from the corner of the raster to its CRS."""


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What a block gave, or several."""

    rows: pd.DataFrame
    points: NDArray[np.int64]
    """Points that simplified outlines keep, shape (n, 2), absolute pixels."""


def trace_block(
    pixels: NDArray[Any], window: Window, strip: int, how: How
) -> Traced:
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
    rows = polygonise_block(
        marked, window, connectivity=how.connectivity, nodata=void
    )
    points = np.empty((0, 2), np.int64)
    if how.options.simplify_px:
        points = points_to_keep(marked, window, how.options.simplify_px)
    return Traced(rows=_prepared(rows, strip), points=points)


def _unused(labels: NDArray[np.integer]) -> int:
    """Return a number of 32 bits that is no class."""
    if not labels.size:
        return 0
    low, high = int(labels.min()), int(labels.max())
    return high + 1 if high < np.iinfo(np.int32).max else low - 1


def _prepared(rows: pd.DataFrame, strip: int) -> pd.DataFrame:
    return rows.assign(strip=np.int64(strip), whole_pixels=rows["pixels"])


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
    found = points_on(_outlines(rows), traced.points)
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


def take_small(opened: Traced, window: Window, large: pd.DataFrame, block: int) -> Traced:
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


def _outlines(rows: pd.DataFrame) -> NDArray[np.object_]:
    return np.asarray(shapely.from_wkb(rows["outline"].to_numpy(object)))


def empty_table(how: How) -> gpd.GeoDataFrame:
    """Return a table of regions without rows."""
    return regions_table(_prepared(empty_pieces(), 0), np.empty((0, 2), np.int64), how)


def regions_table(
    rows: pd.DataFrame, points: NDArray[np.int64], how: How
) -> gpd.GeoDataFrame:
    """Return regions as they are published.

    Args:
        rows: Pieces that are whole, or pieces of what is too large.
        points: What simplified outlines keep, absolute pixels.
        how: What all blocks share.

    Returns:
        See `areca.objects.polygonize.polygonize`; ordered by the first pixel.
    """
    rows = rows.sort_values(["row", "col"], kind="stable", ignore_index=True)
    outlines = _outlines(rows)
    kept = _large_enough(rows, outlines, how)
    rows, outlines = rows[kept].reset_index(drop=True), outlines[kept]
    outlines, regular = _drawn(outlines, ~rows["is_piece"].to_numpy(bool), points, how)
    label = rows["label"].to_numpy(np.int64)
    names = dict(how.classes.names)
    places = rows.assign(x=rows["col"] + 0.5, y=rows["row"] + 0.5, rank=0)
    ids = object_ids(places, model_digest=SOURCE, lattice=how.lattice)
    columns: dict[str, Any] = {
        "object_id": np.array(ids, dtype=object),
        "label": np.array([names.get(n, str(n)) for n in label.tolist()], dtype=object)
        if names
        else label,
        "pixels": rows["pixels"].to_numpy(np.int64),
        "is_piece": rows["is_piece"].to_numpy(bool),
        "radius_method": np.full(len(rows), "mask", dtype=object),
    }
    if how.options.regularize_px:
        columns["regularized"] = regular
    placed = _placed(outlines, how)
    table = gpd.GeoDataFrame(columns, geometry=placed, crs=how.lattice.crs)
    return table[["object_id", "geometry", *list(columns)[1:]]]


def _large_enough(
    rows: pd.DataFrame, outlines: NDArray[np.object_], how: How
) -> NDArray[np.bool_]:
    """Return which regions are large enough, pieces by the whole, shape (n,)."""
    least = how.options.min_area_m2
    if not least or rows.empty:
        return np.ones(len(rows), bool)
    bounds = shapely.bounds(outlines)
    x, y = (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
    # All pieces of one region are judged at one place, so that all stay or none.
    piece = rows["is_piece"].to_numpy(bool)
    x[piece] = rows["col"].to_numpy(float)[piece] + 0.5
    y[piece] = rows["row"].to_numpy(float)[piece] + 0.5
    area = rows["whole_pixels"].to_numpy(float) * _pixel_area_m2(x, y, how)
    return np.asarray(area >= least)


def _pixel_area_m2(
    x: NDArray[np.float64], y: NDArray[np.float64], how: How
) -> NDArray[np.float64]:
    return np.abs(np.linalg.det(ground_axes_m(how.lattice, x, y)))


def _drawn(
    outlines: NDArray[np.object_],
    whole: NDArray[np.bool_],
    points: NDArray[np.int64],
    how: How,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return outlines with holes filled, simplified or regularised, and where so."""
    options = how.options
    regular = np.zeros(len(outlines), bool)
    if not len(outlines):
        return outlines, regular
    outlines = outlines.copy()
    if options.fill_holes_m2:

        def is_small(
            pixels: NDArray[np.float64], middle: NDArray[np.float64]
        ) -> NDArray[np.bool_]:
            x, y = middle.T
            area = pixels * _pixel_area_m2(x, y, how)
            return np.asarray(area < options.fill_holes_m2)

        outlines[whole] = fill_small(outlines[whole], is_small)
    if options.simplify_px:
        outlines = draw_through(outlines, points)
    if options.regularize_px and whole.any():
        bounds = shapely.bounds(outlines[whole])
        x, y = (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
        axes = ground_axes_m(how.lattice, x, y)
        outlines[whole], regular[whole] = regularize(
            outlines[whole], axes, options.regularize_px
        )
    return outlines, regular


def _placed(outlines: NDArray[np.object_], how: How) -> NDArray[np.object_]:
    """Return outlines in the CRS, by the transform of the raster itself."""
    if not len(outlines):
        return outlines
    affine, corner = how.affine, (how.window.col0, how.window.row0)

    def to_crs(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = (pixels - corner).T
        return np.column_stack([affine.c + x * affine.a, affine.f + y * affine.e])

    # Rows count downwards and northings upwards: outer rings are turned back.
    return np.asarray(shapely.orient_polygons(shapely.transform(outlines, to_crs)))
