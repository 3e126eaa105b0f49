"""Scores follow from counted hits; disturbances do what they are named."""

import numpy as np
import pytest

from areca.errors import InputError
from areca.evaluation import DISTURBANCES, disturb, score_detections, score_overlap
from areca.labels import CircleLabels
from areca.models.found import Detections


def detections(x, y, radius):
    n = len(x)
    return Detections(
        x=np.array(x, np.float32),
        y=np.array(y, np.float32),
        radius=np.array(radius, np.float32),
        score=np.full(n, 0.9, np.float32),
        label=np.zeros(n, np.int32),
    )


TRUE = CircleLabels(
    x=np.array([10.0, 30.0, 50.0, 70.0]),
    y=np.array([10.0, 10.0, 10.0, 10.0]),
    radius=np.array([5.0, 5.0, 5.0, np.nan]),
)
FOUND = detections([11, 30, 71, 90], [10, 12, 10, 10], [5.5, 5.5, 9, 5])


def test_scores_by_hand():
    scores = score_detections(
        FOUND,
        TRUE,
        ground=np.ones((20, 100), bool),
        resolution_m=0.5,
        max_distance_m=1.5,
    )
    assert (scores.n_true, scores.n_found, scores.n_matched) == (4, 4, 3)
    assert scores.recall == 0.75
    assert scores.precision == 0.75
    assert scores.f1 == pytest.approx(0.75)
    assert scores.radius_bias == pytest.approx(0.1)
    assert scores.centre_error_median_m == pytest.approx(0.5)


def test_labels_that_do_not_count_still_explain_detections():
    scores = score_detections(
        FOUND,
        TRUE,
        ground=np.ones((20, 100), bool),
        resolution_m=0.5,
        max_distance_m=1.5,
        counted=np.array([True, False, True, True]),
    )
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.precision == 0.75


def test_only_the_ground_is_scored_but_pairs_may_straddle_its_rim():
    ground = np.zeros((20, 100), bool)
    ground[:, :70] = True
    ground[:, 70] = True  # the label at 70 is on the ground, its detection at 71 is not
    scores = score_detections(
        FOUND, TRUE, ground=ground, resolution_m=0.5, max_distance_m=1.5
    )
    assert (scores.n_true, scores.n_found, scores.n_matched) == (4, 2, 3)
    assert scores.precision == 1.0


def test_nothing_to_score_is_nan_and_null_in_the_card():
    scores = score_detections(
        detections([], [], []),
        CircleLabels.none(),
        ground=np.ones((5, 5), bool),
        resolution_m=1,
        max_distance_m=1,
    )
    assert np.isnan(scores.recall)
    assert scores.rounded()["recall"] is None
    assert scores.rounded()["n_true"] == 0


def test_overlap_counts_each_box_once():
    boxes = np.array([[5.0, 5, 15, 15], [40, 0, 60, 20], [80, 0, 84, 4]])
    found = detections([10, 11, 50, 90], [10, 10, 10, 10], [5, 5, 7, 2])
    # 50: 196 of 400 = 0.49 overlaps enough; the second at 11 has no box left.
    scores = score_overlap(found, boxes, min_iou=0.4)
    assert scores["n_matched"] == 2
    assert scores["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["precision"] == 0.5
    assert score_overlap(found, boxes, min_iou=0.5)["n_matched"] == 1


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return rng.integers(40, 200, (3, 600, 700)).astype(np.float32)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_is_repeatable_and_keeps_its_input(image, name):
    before = image.copy()
    first, second = disturb(image, name), disturb(image, name)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before)
    assert (first != image).mean() > 0.3
    assert first.min() >= 0
    assert first.max() <= 255


def test_gain_blur_and_shadow_do_what_they_say(image):
    np.testing.assert_array_equal(
        disturb(image, "gain 0.7/1.0/1.3 by band")[2],
        np.minimum(image[2] * 1.3, 255).round(),
    )
    point = np.zeros((3, 41, 41), np.float32)
    point[:, 20, 20] = 255
    spread = disturb(point * 10, "blur sigma 1.5 px")[0].astype(float)
    rows = np.arange(41) - 20
    variance = (spread.sum(axis=1) * rows**2).sum() / spread.sum()
    assert variance == pytest.approx(1.5**2, rel=0.05)
    factor = disturb(np.full_like(image, 200), "cloud shadow 0.5")[0] / 200
    assert factor.min() == pytest.approx(0.5, abs=0.01)
    assert 0.3 < (factor < 0.75).mean() < 0.7
    assert np.abs(np.diff(factor, axis=0)).max() < 0.05  # soft edges


def test_an_unknown_disturbance_is_named(image):
    with pytest.raises(InputError, match="fog"):
        disturb(image, "fog")
