"""Verbs of pixels: features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from areca.errors import InputError

app = typer.Typer()


@app.command(
    "features",
    help=(
        "Write bands, indices, textures and terrain of imagery as one GeoTIFF.\n\n"
        "[bold]areca features scene.tif --bands red,green,blue,ndvi --out f.tif[/bold]"
        "\n\n[bold]areca features scenes/ --bands 'ndvi,std(nir, 7)' --out f.tif[/bold]"
        "\n\n[bold]areca features dem.tif --bands slope,aspect --out f.tif[/bold]\n\n"
        "[bold]areca features --list[/bold] names all functions and indices"
    ),
)
def _features(
    source: Annotated[
        str | None,
        typer.Argument(help="GeoTIFF, folder of them, catalog.json or STAC API."),
    ] = None,
    *,
    bands: Annotated[
        list[str] | None,
        typer.Option(help="Bands, indices, functions, formulas; commas between."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="GeoTIFF to write.")] = None,
    names: Annotated[
        str | None,
        typer.Option(help="Names of the bands of a file without, e.g. red,green,blue."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List what there is, a line each.")
    ] = False,
) -> None:
    """Write features, or list them.

    Raises:
        InputError: Something is left out.
    """
    from areca_pipelines.featuring import (
        print_features,
        print_written,
        split_features,
        write_features,
    )

    if listed:
        print_features()
        return
    if source is None or not bands or out is None:
        raise InputError(
            "features needs imagery, --bands and --out: areca features scene.tif "
            "--bands red,ndvi --out features.tif; areca features --list names them all"
        )
    wanted = split_features(bands)
    called = split_features([names]) if names else None
    print_written(
        write_features(source, out, wanted, names=called, overwrite=overwrite)
    )
