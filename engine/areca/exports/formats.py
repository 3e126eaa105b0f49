"""The formats that objects and rasters are exported to."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from areca.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format."""

    name: str
    suffix: str
    about: str
    driver: str | None = None
    """GDAL's vector driver; None where areca writes the file itself."""


FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            name="geoparquet",
            suffix=".parquet",
            about="one GeoParquet 1.1 file, with covering",
        ),
        Format(
            name="gpkg",
            suffix=".gpkg",
            about="GeoPackage with a QGIS style inside",
            driver="GPKG",
        ),
        Format(
            name="flatgeobuf",
            suffix=".fgb",
            about="FlatGeobuf with a spatial index",
            driver="FlatGeobuf",
        ),
        Format(
            name="geojson",
            suffix=".geojson",
            about="GeoJSON as RFC 7946 has it: WGS 84, split at the antimeridian",
            driver="GeoJSON",
        ),
        Format(name="csv", suffix=".csv", about="centres in degrees, and measures"),
        Format(
            name="coco",
            suffix=".json",
            about="COCO annotations in pixels of the images",
        ),
        Format(
            name="cog",
            suffix=".tif",
            about="class or confidence raster as cloud-optimised GeoTIFF",
        ),
    )
}
"""By name, in the order of the help."""


def choose_format(name: str | None, target: Path) -> Format:
    """Return the format of a name, or of a file where there is no name.

    Args:
        name: Name of a format, or None.
        target: The file to write.

    Raises:
        InputError: There is no such format, or the file's suffix names none, or
            another one.
    """
    known = ", ".join(FORMATS)
    if name is None:
        for entry in FORMATS.values():
            if entry.suffix == target.suffix.lower():
                return entry
        raise InputError(
            f"{target.name} does not tell its format; give format (--format), one of "
            f"{known}"
        )
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"format {name!r} is unknown; {hint}Formats are {known}")
    suffix = target.suffix.lower()
    others = [one.name for one in FORMATS.values() if one.suffix == suffix]
    if others and name not in others:
        raise InputError(
            f"{target.name} is called {others[0]} and the format is {name}; give the "
            f"file the suffix {FORMATS[name].suffix}, or leave the format out"
        )
    return FORMATS[name]
