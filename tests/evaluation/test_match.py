"""Matching finds as many pairs as can be, and the nearest of them."""

from itertools import permutations

import numpy as np
import pytest

from areca.evaluation import match_centres


def best_by_trying(found, true, limit):
    """Try every assignment: most pairs first, then the shortest sum."""
    distance = np.hypot(*(found[:, None] - true[None]).transpose(2, 0, 1))
    best = (0, 0.0)
    slots = list(range(len(true))) + [-1] * len(found)
    for choice in set(permutations(slots, len(found))):
        pairs = [(f, t) for f, t in enumerate(choice) if t >= 0]
        if all(distance[pair] <= limit for pair in pairs):
            total = -sum(distance[pair] for pair in pairs)
            best = max(best, (len(pairs), total))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_it_is_as_good_as_trying_everything(seed):
    rng = np.random.default_rng(seed)
    found, true = rng.uniform(0, 3, (4, 2)), rng.uniform(0, 3, (3, 2))
    pairs = match_centres(found, true, 1.2)
    count, total = best_by_trying(found, true, 1.2)
    assert len(pairs.true) == count
    assert -pairs.distance_m.sum() == pytest.approx(total)


def test_a_chain_is_matched_whole_where_greedy_would_lose_a_pair():
    found = np.array([[0.0, 0.0], [2.0, 0.0]])
    true = np.array([[0.9, 0.0], [-1.0, 0.0]])
    # The nearest pair is (0, 0); taking it would leave found 1 and true 1 apart.
    pairs = match_centres(found, true, 1.2)
    assert dict(zip(pairs.true.tolist(), pairs.found.tolist(), strict=True)) == {
        0: 1,
        1: 0,
    }


def test_order_of_rows_changes_nothing():
    rng = np.random.default_rng(0)
    found, true = rng.uniform(0, 40, (200, 2)), rng.uniform(0, 40, (180, 2))
    order = rng.permutation(200)
    straight = match_centres(found, true, 2.0)
    shuffled = match_centres(found[order], true, 2.0)
    np.testing.assert_array_equal(straight.true, shuffled.true)
    np.testing.assert_array_equal(straight.found, order[shuffled.found])
    assert len(np.unique(straight.found)) == len(straight.found)
    assert straight.distance_m.max() <= 2.0


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_matches_nothing(n, m):
    assert len(match_centres(np.zeros((n, 2)), np.zeros((m, 2)), 1.0).true) == 0


def test_far_centres_are_no_pair():
    assert len(match_centres(np.zeros((1, 2)), np.array([[2.6, 0]]), 2.5).true) == 0
    assert len(match_centres(np.zeros((1, 2)), np.array([[2.4, 0]]), 2.5).true) == 1
