"""Verbs of pixels: cube, features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from areca.errors import InputError
from areca_pipelines.commands.words import (
    AreaOfPixels,
    Collections,
    Dates,
    Datetime,
    Names,
)

if TYPE_CHECKING:
    from areca.catalog.options import TimeMode

app = typer.Typer()


@app.command(
    "features",
    help=(
        "Write bands, indices, textures and terrain of imagery as one GeoTIFF.\n\n"
        "[bold]areca features scene.tif --bands red,green,blue,ndvi --out f.tif[/bold]"
        "\n\n[bold]areca features scenes/ --bands 'ndvi,std(nir, 7)' --out f.tif[/bold]"
        "\n\n[bold]areca features dem.tif --bands slope,aspect --out f.tif[/bold]\n\n"
        "[bold]… --sheet look.png[/bold] draws each band with its range\n\n"
        "Of several dates the newest is on top, and the screen says so; "
        "[bold]--datetime 2024-06[/bold] takes some\n\n"
        "[bold]areca features --list[/bold] names all functions and indices"
    ),
)
def _features(
    source: Annotated[
        str | None,
        typer.Argument(
            help="GeoTIFF, folder of them, NAME.zarr, catalog.json or STAC API."
        ),
    ] = None,
    *,
    bands: Annotated[
        list[str] | None,
        typer.Option(help="Bands, indices, functions, formulas; commas between."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="GeoTIFF to write.")] = None,
    names: Names = None,
    dates: Dates = None,
    aoi: AreaOfPixels = None,
    datetime: Datetime = None,
    collections: Collections = None,
    masks: Annotated[
        list[str] | None,
        typer.Option("--mask", help="BAND:kind,kind to leave out: scl:cloud,shadow."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="PNG to draw each band in as well, with its range."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List what there is, a line each.")
    ] = False,
) -> None:
    """Write features, or list them.

    Raises:
        InputError: Something is left out.
    """
    from areca_pipelines.feature_words import (
        print_features,
        print_written,
        split_features,
    )
    from areca_pipelines.featuring import check_sheet, write_features, write_sheet
    from areca_pipelines.lists import split_words

    if listed:
        print_features()
        return
    if source is None or not bands or out is None:
        raise InputError(
            "features needs imagery, --bands and --out: areca features scene.tif "
            "--bands red,ndvi --out features.tif; areca features --list names them all"
        )
    wanted = split_features(bands)
    called = split_words(names) if names else None
    if sheet is not None:
        check_sheet(sheet, overwrite=overwrite)
    written = write_features(
        source,
        out,
        wanted,
        names=called,
        dates=dates,
        aoi=aoi,
        datetime=datetime,
        collections=split_words(collections) if collections else None,
        masks=masks or (),
        overwrite=overwrite,
    )
    if sheet is not None:
        write_sheet(written, sheet)
    print_written(written, sheet)


@app.command(
    "cube",
    help=(
        "Write imagery of a catalogue as one Zarr cube; run it again to go on.\n\n"
        "[bold]areca cube https://…/stac --collections sentinel-2-l2a --bands red,nir "
        "--aoi farm.geojson --datetime 2024-06 --out farm.zarr[/bold]\n\n"
        "A layer a day, without clouds; later dates make the same store longer:\n\n"
        "[bold]areca cube catalog.json --bands red,nir --time day --mask "
        "scl:cloud,shadow --out farm.zarr[/bold]\n\n"
        "In Python: areca.read_cube('farm.zarr')"
    ),
)
def _cube(
    source: Annotated[
        str,
        typer.Argument(help="STAC API, catalog.json, folder or pattern of GeoTIFFs."),
    ],
    *,
    bands: Annotated[str, typer.Option(help="Names of bands, commas between.")],
    out: Annotated[str, typer.Option(help="Store to write: NAME.zarr, or s3://….")],
    names: Names = None,
    dates: Dates = None,
    aoi: AreaOfPixels = None,
    datetime: Datetime = None,
    collections: Collections = None,
    max_cloud: Annotated[
        float | None, typer.Option(help="Leave out items with more clouds, percent.")
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="CRS of the cube, if not the items' own.")
    ] = None,
    resolution: Annotated[
        float | None, typer.Option(help="Edge of a pixel, CRS units.")
    ] = None,
    time: Annotated[
        str, typer.Option(help="mosaic (no time), each (a layer an item), day.")
    ] = "mosaic",
    masks: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            help="BAND:kind,kind to leave out (scl:cloud,shadow), or a vector file "
            "outside of which all is. BAND@SCHEME:kind says what the numbers mean "
            "(BQA@bqa_pre:cloud); schemes: scl, qa60, qa_pixel, bqa (Landsat "
            "Collection 1), bqa_pre (before it), fmask, cfmask, oa_fmask.",
        ),
    ] = None,
    overviews: Annotated[
        bool, typer.Option(help="Write coarser levels as well.")
    ] = True,
) -> None:
    """Write a cube and say what it is."""
    from areca_pipelines.console import ShardBar, print_cube
    from areca_pipelines.cubing import CubeRequest, make_cube
    from areca_pipelines.lists import split_words

    request = CubeRequest(
        catalog=source,
        bands=tuple(split_words(bands)),
        aoi=aoi,
        datetime=datetime,
        collections=tuple(split_words(collections or "")),
        max_cloud=max_cloud,
        crs=crs,
        resolution=resolution,
        time=cast("TimeMode", time),
        masks=tuple(masks or ()),
        names=tuple(split_words(names)) if names else None,
        dates=dates,
    )
    with ShardBar() as bar:
        cube = make_cube(request, out, overviews=overviews, progress=bar)
    print_cube(cube, out)
