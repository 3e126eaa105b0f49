"""Polygons of the regions of a class raster on disk."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast
from uuid import uuid4

import numpy as np
import pandas as pd
import rioxarray
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from rasterio.errors import RasterioError

from areca.errors import GridError, InputError
from areca.measures import write_objects
from areca.measures.files import is_named_parquet, parquet_files
from areca.objects import PolygonOptions, polygonize
from areca_pipelines.console import OUT
from areca_pipelines.lists import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import dask_geopandas as dgpd

OPTIONS = {
    "min_area_m2": "--min-area",
    "fill_holes_m2": "--fill-holes",
    "simplify_px": "--simplify",
    "regularize_px": "--regularize",
}
"""What fields of `areca.PolygonOptions` are called here."""
MOST_NAMED = 20
"""Classes that a message names."""
READ_PX = 2048
"""Edge of the parts that a file is read in, pixels."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Which of the layers of a file holds the classes."""

    band: int | None = None
    """Band of a GDAL raster, from 1 on; needed where there are several."""
    variable: str = "label"
    """Array of a Zarr group."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was written."""

    regions: int
    pieces: int
    """Rows of regions that are too large for one polygon."""
    large: int
    """How many regions those are."""
    right_angled: int | None
    """Regions with right angles; None where these were not asked for."""
    classes: tuple[int, ...] = ()
    """Values that the raster holds, where none of the classes wanted is among them."""


def polygonize_file(
    source: Path,
    target: Path,
    *,
    layer: Layer,
    classes: Sequence[int | str] | None = None,
    nodata: int | None = None,
    connectivity: int = 4,
    options: PolygonOptions | None = None,
    overwrite: bool = False,
) -> Found:
    """Write the regions of a class raster as polygons.

    Args:
        source: A raster that GDAL reads, a Zarr group, or the folder of a run.
        target: GeoParquet: one file if it ends in .parquet, .geoparquet or .pq, for
            which the table must fit into memory, else a folder, written part by part.
        layer: Where in the source the classes are.
        classes: See `areca.polygonize`, as all that follow.
        nodata: The value of pixels that nothing is known of.
        connectivity: 4 or 8.
        options: What is done to the regions.
        overwrite: Whether a table that is there is replaced.

    Returns:
        How many there are.

    Raises:
        InputError: the source is no class raster, or the target cannot be written to.
        GridError: the source has no CRS.
    """
    raster = open_classes(source, layer)
    if raster.rio.crs is None:
        raise GridError(
            f"{source} has no CRS, so nobody knows where its pixels are. Name it "
            f"first: gdal_translate -a_srs EPSG:... {source} named.tif"
        )
    one_file = is_named_parquet(target)
    # A number may end a folder's name (v1.2); letters are those of a format.
    if target.suffix[1:2].isalpha() and not one_file and not target.exists():
        raise InputError(
            f"polygonize writes GeoParquet, and {target} ends otherwise; give --out "
            "NAME.parquet or a folder, and make other formats of it with areca export"
        )
    if target.is_dir() == one_file and target.exists():
        raise InputError(
            f"{target} is {'a folder' if one_file else 'a file'} already; give --out "
            "NAME.parquet for one file, or a new folder for parts"
        )
    present = _present(target)
    if present and not overwrite:
        raise InputError(
            f"{target} exists; give another --out, or allow to replace it (--overwrite)"
        )
    table = polygonize(
        raster,
        classes=classes,
        nodata=nodata,
        # `polygonize` names a connectivity that there is not.
        connectivity=cast("Literal[4, 8]", connectivity),
        options=options,
    )
    if one_file:
        write_objects(table.compute(), target)
    else:
        _write_folder(table, target, present)
    found = _count(target, right_angles="regularized" in table.columns)
    if not found.regions and classes is not None:
        return replace(found, classes=_classes_of(raster))
    return found


def _present(target: Path) -> list[Path]:
    """Return the files of a table that is there already."""
    return [target] if target.is_file() else parquet_files(target)


def _write_folder(
    table: dgpd.GeoDataFrame, target: Path, present: Sequence[Path]
) -> None:
    """Write a table part by part; what it replaces goes when all of it is there."""
    if not present:
        write_objects(table, target)
        return
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        write_objects(table, fresh)
        for path in present:
            path.unlink()
        for path in parquet_files(fresh):
            path.replace(target / path.name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _classes_of(raster: xr.DataArray) -> tuple[int, ...]:
    """Return the values that a raster holds; reads it once, a part at a time."""
    parts = raster.data.to_delayed().ravel() if raster.chunks else [raster.values]
    found = compute(*(delayed(np.unique)(part) for part in parts))
    values = np.unique(np.concatenate([part[np.isfinite(part)] for part in found]))
    return tuple(int(value) for value in values)


def open_classes(source: Path, layer: Layer) -> xr.DataArray:
    """Open a class raster; nothing is read.

    Args:
        source: A raster that GDAL reads, a Zarr group, or the folder of a run.
        layer: Which of its layers.

    Returns:
        Dims (y, x), of the numbers of the file.

    Raises:
        InputError: there is no such raster or layer.
    """
    if not source.exists():
        raise InputError(f"there is no {source}; check the path")
    store = source / "rasters.zarr" if (source / "run.json").exists() else source
    if store != source and not store.exists():
        raise InputError(
            f"the run {source} has no rasters.zarr: its model finds objects, no "
            "classes of pixels, so there is nothing to draw"
        )
    return _open_zarr(store, layer) if store.is_dir() else _open_file(store, layer)


def split_classes(text: str | None) -> list[int | str] | None:
    """Return classes from `1,2` or `palm,water`; None where there is no text.

    Args:
        text: What the user wrote.
    """
    if text is None:
        return None
    return [
        int(word) if word.lstrip("-").isdigit() else word for word in split_words(text)
    ]


def _open_zarr(store: Path, layer: Layer) -> xr.DataArray:
    try:
        with warnings.catch_warnings():
            # It says that a store without consolidated metadata opens more slowly.
            warnings.simplefilter("ignore", RuntimeWarning)
            # Masking would turn whole numbers into floats.
            group = xr.open_zarr(store, mask_and_scale=False, decode_coords="all")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{store} cannot be read as a Zarr group ({error}); give a raster file, a "
            "Zarr group or the folder of a run"
        ) from error
    if layer.variable not in group:
        raise InputError(
            f"{store} has no array {layer.variable!r}, only "
            f"{', '.join(map(str, group.data_vars)) or 'none'}; choose with --variable"
        )
    return cast("xr.DataArray", group[layer.variable])


def _open_file(path: Path, layer: Layer) -> xr.DataArray:
    chunks = {"band": 1, "y": READ_PX, "x": READ_PX}
    try:
        opened = rioxarray.open_rasterio(path, chunks=chunks)
    except RasterioError as error:
        raise InputError(
            f"{path} cannot be read as a raster ({error}); give a file that GDAL "
            "reads, a Zarr group or the folder of a run"
        ) from error
    if not isinstance(opened, xr.DataArray):
        raise InputError(
            f"{path} holds several rasters; write the one wanted by itself"
        )
    count = opened.sizes["band"]
    if layer.band is None and count > 1:
        raise InputError(
            f"{path} has {count} bands, and classes are in one; choose with --band"
        )
    band = 1 if layer.band is None else layer.band
    if not 1 <= band <= count:
        raise InputError(f"{path} has bands 1 to {count}, not {band}")
    return opened.sel(band=band)


def _count(target: Path, *, right_angles: bool) -> Found:
    """Return what a table holds, reading no geometry."""
    flags = ["is_piece", *(["regularized"] if right_angles else [])]
    table = pd.read_parquet(target, columns=flags)
    pieces = pd.read_parquet(
        target, columns=["object_id"], filters=[("is_piece", "==", True)]
    )
    large = pieces["object_id"].nunique()
    return Found(
        regions=len(table) - len(pieces) + large,
        pieces=len(pieces),
        large=large,
        right_angled=int(table["regularized"].sum()) if right_angles else None,
    )


def print_found(found: Found, target: Path) -> None:
    """Say what was written and where.

    Args:
        found: What there is.
        target: Where.
    """
    OUT.print(f"[bold]{found.regions:,} regions[/bold]")
    if not found.regions:
        OUT.print("no pixel is of a class that is wanted, or all are too small")
    if found.classes:
        named = ", ".join(map(str, found.classes[:MOST_NAMED]))
        more = ", …" if len(found.classes) > MOST_NAMED else ""
        OUT.print(f"the raster holds {named}{more}")
    if found.large:
        OUT.print(
            f"{found.large:,} of them stay in {found.pieces:,} pieces, which share an "
            "object_id (is_piece): they have too many vertices for one polygon"
        )
    if found.right_angled is not None:
        OUT.print(f"right angles fit {found.right_angled:,}, see regularized")
    OUT.print(f"table   {target}", markup=False)
