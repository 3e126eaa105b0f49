"""Whether the zones of a summary lie where its objects are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np
import shapely

from areca.catalog.aoi import distance_km
from areca.errors import InputError
from areca.measures.places import WGS84
from areca.measures.shapes import is_areal
from areca.measures.zones import OUTSIDE_NAME, naming_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import dask_geopandas as dgpd
    from shapely.geometry.base import BaseGeometry

    from areca.runs import FinishedRun

_TURNS = (0.0, 360.0, -360.0)
"""Degrees."""


def check_zones_meet(
    zones: gpd.GeoDataFrame,
    path: Path,
    objects: dgpd.GeoDataFrame,
    run: FinishedRun | None,
) -> None:
    """Refuse zones that lie elsewhere; nothing is computed.

    Args:
        zones: Zones with a CRS.
        path: Their file, for the message.
        objects: What is summed up; it knows its spatial partitions.
        run: The run that found them, if there is one: its ground is its imagery.

    Raises:
        InputError: The bounds of no zone touch the ground.
    """
    if not is_areal(zones.geometry.to_numpy()).all():
        return  # which `areca.summarize` says better
    here, there = _boxes(zones.geometry), _ground(objects, run)
    if not len(here) or not len(there):
        return
    # A zone may go on past 180 degrees: it is also looked for once around.
    turned = [
        np.asarray(shapely.transform(here, partial(np.add, [turn, 0.0])), object)
        for turn in _TURNS
    ]
    if any(shapely.STRtree(there).query(some).size for some in turned):
        return
    away = min(
        distance_km(cast("BaseGeometry", shapely.box(*shapely.total_bounds(some))),
                    there.tolist())
        for some in turned
    )  # fmt: skip
    bounds = ", ".join(f"{edge:.4f}" for edge in shapely.total_bounds(here))
    what = "object" if run is None else "image of the run"
    raise InputError(
        f"the zones of {path} (W,S,E,N {bounds}) lie elsewhere: the nearest {what} is "
        f"{away:,.1f} km away. Check the order (longitude first) and the CRS of the "
        "zones"
    )


def zone_notes(
    table: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, name: str | None
) -> list[str]:
    """Return what to say of zones that hold nothing, or have no names.

    Args:
        table: The summary of the zones.
        zones: As they were read.
        name: Column of the names, where the user named one.
    """
    notes = []
    counts = table.set_index("zone")["count"]
    if counts.sum() and not counts.iloc[: len(zones)].sum():
        notes.append(
            f"no object lies in any zone: {counts[OUTSIDE_NAME]:,} lie "
            f"{OUTSIDE_NAME}; check the zones"
        )
    if name is None and naming_column(zones) is None:
        columns = ", ".join(map(str, zones.columns.drop([zones.geometry.name])))
        notes.append(
            f"zones are numbered; name them with --name (columns: {columns})"
            if columns
            else "zones are numbered: the file has no column that could name them"
        )
    return notes


def _ground(objects: dgpd.GeoDataFrame, run: FinishedRun | None) -> np.ndarray:
    """Return boxes around the images of a run, or the parts of a table, degrees."""
    if run is None:
        return _boxes(gpd.GeoSeries(objects.spatial_partitions, crs=objects.crs))
    images = [
        gpd.GeoSeries([_footprint(scene.transform, scene.shape)], crs=scene.crs)
        for scene in run.scenes
    ]
    return np.concatenate([_boxes(image) for image in images])


def _footprint(transform: Sequence[float], shape: tuple[int, int]) -> BaseGeometry:
    """Return the outline of an image in its CRS."""
    a, b, c, d, e, f = transform[:6]
    height, width = shape
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return shapely.Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in corners])


def _boxes(shapes: gpd.GeoSeries) -> np.ndarray:
    """Return the bounds of shapes in degrees, shape (n,); empty ones left out."""
    known = shapes[~(shapes.isna() | shapes.is_empty)]
    bounds = np.asarray(cast("Any", known).to_crs(WGS84).bounds, np.float64)
    west, south, east, north = bounds[np.isfinite(bounds).all(axis=1)].T
    return np.asarray(shapely.box(west, south, east, north), object)
