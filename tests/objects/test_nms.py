import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.ops import batched_nms

from areca.errors import RunError
from areca.objects import disc_candidates, find_overlaps, nms, suppress
from areca.objects.nms import check_components
from areca.tiles import Tile


def crowd(count, *, seed, size=120.0, labels=2):
    rng = np.random.default_rng(seed)
    discs = np.column_stack(
        [rng.uniform(0, size, (count, 2)), rng.uniform(3, 9, (count, 1))]
    )
    scores = rng.permutation(np.linspace(0.1, 1, count)).astype(np.float32)
    label = rng.integers(0, labels, count).astype(np.int32)
    return disc_candidates(discs, scores, label, Tile(0, 0))


def kept(candidates, threshold):
    return suppress(candidates, find_overlaps(candidates, threshold))


def reference(candidates, threshold):
    boxes = torch.tensor(candidates[["x_min", "y_min", "x_max", "y_max"]].to_numpy())
    index = batched_nms(
        boxes,
        torch.tensor(candidates["score"].to_numpy(np.float64)),
        torch.tensor(candidates["label"].to_numpy(np.int64)),
        threshold,
    )
    out = np.zeros(len(candidates), bool)
    out[index.numpy()] = True
    return out


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(5))
def test_suppression_equals_torchvision(threshold, seed):
    candidates = crowd(400, seed=seed)

    keep = kept(candidates, threshold)

    np.testing.assert_array_equal(keep, reference(candidates, threshold))
    assert 0 < keep.sum() < len(keep)


def test_the_order_of_rows_does_not_matter_even_with_equal_scores():
    candidates = crowd(300, seed=1).assign(score=np.float32(0.5))
    shuffled = candidates.sample(frac=1, random_state=0)

    one = candidates[kept(candidates, 0.3)]
    other = shuffled[kept(shuffled.reset_index(drop=True), 0.3)]

    pd.testing.assert_frame_equal(one, other.sort_index())


def test_three_touching_crowns_in_a_row_stay_three():
    row = np.array([[10, 10, 6.0], [20, 10, 6.0], [30, 10, 6.0]])
    scores = np.array([0.8, 0.9, 0.7], np.float32)
    crowns = disc_candidates(row, scores, np.zeros(3, np.int32), Tile(0, 0))

    assert kept(crowns, 0.2).all()


def test_a_chain_falls_link_by_link_not_as_a_whole():
    """The best takes out its rival, which spares that one's other rival."""
    row = np.array([[10, 10, 6.0], [15, 10, 6.0], [20, 10, 6.0]])
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    chain = disc_candidates(row, scores, np.zeros(3, np.int32), Tile(0, 0))

    assert kept(chain, 0.3).tolist() == [True, False, True]


def test_labels_do_not_suppress_each_other():
    two = disc_candidates(
        np.array([[10, 10, 5.0], [10, 10, 5.0]]),
        np.array([0.9, 0.8], np.float32),
        np.array([0, 1], np.int32),
        Tile(0, 0),
    )
    assert kept(two, 0.3).all()


def test_an_empty_table_is_fine():
    assert kept(crowd(0, seed=0), 0.3).shape == (0,)


def test_a_component_too_large_for_one_process_is_refused(monkeypatch):
    monkeypatch.setattr(nms, "LARGEST_COMPONENT", 10)
    dense = crowd(200, seed=0, size=20, labels=1)

    with pytest.raises(RunError, match="nms_overlap"):
        check_components(find_overlaps(dense, 0.05).components())
