"""Detections of several views are one object, by a plain loop and by hand."""

import numpy as np
import pandas as pd
import pytest
from worlds import merged_by_hand

from areca.objects import box_candidates, merge_views
from areca.tiles import Tile


def seen(*rows):
    """Rows of (left, top, edge, score, label, view)."""
    left, top, edge, score, label, view = np.array(rows, float).T
    boxes = np.stack([left, top, left + edge, top + edge], axis=1)
    table = box_candidates(
        boxes, score.astype(np.float32), label.astype(np.int32), Tile(0, 0)
    )
    return table.assign(view=view.astype(int))


def merged(table, *, last=None, views=4, overlap=0.5, smallest=False):
    last = np.zeros(len(table), bool) if last is None else np.array(last)
    return merge_views(
        table, last=last, views=views, overlap=overlap, smallest=smallest
    )


@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_objects_are_those_of_a_plain_loop(seed, smallest):
    rng = np.random.default_rng(seed)
    count, views = 160, 8
    table = seen(
        *zip(
            rng.uniform(0, 60, count),
            rng.uniform(0, 60, count),
            rng.uniform(8, 14, count),
            rng.integers(1, 12, count) / 12,  # many equal scores
            rng.integers(0, 2, count),
            rng.integers(0, views, count),
            strict=True,
        )
    )
    last = rng.random(count) < 0.2

    found = merged(table, last=last, views=views, overlap=0.3, smallest=smallest)

    best, scores = zip(*merged_by_hand(table, last, views, 0.3, smallest), strict=True)
    expected = table.loc[list(best)].assign(score=np.float32(scores))
    assert len(found) == len(expected) < count
    pd.testing.assert_frame_equal(
        found, expected.drop(columns="view").reset_index(drop=True)
    )


def test_a_view_that_misses_an_object_counts_zero():
    table = seen((0, 0, 10, 0.8, 0, 0), (1, 0, 10, 0.6, 0, 2), (40, 0, 10, 0.9, 0, 1))

    mean, low = merged(table), merged(table, smallest=True)

    np.testing.assert_allclose(mean["score"], [0.9 / 4, 1.4 / 4], atol=1e-7)
    assert mean["x"].tolist() == [45.0, 5.0]  # where the best view saw them
    assert low["score"].tolist() == [0.0, 0.0]
    every = seen(*[(0, 0, 10, score, 0, view) for view, score in enumerate([0.9, 0.5])])
    assert merged(every, views=2, smallest=True)["score"].tolist() == [0.5]


def test_one_view_gives_an_object_no_more_than_one_score():
    table = seen((0, 0, 10, 0.8, 0, 0), (0, 0, 10, 0.4, 0, 1), (0, 0, 9, 0.6, 0, 1))

    found = merged(table, views=2)

    # The weaker of the second view overlaps more; the other stays by itself.
    np.testing.assert_allclose(found["score"], [0.6, 0.3], atol=1e-7)


def test_neither_another_label_nor_a_neighbour_is_the_same_object():
    table = seen((0, 0, 10, 0.8, 0, 0), (0, 0, 10, 0.8, 1, 1), (7, 0, 10, 0.8, 0, 2))

    assert len(merged(table)) == 3


def test_what_was_cut_leads_only_where_no_whole_one_is_left():
    table = seen((0, 0, 10, 0.9, 0, 0), (1, 0, 10, 0.5, 0, 1), (40, 0, 10, 0.7, 0, 0))

    found = merged(table, last=[True, False, True], views=2)

    assert found["x"].tolist() == [6.0, 45.0]
    np.testing.assert_allclose(found["score"], [0.7, 0.35], atol=1e-7)


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    table = seen(
        *[(*rng.uniform(0, 40, 2), 10, rng.random(), 0, n % 4) for n in range(60)]
    )
    shuffled = table.sample(frac=1, random_state=1)

    one, other = merged(table), merged(shuffled)

    pd.testing.assert_frame_equal(one, other)
