"""A whole training run: complete, fit, choose the threshold, score, save."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import torch

from areca.errors import ModelError
from areca.evaluation import (
    DISTURBANCES,
    detect,
    disturb,
    score_detections,
    score_overlap,
)
from areca.models.adapter import HeatmapDetector
from areca.models.architectures import build_network
from areca.models.weights import load_weights, save_model
from areca.training.complete import CompleteOptions, complete_scene
from areca.training.loop import FitOptions, Progress, fit_network, measure_bands
from areca.training.threshold import choose_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from areca.chips.scene import LabelledScene
    from areca.evaluation import DetectionScores
    from areca.models.adapter import LoadedModel
    from areca.models.card import ModelCard
    from areca.models.found import Detections
    from areca.models.handle import Model
    from areca.models.network import CentreRadiusNet
    from areca.training.images import Check, TrainImage


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """What a run does with its images."""

    fit: FitOptions
    """How the final network is fitted."""
    guard_m: float
    """Width of the ring without loss around held-back ground, m."""
    match_m: float
    """Largest distance of a match, m."""
    threshold_recall: float | None
    """Share of the sure labels on validation ground that the threshold must keep;
    without it the threshold has the best F1 there, which needs complete labels."""
    threshold_margin: float = 1.0
    """Factor on that threshold, for ground unlike the validation ground."""
    start: Model | None = None
    """Model whose weights the final network starts from; random ones if not given."""
    complete: CompleteOptions | None = None
    """How labels are completed first; not at all if not given."""
    complete_steps: int = 0
    """Steps of each of the two networks that complete labels."""


def train_model(
    images: Sequence[TrainImage],
    draft: ModelCard,
    plan: TrainPlan,
    *,
    out: Path,
    checks: Sequence[Check] = (),
    progress: Progress | None = None,
) -> Model:
    """Train a model and write it to a folder.

    Everything is seeded: the same images, plan, versions and machine with the same
    number of threads give the same bits.

    Args:
        images: Images to train on; at least one has a split with validation ground.
        draft: The card to be; its statistics, threshold and scores are replaced.
        plan: What to do.
        out: Folder to write to.
        checks: Scored last, after every choice.
        progress: Told about every step.

    Returns:
        The handle of the written model.
    """
    scenes = [image.scene(plan.guard_m) for image in images]
    statistics = measure_bands(_dealt(images, scenes))
    draft = replace(draft, mean=statistics.mean, std=statistics.std)
    scenes, completed = _complete(images, scenes, draft, plan, progress)
    shares = [
        float(scene.trained.sum()) if image.share is None else image.share
        for image, scene in zip(images, scenes, strict=True)
    ]
    network = fit_network(
        _start(draft, plan),
        scenes,
        statistics=statistics,
        options=plan.fit,
        shares=_normalised(images, shares),
        progress=progress,
    )
    # The folded copy looks; the unfolded network is what is saved.
    loaded = as_loaded(network.state_dict(), draft)
    threshold = choose_threshold(
        images,
        loaded,
        match_m=plan.match_m,
        recall=plan.threshold_recall,
        margin=plan.threshold_margin,
    )
    card = replace(draft, score_threshold=threshold)
    loaded = as_loaded(network.state_dict(), card)
    scores = score_images(images, loaded, plan.match_m)
    scores |= {check.name: score_check(check, loaded) for check in checks}
    card = replace(
        card, scores=scores, training=dict(card.training) | completed | _versions(plan)
    )
    return save_model(network, card, out)


def new_network(card: ModelCard, seed: int) -> CentreRadiusNet:
    """Return the card's network with weights drawn from a seed."""
    torch.manual_seed(seed)
    return cast("CentreRadiusNet", build_network(card))


def _start(draft: ModelCard, plan: TrainPlan) -> CentreRadiusNet:
    """Return the network that fitting starts from.

    Raises:
        ModelError: the model to start from has another network.
    """
    network = new_network(draft, plan.fit.seed)
    if plan.start is None:
        return network
    try:
        network.load_state_dict(load_weights(plan.start).state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"{draft.name!r} cannot start from {plan.start.card.name!r}: its network "
            f"has {dict(plan.start.card.architecture_options)}, the recipe asks for "
            f"{dict(draft.architecture_options)}; make them equal"
        ) from error
    return network


def as_loaded(state: Mapping[str, Any], card: ModelCard) -> LoadedModel:
    """Return a folded copy of trained weights, ready to detect."""
    network = cast("CentreRadiusNet", build_network(card))
    network.load_state_dict(state)
    return HeatmapDetector(network, card)


def score_images(
    images: Sequence[TrainImage], loaded: LoadedModel, match_m: float
) -> dict[str, Any]:
    """Return the scores on validation and test ground, and test under disturbance."""
    scores: dict[str, Any] = {}
    for image in images:
        if image.split is None:
            continue
        pixels = image.as_float()
        found = detect(pixels, loaded)
        parts: dict[str, Any] = {
            part: score_part(image, found, part, match_m).rounded()
            for part in ("validation", "test")
            if image.ground(part).any()
        }
        if "test" in parts:
            parts["test disturbed"] = {
                name: score_part(
                    image, detect(disturb(pixels, name), loaded), "test", match_m
                ).rounded()
                for name in DISTURBANCES
            }
        scores[image.name] = parts
    return scores


def score_part(
    image: TrainImage, found: Detections, part: str, match_m: float
) -> DetectionScores:
    """Return the scores of detections on one part of an image's ground."""
    return score_detections(
        found,
        image.circles,
        ground=image.ground(part),
        resolution_m=image.resolution_m,
        max_distance_m=match_m,
        counted=image.sure,
    )


def score_check(check: Check, loaded: LoadedModel) -> dict[str, Any]:
    """Return the scores of a check, by centres and, with boxes, by overlap."""
    image = check.image
    found = detect(image.as_float(), loaded)
    by_centre = score_detections(
        found,
        image.circles,
        ground=image.usable,
        resolution_m=image.resolution_m,
        max_distance_m=check.match_m,
    )
    scores: dict[str, Any] = {"match_m": check.match_m, **by_centre.rounded()}
    if check.boxes is not None:
        scores[f"boxes at IoU {check.min_iou}"] = score_overlap(
            found, check.boxes, min_iou=check.min_iou
        )
    return scores


def _complete(
    images: Sequence[TrainImage],
    scenes: list[LabelledScene],
    draft: ModelCard,
    plan: TrainPlan,
    progress: Progress | None,
) -> tuple[list[LabelledScene], dict[str, Any]]:
    if plan.complete is None:
        return scenes, {}
    done, counts = list(scenes), {}
    for index, image in enumerate(images):
        if image.split is None:
            continue

        def fit(scene: LabelledScene, fold: int) -> LoadedModel:
            seed = plan.fit.seed + 1 + fold
            options = replace(plan.fit, steps=plan.complete_steps, seed=seed)
            statistics = measure_bands(_dealt(images, scenes))
            network = fit_network(
                new_network(draft, seed),
                [scene],
                statistics=statistics,
                options=options,
                progress=_renamed(progress, f"complete {fold + 1} of 2"),
            )
            return as_loaded(network.state_dict(), draft)

        shape = scenes[index].shape
        first, second = (image.split.mask(shape, "train", fold=k) for k in (0, 1))
        result = complete_scene(scenes[index], (first, second), fit, plan.complete)
        done[index] = result.scene
        counts[image.name] = {"added": result.added, "doubtful": result.doubtful}
    return done, {"completed": counts}


def _dealt(
    images: Sequence[TrainImage], scenes: Sequence[LabelledScene]
) -> list[LabelledScene]:
    """Return the scenes whose ground is dealt: they are what the model is for."""
    pairs = zip(images, scenes, strict=True)
    return [scene for image, scene in pairs if image.split is not None]


def _renamed(progress: Progress | None, phase: str) -> Progress | None:
    if progress is None:
        return None
    return lambda _phase, step, steps, parts: progress(phase, step, steps, parts)


def _normalised(images: Sequence[TrainImage], shares: Sequence[float]) -> list[float]:
    """Return given shares as they are, and the rest split by trained ground."""
    given = sum(image.share for image in images if image.share is not None)
    ground = sum(
        share
        for image, share in zip(images, shares, strict=True)
        if image.share is None
    )
    return [
        image.share if image.share is not None else (1 - given) * share / ground
        for image, share in zip(images, shares, strict=True)
    ]


def _versions(plan: TrainPlan) -> dict[str, Any]:
    names = ("areca", "torch", "numpy", "scipy", "pillow")
    started = {} if plan.start is None else {"started_from": plan.start.card.digest}
    return started | {
        "seed": plan.fit.seed,
        "threads": plan.fit.threads,
        "bfloat16": plan.fit.bfloat16,
        "versions": {name: version(name) for name in names},
    }
