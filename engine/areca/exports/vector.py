"""GeoPackage, FlatGeobuf and GeoJSON: one stream of Arrow batches through GDAL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable  # noqa: TC003 - in an annotation that is run
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely

from areca.exports.meridian import to_geojson_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import geopandas as gpd

    from areca.exports.formats import Format
    from areca.exports.source import ObjectSource

LAYER = "objects"
GEOMETRY = "geometry"
FIXED_DATE = "2000-01-01T00:00:00.000Z"
"""When GeoPackages say they were changed: equal objects give equal files."""
DEGREE_DIGITS = 9
"""Decimals of a degree in GeoJSON: 0.1 mm, or 1e-4 of the area of a disc of 1 m."""
_MULTI: dict[int, Callable[..., np.ndarray]] = {
    0: shapely.multipoints,
    1: shapely.multilinestrings,
    3: shapely.multipolygons,
}
"""What makes multi-shapes, by the type id of their parts."""
_OPTIONS: dict[str, dict[str, str | int]] = {
    "GeoJSON": {"RFC7946": "YES", "COORDINATE_PRECISION": DEGREE_DIGITS}
}


def write_vector(source: ObjectSource, path: Path, form: Format) -> tuple[int, int]:
    """Write objects through GDAL, a batch at a time.

    Args:
        source: The objects. Heights are dropped.
        path: File to write; nothing is there.
        form: A format with a driver. GeoJSON is written in degrees, all others in the
            CRS of the objects.

    Returns:
        How many were written, and how many left out: an index has no place for what
        has none, so FlatGeobuf has no objects without geometry.
    """
    in_degrees = form.driver == "GeoJSON"
    kind, shape = _kind(source.kinds, anything=in_degrees)
    counted = _Counted(keep_lost=form.driver != "FlatGeobuf")
    prepare = to_geojson_shapes if in_degrees else shape
    batches = _batches(source, prepare, counted)
    first = next(batches)

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        for batch in batches:
            yield batch.cast(first.schema)

    with _fixed_date():
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(first.schema, every()),
            path,
            layer=LAYER,
            driver=form.driver,
            geometry_name=GEOMETRY,
            geometry_type=kind,
            crs="EPSG:4326" if in_degrees else source.crs.to_wkt(),
            **_OPTIONS.get(str(form.driver), {}),
        )
    return counted.written, counted.left_out


def add_style(path: Path, qml: str) -> None:
    """Put a QGIS style into a GeoPackage: the table `layer_styles`, as QGIS makes it.

    Args:
        path: A GeoPackage with the layer `objects`.
        qml: The style that QGIS shall draw it with.
    """
    with closing(sqlite3.connect(path)) as file, file:
        (geometry,) = file.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?",
            (LAYER,),
        ).fetchone()
        file.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), "
            "f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), "
            "styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, "
            "owner TEXT(30), ui TEXT(30), update_time DATETIME)"
        )
        file.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
            "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, "
            "description, owner, ui, update_time) "
            "VALUES ('', '', ?, ?, 'areca', ?, '', 1, 'made by areca', '', NULL, ?)",
            (LAYER, geometry, qml, FIXED_DATE),
        )
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, "
            "description, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (FIXED_DATE,),
        )


@dataclass(slots=True)
class _Counted:
    """How many objects have passed."""

    keep_lost: bool
    """Whether objects without geometry pass."""
    written: int = 0
    left_out: int = 0

    def choose(self, part: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return what passes of a part, counted."""
        shapes = part.geometry.to_numpy()
        lost = shapely.is_missing(shapes) | shapely.is_empty(shapes)
        chosen = part if self.keep_lost or not lost.any() else part[~lost]
        self.written += len(chosen)
        self.left_out += len(part) - len(chosen)
        return chosen


def _batches(
    source: ObjectSource,
    prepare: Callable[[gpd.GeoDataFrame], np.ndarray],
    counted: _Counted,
) -> Iterator[pa.RecordBatch]:
    for part in map(counted.choose, source.parts()):
        shapes = np.asarray(shapely.to_wkb(prepare(part), flavor="iso"), object)
        columns = {
            name: _plain(pa.array(values))
            for name, values in pd.DataFrame(part.drop(columns=GEOMETRY)).items()
        }
        columns[GEOMETRY] = pa.array(shapes, pa.binary())
        field = pa.field(
            GEOMETRY,
            pa.binary(),
            metadata={"ARROW:extension:name": "geoarrow.wkb"},
        )
        fields = [pa.field(name, column.type) for name, column in columns.items()]
        schema = pa.schema([*fields[:-1], field])
        yield pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column of a type that every driver has; lists become JSON text."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_nested(array.type):
        texts = [
            None if v is None else json.dumps(v, default=str) for v in array.to_pylist()
        ]
        return pa.array(texts, pa.string())
    return array


def _kind(
    kinds: set[str], *, anything: bool
) -> tuple[str, Callable[[gpd.GeoDataFrame], np.ndarray]]:
    """Return the geometry type of a layer, and what makes shapes of that type.

    A layer of one type opens in every GIS; polygons and multipolygons together become
    multipolygons.
    """
    parts = {kind.removeprefix("Multi") for kind in kinds}
    if anything or len(parts) != 1 or "GeometryCollection" in kinds:
        return ("Polygon" if not kinds else "Unknown"), _flat
    if len(kinds) == 1:
        return next(iter(kinds)), _flat
    return f"Multi{next(iter(parts))}", _flat_multi


def _flat(part: gpd.GeoDataFrame) -> np.ndarray:
    return np.asarray(shapely.force_2d(part.geometry.to_numpy()), object)


def _flat_multi(part: gpd.GeoDataFrame) -> np.ndarray:
    """Return shapes as multi-shapes of one part or more."""
    shapes = _flat(part)
    single = np.isin(shapely.get_type_id(shapes), (0, 1, 3))
    kind = shapely.get_type_id(shapes[single])
    if len(kind):
        shapes = shapes.copy()
        shapes[single] = _MULTI[int(kind[0])](
            shapes[single], indices=np.arange(len(kind))
        )
    return shapes


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Let GDAL write one date, and take it back."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
