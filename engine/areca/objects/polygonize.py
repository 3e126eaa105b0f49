"""`polygonize`: a lazy class raster or mask in, one polygon per region out, lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import dask_geopandas as dgpd  # noqa: TC002 - teaches dask.dataframe GeoDataFrames
from dask.base import tokenize
from dask.dataframe import from_delayed
from dask.delayed import delayed

from areca.errors import InputError
from areca.objects.class_raster import ClassRaster
from areca.objects.pieces import check_connectivity
from areca.objects.polygon_options import PolygonOptions
from areca.objects.region_rows import (
    all_large,
    closed_table,
    open_facts,
    strip_table,
    take_open,
    take_small,
    trace_block,
    unite,
)
from areca.objects.region_table import How, empty_table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import xarray as xr
    from dask.delayed import Delayed

    from areca.tiles import Window


def polygonize(
    raster: xr.DataArray,
    *,
    classes: Collection[int | str] | None = None,
    nodata: int | None = None,
    connectivity: Literal[4, 8] = 4,
    options: PolygonOptions | None = None,
) -> dgpd.GeoDataFrame:
    """Draw the connected regions of a class raster or a mask; lazy, nothing is read.

    One polygon (with holes) per connected region of a class, along the edges of its
    pixels: what polygonising the whole array at once gives, vertex by vertex, whatever
    the chunks. The raster is worked on block by block; what touches the edge of a block
    goes to one task that unites it with its neighbours, so memory grows with the length
    of the borders between blocks and not with the raster.

    Args:
        raster: Dims (y, x), whole numbers or booleans, with a CRS and a north-up
            transform, for example of `rioxarray.open_rasterio(path, chunks={})` or
            `xarray.open_zarr(path)["label"]`. Further dims must have size one. Whole
            numbers that were turned to floats on opening (NaN for nodata) are taken.
        classes: Values that are objects, or names if the raster has the CF attributes
            flag_values and flag_meanings. By default all but nodata; of booleans True.
        nodata: Value of pixels that nothing is known of; by default what the raster
            says (`rio.nodata`).
        connectivity: 4 joins pixels by their edges, 8 by their corners too; the parts
            of a region that only meet in corners make a multipolygon.
        options: Smallest size, filling of holes, simplification, right angles.

    Returns:
        In the CRS of the raster: object_id (by the pixel grid, the label and the first
        pixel of the region, so equal for any chunks and for crops that hold that
        pixel), geometry, label (the name, or the value where there are no names),
        pixels (before holes are filled), is_piece (one of several rows that share an
        object_id: the region has too many vertices for one polygon), radius_method
        ("mask", for `areca.measure`), and with `regularize_px` regularized. A raster
        without any pixel of a class gives a table without rows.
        One partition a block with what lies within it, then one for each row of blocks
        with what begins there and goes on in another block.

    Raises:
        InputError: the raster or an argument cannot be used. A raster that has no
            place on the Earth, or is rotated, ends in `GridError`.
    """
    check_connectivity(connectivity)
    options = options or PolygonOptions()
    if not isinstance(options, PolygonOptions):
        raise InputError(
            f"options is a {type(options).__name__}; give areca.PolygonOptions(...), "
            "for example areca.PolygonOptions(min_area_m2=10)"
        )
    placed = ClassRaster.of(
        raster, classes=classes, nodata=nodata, block_px=options.block_px
    )
    how = How(
        classes=placed.classes,
        connectivity=connectivity,
        options=options,
        lattice=placed.lattice,
        window=placed.window,
        affine=placed.affine,
    )
    # A leaf of its own: Dask would walk through its fields in every task.
    name = f"areca-polygonize-{tokenize(how)}"
    shared = delayed(how, name=name, traverse=False)
    blocks = list(placed.blocks())
    traced = [
        delayed(trace_block, pure=True)(pixels, window, block.row, shared)
        for block, window, pixels in blocks
    ]
    within = [delayed(closed_table, pure=True)(part, shared) for part in traced]
    places = [(block.row, window) for block, window, _ in blocks]
    across = _across(traced, places, shared)
    frame = from_delayed([*within, *across], meta=empty_table(how), verify_meta=False)
    return cast("dgpd.GeoDataFrame", frame)


def _across(
    traced: Sequence[Delayed], places: Sequence[tuple[int, Window]], how: Delayed
) -> list[Delayed]:
    """Return the tables of what goes on from block to block, one a row of blocks."""
    opened = [
        delayed(take_open, pure=True)(part, window)
        for part, (_, window) in zip(traced, places, strict=True)
    ]
    facts = [delayed(open_facts, pure=True)(p, n) for n, p in enumerate(opened)]
    large = delayed(all_large, pure=True)(facts, how)
    small = [
        delayed(take_small, pure=True)(part, window, large, number)
        for number, (part, (_, window)) in enumerate(zip(opened, places, strict=True))
    ]
    united = delayed(unite, pure=True)(small, how)
    strips: dict[int, list[tuple[int, Delayed]]] = {}
    for number, (part, (strip, _)) in enumerate(zip(opened, places, strict=True)):
        strips.setdefault(strip, []).append((number, part))
    return [
        delayed(strip_table, pure=True)(strip, own, large, united, how)
        for strip, own in strips.items()
    ]
