"""`areca train`: a training recipe and a data folder become a model folder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from areca.chips.augment import AugmentOptions
from areca.chips.sampling import SampleOptions
from areca.models.card import ModelCard
from areca.models.handle import load_model
from areca.training.complete import CompleteOptions
from areca.training.loop import FitOptions, Progress
from areca.training.run import TrainPlan, train_model
from areca_pipelines.recipe import read_recipe, recipe_path
from areca_pipelines.train_data import footprint_of, load_check, load_image
from areca_pipelines.train_recipe import TrainRecipe

if TYPE_CHECKING:
    from pathlib import Path

    from areca.models.handle import Model


def train(
    recipe: str, *, data: Path, out: Path, progress: Progress | None = None
) -> Model:
    """Train the model of a recipe; the same call gives the same weights.

    All images are held in memory at once.

    Args:
        recipe: Built-in name or path of a training recipe.
        data: Folder that the recipe's paths start at.
        out: Folder to write model.json and the weights to; made if needed.
        progress: Told about every step.

    Returns:
        The handle of the written model.
    """
    form = read_recipe(str(recipe), TrainRecipe)
    digest = hashlib.sha256(recipe_path(str(recipe)).read_bytes()).hexdigest()
    images = [load_image(data, image, form) for image in form.images]
    checks = [load_check(data, check, form) for check in form.checks]
    return train_model(
        images,
        _draft(form, data, digest, recipe_path(str(recipe)).stem),
        plan_of(form),
        out=out,
        checks=checks,
        progress=progress,
    )


def plan_of(form: TrainRecipe) -> TrainPlan:
    """Return what the engine does for a recipe."""
    complete = None
    if form.complete is not None:
        options = form.complete.model_dump(exclude={"steps"})
        complete = CompleteOptions(match_m=form.match_m, **options)
    return TrainPlan(
        fit=FitOptions(
            **form.fit.model_dump(),
            sample=SampleOptions(**form.sample.model_dump()),
            augment=AugmentOptions(**form.augment.model_dump()),
        ),
        start=load_model(form.start_from) if form.start_from else None,
        guard_m=form.split.guard_m,
        match_m=form.match_m,
        threshold_recall=form.threshold_recall,
        threshold_margin=form.threshold_margin,
        complete=complete,
        complete_steps=form.complete.steps if form.complete else 0,
    )


def _draft(form: TrainRecipe, data: Path, digest: str, name: str) -> ModelCard:
    """Return the card before training: statistics and threshold are placeholders."""
    bands = len(form.card.bands)
    return ModelCard(
        **form.card.model_dump(),
        architecture_options=form.network.model_dump(),
        mean=(0.0,) * bands,
        std=(1.0,) * bands,
        score_threshold=0.5,
        footprint=footprint_of([data / image.image for image in form.images]),
        training={"recipe": name, "recipe_sha256": digest},
    )
