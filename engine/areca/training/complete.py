"""Cross-fitted completion of labels that miss objects.

An object without a label teaches "nothing here". Two networks are fitted, each on one
half of the ground, and each looks at the half it has never seen, so neither can
remember what was missing. What a network finds there as surely as it finds labelled
objects is added; what it finds less surely gets no loss at all. (Cross-fitting against
memorised label noise: Northcutt et al. 2021, arXiv:1911.00068.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from areca.errors import LabelError
from areca.evaluation import detect, match_centres
from areca.labels import CircleLabels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from areca.chips.scene import LabelledScene
    from areca.models.adapter import LoadedModel
    from areca.models.found import Detections

_LOWEST_SCORE = 0.05


@dataclass(frozen=True, kw_only=True)
class CompleteOptions:
    """How sure a network must be, measured by its own recall of labelled objects."""

    add_recall: float = 0.8
    """Detections at least as sure as this share of the labelled objects are added."""
    doubt_recall: float = 0.995
    """Detections at least as sure as this share are left without loss."""
    match_m: float = 2.5
    """A detection this near to a label is that label, m."""
    apart: float = 1.0
    """Added circles keep this many of their radii from every label."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Completion:
    """A scene with completed labels, and what was done to it."""

    scene: LabelledScene
    """The scene with added and doubtful circles."""
    added: int
    """Circles added on trained ground."""
    doubtful: int
    """Circles left without loss on trained ground."""


def complete_scene(
    scene: LabelledScene,
    folds: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    fit: Callable[[LabelledScene, int], LoadedModel],
    options: CompleteOptions,
) -> Completion:
    """Return the scene with labels completed by two cross-fitted networks.

    Args:
        scene: Scene to complete.
        folds: Two masks (height, width) that share no pixel.
        fit: Fits a network on a scene; called with the number of the fold.
        options: How sure a network must be.

    Returns:
        The completed scene; only trained ground gets new circles.

    Raises:
        LabelError: the folds overlap, or one holds no trained ground.
    """
    if (folds[0] & folds[1]).any():
        raise LabelError("the two folds share pixels, so a network would see its own")
    parts: list[tuple[CircleLabels, CircleLabels]] = []
    for fold, (own, other) in enumerate([folds, folds[::-1]]):
        half = replace(scene, trained=scene.trained & own)
        loaded = fit(half, fold)
        pixels = scene.pixels.astype(np.float32)
        pixels[:, ~scene.valid] = np.nan
        found = detect(pixels, loaded, score_threshold=_LOWEST_SCORE)
        parts.append(_new_circles(found, scene, scene.trained & other, options))
    added = CircleLabels.join([part[0] for part in parts])
    doubtful = CircleLabels.join([part[1] for part in parts])
    return Completion(
        scene=replace(
            scene,
            circles=CircleLabels.join([scene.circles, added]),
            doubtful=CircleLabels.join([scene.doubtful, doubtful]),
        ),
        added=len(added),
        doubtful=len(doubtful),
    )


def _new_circles(
    found: Detections,
    scene: LabelledScene,
    ground: NDArray[np.bool_],
    options: CompleteOptions,
) -> tuple[CircleLabels, CircleLabels]:
    """Return the sure and the doubtful detections without label on unseen ground."""
    circles = CircleLabels(
        x=found.x.astype(float),
        y=found.y.astype(float),
        radius=found.radius.astype(float),
    )
    pairs = match_centres(
        circles.xy * scene.resolution_m,
        scene.circles.xy * scene.resolution_m,
        options.match_m,
    )
    labelled = scene.circles.on(ground)
    score = np.zeros(len(scene.circles))
    score[pairs.true] = found.score[pairs.found]
    if not labelled.any():
        return CircleLabels.none(), CircleLabels.none()
    sure, doubt = (
        float(np.quantile(score[labelled], 1 - recall))
        for recall in (options.add_recall, options.doubt_recall)
    )
    new = circles.on(ground)
    new[pairs.found] = False
    distance, _ = cKDTree(scene.circles.xy).query(circles.xy)
    apart = distance > options.apart * circles.radius
    is_sure = new & apart & (found.score >= sure)
    is_doubtful = new & ~is_sure & (found.score >= max(doubt, _LOWEST_SCORE))
    return circles.take(is_sure), circles.take(is_doubtful)
