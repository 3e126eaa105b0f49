from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from areca.objects import (
    disc_candidates,
    find_overlaps,
    object_ids,
    settle_block,
    settle_seams,
    suppress,
)
from areca.objects.identity import rank_equals
from areca.tiles import Lattice, Tile, Window

REACH = 9.0
SIZE = 200
LATTICE = Lattice(
    crs="EPSG:32648", pixel_x=0.2, pixel_y=0.2, origin_x=0, origin_y=0, core_px=SIZE
)


def crowd(seed, count=900):
    rng = np.random.default_rng(seed)
    discs = np.column_stack(
        [rng.uniform(0, SIZE, (count, 2)), rng.uniform(3, REACH, (count, 1))]
    )
    # A quarter sits on borders and corners of all the divisions below.
    lines = np.arange(0, SIZE + 1, 25)
    discs[: count // 4, 0] = rng.choice(lines, count // 4) + rng.uniform(-1, 1)
    discs[: count // 8, 1] = rng.choice(lines, count // 8) + rng.uniform(-1, 1)
    # And some stand twice at one place, as two tiles may see one crown.
    discs[-50:, :2] = discs[:50, :2]
    scores = rng.integers(1, 20, count).astype(np.float32) / 20
    label = rng.integers(0, 2, count).astype(np.int32)
    return disc_candidates(discs, scores, label, Tile(0, 0))


def divided(candidates, rows, cols, *, overlap=0.25, reach=REACH):
    parts = []
    for number, (r0, r1, c0, c1) in enumerate(
        (r0, r1, c0, c1) for r0, r1 in pairwise(rows) for c0, c1 in pairwise(cols)
    ):
        mine = candidates[
            (candidates["y"] >= r0)
            & (candidates["y"] < r1)
            & (candidates["x"] >= c0)
            & (candidates["x"] < c1)
        ]
        window = Window(r0, c0, r1, c1)
        part = settle_block(
            mine.reset_index(drop=True), window, reach_px=reach, overlap=overlap
        )
        parts.append(part.assign(block=str(number)))
    seams = settle_seams([part[part["open"]] for part in parts], overlap=overlap)
    closed = [part[~part["open"]] for part in parts]
    return pd.concat([seams, *closed], ignore_index=True), len(seams)


def identified(table):
    ids = object_ids(table, model_digest="m", lattice=LATTICE)
    names = ["x", "y", "x_max", "score", "label"]
    return table[names].assign(id=ids).sort_values("id", ignore_index=True)


def whole(candidates, overlap=0.25):
    survivors = candidates[suppress(candidates, find_overlaps(candidates, overlap))]
    survivors = survivors.reset_index(drop=True)
    return survivors.assign(rank=rank_equals(survivors))


DIVISIONS = [
    ([-20, 50, 100, 150, 220], [-20, 75, 125, 220]),
    ([-20, 25, 50, 75, 100, 125, 150, 175, 220], [-20, 100, 125, 220]),
    ([-20, 100, 175, 220], [-20, 25, 50, 150, 220]),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("rows", "cols"), DIVISIONS)
def test_blocks_and_seams_give_the_answer_of_the_whole(seed, rows, cols):
    candidates = crowd(seed)

    found, at_seams = divided(candidates, rows, cols)

    expected = identified(whole(candidates))
    pd.testing.assert_frame_equal(identified(found), expected)
    assert expected["id"].is_unique
    assert 0 < at_seams < len(found)


def test_without_the_seam_step_there_are_duplicates():
    """The mutation: a block that believes it can settle its border alone."""
    candidates = crowd(0)

    found, _ = divided(candidates, *DIVISIONS[0], reach=-1e9)

    assert len(found) > len(whole(candidates))


def test_with_too_short_a_reach_the_answer_is_wrong():
    candidates = crowd(0)

    found, _ = divided(candidates, *DIVISIONS[1], overlap=0.05, reach=0.0)

    assert not identified(found).equals(identified(whole(candidates, 0.05)))


def test_an_id_knows_the_place_and_the_model_only():
    one = whole(crowd(2))
    ids = object_ids(one, model_digest="m", lattice=LATTICE)
    part = one.iloc[10:20]

    assert object_ids(part, model_digest="m", lattice=LATTICE) == ids[10:20]
    assert set(object_ids(one, model_digest="n", lattice=LATTICE)).isdisjoint(ids)
    moved = one.assign(x=one["x"] + 1 / 16)
    assert set(object_ids(moved, model_digest="m", lattice=LATTICE)) != set(ids)
    nudged = one.assign(x=np.floor(one["x"] * 16) / 16 + 1e-6)
    assert object_ids(nudged, model_digest="m", lattice=LATTICE) == ids
    assert all(len(i) == 16 for i in ids)


def test_equals_at_one_place_are_numbered_best_first():
    same = disc_candidates(
        np.array([[10, 10, 2.0], [10, 10, 9.0], [40, 10, 3.0]]),
        np.array([0.5, 0.9, 0.7], np.float32),
        np.zeros(3, np.int32),
        Tile(0, 0),
    )
    assert rank_equals(same).tolist() == [1, 0, 0]
