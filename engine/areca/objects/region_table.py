"""The table of regions: which of them, drawn how, placed where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import shapely

from areca.objects.identity import object_ids
from areca.objects.pieces import empty_pieces
from areca.objects.regularize import regularize
from areca.objects.rings import draw_through, fill_small
from areca.tiles import ground_axes_m

if TYPE_CHECKING:
    import pandas as pd
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


def prepared(rows: pd.DataFrame, strip: int) -> pd.DataFrame:
    """Return pieces with the columns that all steps need.

    Args:
        rows: What `polygonise_block` gave.
        strip: The row of blocks that they lie in.

    Returns:
        The pieces with `strip` and `whole_pixels`.
    """
    return rows.assign(strip=np.int64(strip), whole_pixels=rows["pixels"])


def outlines_of(rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return the outlines of pieces, absolute pixels, shape (n,).

    Args:
        rows: Pieces.
    """
    return np.asarray(shapely.from_wkb(rows["outline"].to_numpy(object)))


def empty_table(how: How) -> gpd.GeoDataFrame:
    """Return a table of regions without rows."""
    return regions_table(prepared(empty_pieces(), 0), np.empty((0, 2), np.int64), how)


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
    outlines = outlines_of(rows)
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
    return np.asarray(np.abs(np.linalg.det(ground_axes_m(how.lattice, x, y))))


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
