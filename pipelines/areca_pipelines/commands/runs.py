"""Verbs of regional runs: run, plan, recipes."""

from __future__ import annotations

from typing import Annotated

import typer

from areca_pipelines.commands.words import (
    AreaOfInterest,
    Catalog,
    Datetime,
    Out,
    Recipe,
    Settings,
)

app = typer.Typer()

EXIT_HOLES = 3


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
    from areca_pipelines.console import BlockBar, print_note, print_result
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
            tell=print_note,
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


@app.command("recipes")
def _recipes() -> None:
    """List the recipes that come with areca."""
    from areca_pipelines.console import print_recipes

    print_recipes()
