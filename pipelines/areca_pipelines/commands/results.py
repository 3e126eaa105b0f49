"""Verbs of what a run has found: export, summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(
    "export",
    help=(
        "Write the objects or rasters of a run in another format.\n\n"
        "[bold]areca export runs/farm --format gpkg[/bold] opens in QGIS with its "
        "colours\n\n"
        "[bold]areca export runs/farm --out farm.geojson --overwrite[/bold]\n\n"
        "[bold]areca export runs/cover --format cog --raster label[/bold]\n\n"
        "Formats: geoparquet, gpkg, flatgeobuf, geojson, csv, coco (boxes and outlines "
        "in pixels of the images), cog (a raster)."
    ),
)
def _export(
    run: Annotated[
        Path, typer.Argument(help="Run folder, or GeoParquet or another vector file.")
    ],
    *,
    form: Annotated[
        str | None,
        typer.Option("--format", help="See above; by the suffix of --out if left out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; NAME.suffix in this folder.")
    ] = None,
    raster: Annotated[
        str | None,
        typer.Option(help="cog: which raster of the run, such as label or top1."),
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="gpkg: coloured by label or by score.")
    ] = None,
    wkt: Annotated[
        bool, typer.Option("--wkt", help="csv: outlines in a last column.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
) -> None:
    """Export a run, and say what was written."""
    from areca.exports import ExportOptions
    from areca_pipelines.console import print_exported
    from areca_pipelines.exporting import ExportRequest, export

    options = ExportOptions(overwrite=overwrite, style=style, wkt=wkt)
    done, notes = export(
        ExportRequest(source=run, format=form, out=out, raster=raster, options=options)
    )
    print_exported(done, notes)


@app.command(
    "summary",
    help=(
        "Count and measure by zone, by square cell or by H3 cell.\n\n"
        "[bold]areca summary runs/farm --zones blocks.geojson[/bold] objects, "
        "density per true hectare, sizes\n\n"
        "[bold]areca summary runs/farm --cells 100 --out cells.gpkg[/bold]\n\n"
        "[bold]areca summary runs/farm --zones blocks.geojson --plantation "
        "--gaps missing.gpkg --map farm.png[/bold] also spacing and missing plants"
    ),
)
def _summary(
    run: Annotated[
        Path, typer.Argument(help="Run folder, or GeoParquet or another vector file.")
    ],
    *,
    zones: Annotated[
        Path | None,
        typer.Option(help="Polygons, any vector file and CRS; objects by centre."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Column that names the zones.")
    ] = None,
    cells: Annotated[
        float | None, typer.Option(help="Side of square cells instead, metres.")
    ] = None,
    h3: Annotated[
        int | None,
        typer.Option("--h3", help="Resolution of H3 cells instead, 0 to 15."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Table to write: .gpkg, .parquet, .csv, …")
    ] = None,
    plantation: Annotated[
        bool,
        typer.Option("--plantation", help="Distance of plants, and missing ones."),
    ] = False,
    gaps: Annotated[
        Path | None, typer.Option(help="Table of the missing plants to write.")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--map", help="PNG to draw.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model whose scores tell the interval; that of the run."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
) -> None:
    """Sum up a run, and show the table."""
    from areca_pipelines.console import print_summary
    from areca_pipelines.summarizing import SummaryRequest, summarize_run
    from areca_pipelines.summary_ground import Division

    division = Division(zones=zones, name=name, size_m=cells, h3_resolution=h3)
    result = summarize_run(
        SummaryRequest(
            source=run,
            division=division,
            out=out,
            plantation=plantation,
            gaps=gaps,
            picture=picture,
            model=model,
            overwrite=overwrite,
        )
    )
    print_summary(result.table, result.notes, result.files)
