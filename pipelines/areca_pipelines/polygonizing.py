"""Polygons of the regions of a class raster on disk."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import pandas as pd
import rioxarray
import xarray as xr
from rasterio.errors import RasterioError

from areca.errors import InputError
from areca.measures import write_objects
from areca.measures.files import is_named_parquet
from areca.objects import PolygonOptions, polygonize
from areca_pipelines.console import OUT
from areca_pipelines.lists import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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


def polygonize_file(
    source: Path,
    target: Path,
    *,
    layer: Layer,
    classes: Sequence[int | str] | None = None,
    nodata: int | None = None,
    connectivity: int = 4,
    options: PolygonOptions | None = None,
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

    Returns:
        How many there are.

    Raises:
        InputError: the source is no class raster, or the target cannot be written to.
    """
    raster = open_classes(source, layer)
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
    table = polygonize(
        raster,
        classes=classes,
        nodata=nodata,
        # `polygonize` names a connectivity that there is not.
        connectivity=cast("Literal[4, 8]", connectivity),
        options=options,
    )
    write_objects(table.compute() if one_file else table, target)
    return _count(target, right_angles="regularized" in table.columns)


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
    if found.large:
        OUT.print(
            f"{found.large:,} of them stay in {found.pieces:,} pieces, which share an "
            "object_id (is_piece): they have too many vertices for one polygon"
        )
    if found.right_angled is not None:
        OUT.print(f"right angles fit {found.right_angled:,}, see regularized")
    OUT.print(f"table   {target}", markup=False)
