"""Verbs of models: models, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from areca.errors import InputError
from areca_pipelines.commands.words import Out, Recipe

app = typer.Typer()


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
