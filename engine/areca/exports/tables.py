"""CSV for spreadsheets, and one GeoParquet file out of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import shapely

from areca.exports.meridian import to_geojson_shapes
from areca.exports.vector import DEGREE_DIGITS
from areca.measures import ObjectsWriter
from areca.measures.table import measure

if TYPE_CHECKING:
    from pathlib import Path

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
        a missing value is an empty field. Texts are written as they are: a spreadsheet
        takes one that begins with = + - or @ for a formula, so labels and ids of a
        source that is not trusted should be imported as text.
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
    # Parts have Arrow types, which are nobody else's.
    with ObjectsWriter(path, pandas_types=False) as writer:
        for part in source.parts():
            writer.add(part)
            rows += len(part)
    return rows
