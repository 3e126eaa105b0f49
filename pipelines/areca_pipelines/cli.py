"""The `areca` command. Everything heavy is imported inside the verbs."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from areca.errors import ArecaError, InputError

EXIT_HOLES = 3
INTERRUPTED = 130
"""What typer makes of Ctrl-C."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Count and measure round things in big imagery: from a STAC catalogue and a "
        "model to a table of objects with area, centre and radius in true metres.\n\n"
        "Try the demonstration first: [bold]areca run tree_crown_demo --out "
        "runs/demo[/bold]"
    ),
    epilog=(
        "Exit codes: 0 done; 1 failed, run the same command to resume; 2 bad input, "
        "one line says what; 3 done with holes, which are listed."
    ),
)

Recipe = Annotated[str, typer.Argument(help="See `areca recipes`; or a TOML file.")]
Catalog = Annotated[
    str | None,
    typer.Option(help="STAC API, catalog.json, folder of GeoTIFFs or GeoTIFF."),
]
AreaOfInterest = Annotated[
    str | None,
    typer.Option(
        "--aoi", help="W,S,E,N in degrees, or a vector file. Selects objects by centre."
    ),
]
Datetime = Annotated[
    str | None, typer.Option("--datetime", help="2024, or 2024-01-01/2024-06-30.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a value of the recipe, e.g. --set threshold=0.4."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]


@app.callback()
def _root(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Hold the options of the command itself; `main` reads them."""
    del debug


@app.command(
    "run",
    help=(
        "Count and measure the objects of a region; run it again to resume.\n\n"
        "[bold]areca run oil_palm_census --catalog https://…/stac --aoi farm.geojson "
        "--out runs/farm[/bold]\n\n"
        "Worker processes, and the blocks that each has in work side by side:\n\n"
        "[bold]--set workers=4 --set threads=2[/bold]\n\n"
        "Several processes that share one GPU (--cluster cuda starts one per GPU):"
        "\n\n[bold]--cluster local --set device=cuda --set workers=4[/bold]\n\n"
        "Tiles in one forward pass, measured at the start of a run and kept:\n\n"
        "[bold]--set batch_size=auto[/bold]"
    ),
)
def _run(
    recipe: Recipe,
    *,
    out: Out,
    catalog: Catalog = None,
    aoi: AreaOfInterest = None,
    datetime: Datetime = None,
    cluster: Annotated[
        str,
        typer.Option(
            help="local (processes on this machine), threads (all in this process), "
            "cuda (one process per GPU), or tcp://host:port of a Dask scheduler."
        ),
    ] = "local",
    settings: Settings = None,
) -> int:
    """Return 0 or 3 once the objects of a region are counted and measured."""
    from areca_pipelines.census import run
    from areca_pipelines.console import BlockBar, print_result
    from areca_pipelines.recipe import parse_setting

    with BlockBar() as bar:
        result = run(
            recipe,
            out=out,
            catalog=catalog,
            aoi=aoi,
            datetime=datetime,
            cluster=cluster,
            settings=dict(map(parse_setting, settings or [])),
            progress=bar,
        )
    print_result(result)
    return EXIT_HOLES if result.holes else 0


@app.command("plan")
def _plan(
    recipe: Recipe,
    *,
    catalog: Catalog = None,
    aoi: AreaOfInterest = None,
    datetime: Datetime = None,
    settings: Settings = None,
) -> None:
    """Say what a run would read and do, without reading a pixel."""
    from areca_pipelines.census import Ground, plan
    from areca_pipelines.console import print_plan
    from areca_pipelines.recipe import parse_setting

    ground = Ground(catalog=catalog, aoi=aoi, datetime=datetime)
    print_plan(plan(recipe, ground, dict(map(parse_setting, settings or []))))


@app.command(
    "models",
    help=(
        "Say of each model its task, bands, tile, parameters and licence.\n\n"
        "Take over a model of Esri, a package or an .emd beside its weights:\n\n"
        "[bold]areca models --import palms.dlpk --out models/palms --set "
        "bands=red,green,blue --set resolution_m=0.3 --set mean=100,90,80 --set "
        "std=40,40,40 --set context_px=32[/bold]"
    ),
)
def _models(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Names or folders; all that come with areca if none."),
    ] = None,
    *,
    package: Annotated[
        Path | None,
        typer.Option(
            "--import", help="A .dlpk or .emd of Esri. No code of it is ever run."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder of the imported model.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="What the package does not say; it is asked for."),
    ] = None,
) -> None:
    """List models, or import one and show it.

    Raises:
        InputError: Words that do not go together.
    """
    from areca_pipelines.console import print_models

    if package is None:
        if out is not None or settings:
            raise InputError("--out and --set go with --import FILE.dlpk")
        print_models(models or None)
        return
    if out is None or models:
        raise InputError(
            "--import takes one package and the new folder: areca models --import "
            f"{package} --out models/{package.stem}"
        )
    from areca.models.esri import import_esri
    from areca_pipelines.recipe import parse_setting

    import_esri(package, out, dict(map(parse_setting, settings or [])))
    print_models([str(out)])


@app.command("recipes")
def _recipes() -> None:
    """List the recipes that come with areca."""
    from areca_pipelines.console import print_recipes

    print_recipes()


@app.command("measure")
def _measure(
    file: Annotated[
        Path, typer.Argument(help="GeoParquet, GeoPackage, GeoJSON, … with a CRS.")
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
) -> None:
    """Measure the objects of a vector file in true metres, whatever its CRS.

    [bold]areca measure crowns.gpkg --pixel 0.1 --bounding[/bold]

    [bold]areca measure boxes.gpkg --nms 0.4[/bold] drops duplicates first.

    Files of any size; only --nms needs one to fit into memory. Columns named as
    measures (area_m2, radius_m, ...) are replaced. What was not plain about a shape
    (null, crossing itself, a point, ...) stands in the column measure_note.
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
) -> None:
    """Write the regions of a raster as polygons."""
    from areca.objects import PolygonOptions
    from areca_pipelines.polygonizing import (
        Layer,
        polygonize_file,
        print_found,
        split_classes,
    )

    target = out or Path(f"{file.resolve().stem}.polygons.parquet")
    found = polygonize_file(
        file,
        target,
        layer=Layer(band=band, variable=variable),
        classes=split_classes(classes),
        nodata=nodata,
        connectivity=connectivity,
        options=PolygonOptions(
            min_area_m2=min_area,
            fill_holes_m2=fill_holes,
            simplify_px=simplify,
            regularize_px=regularize,
        ),
    )
    print_found(found, target)


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
    from areca_pipelines.summarizing import Division, SummaryRequest, summarize_run

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


@app.command("train")
def _train(
    recipe: Recipe,
    *,
    data: Annotated[
        Path, typer.Option(help="Folder that the recipe's paths start at.")
    ],
    out: Out,
) -> None:
    """Train a model from a training recipe, seeded and repeatable.

    [bold]areca train train_oil_palm --data data/ --out models/oil-palm[/bold]
    """
    from areca_pipelines.console import TrainingBar, print_trained
    from areca_pipelines.train import train

    with TrainingBar() as bar:
        model = train(recipe, data=data, out=out, progress=bar)
    print_trained(model)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit; errors are one line, tracebacks only with --debug.

    Args:
        arguments: What stands behind `areca`; those of this process when left out.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # --debug is welcome anywhere, not only before the verb.
    words = ["--debug", *(w for w in words if w != "--debug")] if debug else words
    try:
        code = app(words, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, not a trace
        code = _explain(error)
        if debug:
            traceback.print_exc()
    if code == INTERRUPTED:
        _say("interrupted; finished blocks are kept: run the same command to resume")
        code = 1
    sys.exit(code or 0)


def _explain(error: Exception) -> int:
    """Return the exit code of an error, once one line about it is printed."""
    if isinstance(error, typer.Abort):
        return 1
    if hasattr(error, "format_message"):  # click's own complaints about the words
        _say(f"{error.format_message()} See areca --help")
        return 2
    if isinstance(error, ArecaError):
        _say(" ".join(str(error).split()))
        return 2 if isinstance(error, InputError) else 1
    from areca.catalog import redact

    _say(
        f"unexpected {type(error).__name__}: {redact(str(error))}. This is a defect of "
        "areca; --debug shows where"
    )
    return 1


def _say(line: str) -> None:
    print(f"areca: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
