"""The score threshold, chosen on validation ground."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from areca.errors import LabelError
from areca.evaluation import detect, match_centres, score_detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import LoadedModel
    from areca.models.found import Detections
    from areca.training.images import TrainImage

LOWEST_SCORE = 0.05
"""Detections below this are not looked at."""
_STEPS = [step / 100 for step in range(5, 96)]


def choose_threshold(
    images: Sequence[TrainImage],
    loaded: LoadedModel,
    *,
    match_m: float,
    recall: float | None,
    margin: float = 1.0,
) -> float:
    """Return the threshold to write into the card, in hundredths.

    Where labels miss objects, precision against them is no guide, but recall of those
    labels that all annotations agree on is: then the threshold is as high as the asked
    recall allows, times a margin for ground unlike this. Where labels are complete
    (`recall` None), the threshold of the best F1 is taken.

    Raises:
        LabelError: there is no sure label on validation ground.
    """
    looked = [
        (image, detect(image.as_float(), loaded, score_threshold=LOWEST_SCORE))
        for image in images
        if image.ground("validation").any()
    ]
    scores = [_label_scores(image, found, match_m) for image, found in looked]
    values = np.concatenate(scores) if scores else np.empty(0)
    if values.size == 0:
        raise LabelError(
            "no sure label lies on validation ground, so no threshold can be chosen; "
            "raise the validation share of the split"
        )
    if recall is None:
        f1 = [_f1(looked, value, match_m) for value in _STEPS]
        return _STEPS[int(np.argmax(f1))]
    lowest = float(np.quantile(values, 1 - recall, method="lower"))
    return max(math.floor(lowest * margin * 100) / 100, LOWEST_SCORE)


def _label_scores(
    image: TrainImage, found: Detections, match_m: float
) -> NDArray[np.float64]:
    """Return the score that each sure validation label is found with, 0 if missed."""
    xy = np.column_stack([found.x, found.y]).astype(float)
    metres = image.resolution_m
    pairs = match_centres(xy * metres, image.circles.xy * metres, match_m)
    score = np.zeros(len(image.circles))
    score[pairs.true] = found.score[pairs.found]
    return score[image.circles.on(image.ground("validation")) & image.sure]


def _f1(
    looked: Sequence[tuple[TrainImage, Detections]], threshold: float, match_m: float
) -> float:
    """Return F1 over the validation ground of all images together."""
    true = found = matched = 0
    for image, detections in looked:
        scores = score_detections(
            detections.take(detections.score >= threshold),
            image.circles,
            ground=image.ground("validation"),
            resolution_m=image.resolution_m,
            max_distance_m=match_m,
        )
        true, found = true + scores.n_true, found + scores.n_found
        matched += scores.n_matched
    return 2 * matched / (true + found) if true + found else 0.0
