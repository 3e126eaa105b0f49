"""CSV for spreadsheets, and one GeoParquet file out of many."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import shapely

from areca.exports.meridian import to_geojson_shapes
from areca.exports.vector import DEGREE_DIGITS
from areca.measures import write_objects
from areca.measures.table import measure

if TYPE_CHECKING:
    from areca.exports.source import ObjectSource

CENTRE = ("center_lon", "center_lat")


def write_csv(source: ObjectSource, path: Path, *, wkt: bool) -> int:
    """Write objects as comma-separated values, UTF-8, with a header.

    Args:
        source: The objects; they are measured where they have no centre.
        path: File to write.
        wkt: Add the geometry as the last column, WKT in WGS 84 degrees.

    Returns:
        How many were written. `object_id`, `center_lon` and `center_lat` come first;
        a missing value is an empty field.
    """
    rows = 0
    known = set(CENTRE) <= set(source.columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        for part in source.parts():
            table = part if known else measure(part)
            values = pd.DataFrame(table.drop(columns="geometry"))
            if wkt:
                values["wkt"] = shapely.to_wkt(
                    to_geojson_shapes(part), rounding_precision=DEGREE_DIGITS
                )
            first = [n for n in ("object_id", *CENTRE) if n in values.columns]
            values = values[[*first, *(n for n in values.columns if n not in first)]]
            values.to_csv(file, index=False, header=rows == 0 and file.tell() == 0)
            rows += len(values)
    return rows


def write_parquet(source: ObjectSource, path: Path) -> int:
    """Write objects as one GeoParquet 1.1 file with covering.

    Args:
        source: The objects. Rows are sorted along a Hilbert curve within each part of
            the source, so that a box touches few row groups.
        path: File to write.

    Returns:
        How many were written.
    """
    rows = 0
    geo: dict[str, Any] | None = None
    writer: pq.ParquetWriter | None = None
    with TemporaryDirectory(dir=path.parent) as folder:
        piece = Path(folder) / "piece.parquet"
        for part in source.parts():
            write_objects(part, piece)
            table = pq.read_table(piece)
            geo = _merged(geo, json.loads(table.schema.metadata[b"geo"]))
            bare = table.replace_schema_metadata(None)
            if writer is None:
                writer = pq.ParquetWriter(path, bare.schema, compression="zstd")
            if len(bare):
                writer.write_table(bare.cast(writer.schema))
            rows += len(bare)
    if writer is not None:
        writer.add_key_value_metadata({"geo": json.dumps(geo)})
        writer.close()
    return rows


def _merged(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Return GeoParquet metadata that holds for the rows of both."""
    if one is None:
        return other
    name = one["primary_column"]
    mine, more = one["columns"][name], other["columns"][name]
    boxes = [box for c in (mine, more) if (box := c.get("bbox")) and box[0] <= box[2]]
    kinds = sorted({*mine["geometry_types"], *more["geometry_types"]})
    merged = mine | {"geometry_types": kinds}
    merged.pop("bbox", None)
    if boxes:
        lows = [min(values) for values in zip(*(b[:2] for b in boxes), strict=True)]
        highs = [max(values) for values in zip(*(b[2:] for b in boxes), strict=True)]
        merged["bbox"] = [*lows, *highs]
    return one | {"columns": one["columns"] | {name: merged}}
