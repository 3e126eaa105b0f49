"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[str, typer.Argument(help="See `areca recipes`; or a TOML file.")]
Catalog = Annotated[
    str | None,
    typer.Option(
        help="STAC API, catalog.json, folder of GeoTIFFs, GeoTIFF or NAME.zarr."
    ),
]
AreaOfInterest = Annotated[
    str | None,
    typer.Option(
        "--aoi", help="W,S,E,N in degrees, or a vector file. Selects objects by centre."
    ),
]
AreaOfPixels = Annotated[
    str | None,
    typer.Option(
        "--aoi", help="W,S,E,N in degrees, or a vector file: the pixels around."
    ),
]
Collections = Annotated[
    str | None, typer.Option("--collections", help="STAC collections, commas between.")
]
Datetime = Annotated[
    str | None, typer.Option("--datetime", help="2024, or 2024-01-01/2024-06-30.")
]
Names = Annotated[
    str | None,
    typer.Option(
        help="Names of all bands of GeoTIFFs without a catalogue, as red,green,blue."
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(
        help="How dates stand in the names of such files: %Y%m%d in farm_20240601.tif."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a value of the recipe, e.g. --set threshold=0.4."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]
