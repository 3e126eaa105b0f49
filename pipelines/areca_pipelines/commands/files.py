"""Verbs of files that are there already: measure, polygonize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("measure")
def _measure(
    file: Annotated[
        Path, typer.Argument(help="GeoParquet, GeoPackage, … with a CRS; or a run.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="GeoParquet to write; NAME.measured.parquet in this folder."),
    ] = None,
    nms: Annotated[
        float | None,
        typer.Option(
            help="First drop the weaker of two objects whose intersection over union "
            "is above this (0: any overlap).",
        ),
    ] = None,
    score: Annotated[
        str, typer.Option(help="Column that --nms ranks by, higher is better.")
    ] = "score",
    label: Annotated[
        str | None,
        typer.Option(help="Column of the class: only objects of one class compete."),
    ] = None,
    pixel: Annotated[
        str | None,
        typer.Option(
            help="Size of a pixel on the ground in metres, or a column that holds it: "
            "adds the error of each area and radius."
        ),
    ] = None,
    bounding: Annotated[
        bool,
        typer.Option(
            "--bounding",
            help="Add bounding and inscribed circle, pole of inaccessibility, calipers "
            "and circularity.",
        ),
    ] = False,
    radius_method: Annotated[
        str | None,
        typer.Option(
            help="mask, ellipse_of_box, model, bounding_circle or inscribed for all "
            "objects; by shape if left out."
        ),
    ] = None,
    circles: Annotated[
        bool,
        typer.Option(
            "--circles",
            help="Write a second file, NAME.circles.parquet, with a circle on the "
            "ground for each object.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
) -> None:
    """Measure the objects of a vector file in true metres, whatever its CRS.

    [bold]areca measure crowns.gpkg --pixel 0.1 --bounding[/bold]

    [bold]areca measure boxes.gpkg --nms 0.4[/bold] drops duplicates first.

    Files of any size; only --nms needs one to fit into memory. Columns named as
    measures (area_m2, radius_m, ...) are replaced; the screen says which. What was
    not plain about a shape (null, crossing itself, a point, ...) stands in the column
    measure_note.
    """
    from areca_pipelines.console import print_measured
    from areca_pipelines.measuring import Suppression, measure_file, measure_options

    suppression = None
    if nms is not None:
        suppression = Suppression(max_overlap=nms, score=score, label=label)
    measured = measure_file(
        file,
        out or Path(f"{file.stem}.measured.parquet"),
        options=measure_options(pixel, radius_method, bounding=bounding),
        suppression=suppression,
        draw_circles=circles,
        overwrite=overwrite,
    )
    print_measured(measured)


@app.command(
    "polygonize",
    help=(
        "Draw one polygon around each connected region of a class raster or a mask.\n\n"
        "[bold]areca polygonize classes.tif --classes 1,2 --min-area 5[/bold]\n\n"
        "The classes of a run, borders smoothed and still shared:\n\n"
        "[bold]areca polygonize runs/farm --simplify 1 --out farm.parquet[/bold]\n\n"
        "Buildings with right angles, more of them than memory holds:\n\n"
        "[bold]areca polygonize houses.tif --classes 1 --regularize 1.5 --out "
        "houses/[/bold]"
    ),
)
def _polygonize(
    file: Annotated[
        Path,
        typer.Argument(help="Any raster that GDAL reads, a Zarr group, or a run."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="NAME.parquet for one file, else a folder, which is written part by "
            "part; NAME.polygons.parquet in this folder if left out."
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Values or names, e.g. 1,2; all but nodata if left out."),
    ] = None,
    nodata: Annotated[
        int | None, typer.Option(help="Value of nodata, if the raster does not say.")
    ] = None,
    connectivity: Annotated[
        int, typer.Option(help="4: pixels join by edges; 8: by corners too.")
    ] = 4,
    min_area: Annotated[
        float, typer.Option(help="Leave out regions of less than this, m².")
    ] = 0,
    fill_holes: Annotated[
        float, typer.Option(help="Fill holes of less than this, m²; inf: all.")
    ] = 0,
    simplify: Annotated[
        float,
        typer.Option(help="Take out small corners, pixels; borders stay shared."),
    ] = 0,
    regularize: Annotated[
        float, typer.Option(help="Right angles for buildings, pixels, e.g. 1.5.")
    ] = 0,
    band: Annotated[
        int | None, typer.Option(help="Band of a file that has several.")
    ] = None,
    variable: Annotated[str, typer.Option(help="Array of a Zarr group.")] = "label",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there.")
    ] = False,
) -> None:
    """Write the regions of a raster as polygons."""
    from areca.objects import PolygonOptions
    from areca_pipelines.naming import said_as
    from areca_pipelines.polygonizing import (
        OPTIONS,
        Layer,
        polygonize_file,
        print_found,
        split_classes,
    )

    target = out or Path(f"{file.resolve().stem}.polygons.parquet")
    with said_as(OPTIONS):
        options = PolygonOptions(
            min_area_m2=min_area,
            fill_holes_m2=fill_holes,
            simplify_px=simplify,
            regularize_px=regularize,
        )
    found = polygonize_file(
        file,
        target,
        layer=Layer(band=band, variable=variable),
        classes=split_classes(classes),
        nodata=nodata,
        connectivity=connectivity,
        options=options,
        overwrite=overwrite,
    )
    print_found(found, target)
