"""Merge policies of a segmentation against plain loops over whole arrays."""

import numpy as np
import pytest
from worlds import draw_ground, noisy_segmenter, predicted, run_request, write_scene

import areca
from areca.errors import InputError
from areca.inference.merge import shares_of
from areca.inference.session import session_of
from areca.inference.views import VIEWS
from areca.tiles import Lattice, cube_geobox

BANDS = ["red", "green", "blue"]
NEAR = 2e-5
"""Of probabilities: tiles in batches round otherwise than one by one, by processor."""
FAR = 300
"""Pixels of nothing around the scene, so that every tile can be cut out of it."""
REDUCE = {"mean": np.mean, "max": np.max, "min": np.min}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(150, 160, seed=4))
    model = noisy_segmenter(folder / "model")
    return areca.open_cube(areca.search(scene), bands=BANDS), model


def softmax(logits):
    power = np.exp(logits - logits.max(0))
    return power / power.sum(0)


def tiles_of(world, augment, *, reach=0):
    """Each tile: its core, its place in an array with `FAR`, probabilities by view."""
    cube, model = world
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    network = session_of(model, areca.PredictOptions()).network
    pixels = np.pad(
        (cube.to_numpy().astype(np.float32) - 110.0) / 60.0,
        ((0, 0), (FAR, FAR), (FAR, FAR)),
    )
    for tile in lattice.tiles(window.grow(reach)):
        corner = lattice.core(tile).grow(card.halo_px)
        top, left = corner.row0 - window.row0 + FAR, corner.col0 - window.col0 + FAR
        here = np.s_[top : top + card.tile_px, left : left + card.tile_px]
        views = []
        for view in VIEWS[augment]:
            logits = network.forward(view.of(pixels[:, *here][None]))["logits"]
            views.append(softmax(view.undo(logits)[0].astype(np.float64)))
        yield here, np.array(views)


def close(rasters, share):
    np.testing.assert_allclose(rasters.top1.to_numpy(), share.max(0), atol=NEAR)
    same = rasters.label.to_numpy() == share.argmax(0)
    assert same.mean() > 0.9998
    assert len(np.unique(share.argmax(0))) > 2


@pytest.mark.parametrize("policy", ["mean", "max", "min"])
def test_views_are_merged_as_the_policy_says(world, policy):
    cube, model = world
    share = np.zeros((4, 150 + 2 * FAR, 160 + 2 * FAR))
    for (rows, cols), views in tiles_of(world, "d4"):
        merged = REDUCE[policy](views, axis=0)
        merged /= merged.sum(0)
        inner = np.s_[
            rows.start + 32 : rows.stop - 32, cols.start + 32 : cols.stop - 32
        ]
        share[:, *inner] = merged[:, 32:-32, 32:-32]

    _, rasters = predicted(
        cube, model, augment="d4", merge_policy=policy, confidence=("top1",)
    )

    close(rasters, share[:, FAR:-FAR, FAR:-FAR])


@pytest.mark.parametrize("policy", ["max", "min"])
def test_tiles_that_fade_are_merged_by_weight(world, policy):
    """Weights from their formula: 1 in the core, 0 at the far end of the fade."""
    cube, model = world
    blend = 16
    steps = np.arange(128) + 0.5 - 32  # from the edge of the core
    side = np.clip((np.minimum(steps, 64 - steps) + blend) / (2 * blend), 0, 1)
    weight = np.outer(*[np.sin(np.pi / 2 * side) ** 2] * 2)
    reached = weight > 0
    empty = 0.0 if policy == "max" else np.inf
    merged = np.full((4, 150 + 2 * FAR, 160 + 2 * FAR), empty)
    for here, views in tiles_of(world, "flips", reach=blend):
        part = merged[:, *here]
        for share in views:
            if policy == "max":
                best = np.maximum(part, share * weight)
            else:
                best = np.minimum(part, share / np.where(reached, weight, 1))
            part[:] = np.where(reached, best, part)
    inner = merged[:, FAR:-FAR, FAR:-FAR]

    _, rasters = predicted(
        cube, model, augment="flips", merge_policy=policy, blend_px=blend,
        confidence=("top1",),
    )  # fmt: skip

    close(rasters, inner / inner.sum(0))


def test_equal_tiles_give_themselves_whatever_their_weights():
    """Two tiles that agree, with any weights, and each policy."""
    rng = np.random.default_rng(0)
    share = softmax(rng.normal(size=(4, 5, 6))).astype(np.float32)
    one, other = (rng.uniform(0.05, 1, (5, 6)).astype(np.float32) for _ in range(2))

    high = shares_of(np.maximum(share * one, share * other))
    low = shares_of(np.minimum(share / one, share / other))

    np.testing.assert_allclose(high, share, atol=1e-6)
    np.testing.assert_allclose(low, share, atol=1e-6)


def test_views_that_contradict_each_other_leave_all_classes_equal():
    sure = np.zeros((2, 1, 2), np.float32)
    sure[0, 0, 0], sure[1, 0, 1] = 1.0, 1.0

    low = shares_of(np.minimum(sure, sure[::-1]))
    nothing = shares_of(np.full((2, 1, 2), np.inf, np.float32))

    np.testing.assert_array_equal(low, np.full((2, 1, 2), 0.5))
    np.testing.assert_array_equal(nothing, np.full((2, 1, 2), 0.5))


def test_the_default_is_the_mean_to_the_last_bit(world):
    cube, model = world
    asked = {"augment": "flips", "blend_px": 8, "confidence": ("top1",)}

    _, default = predicted(cube, model, **asked)
    _, mean = predicted(cube, model, merge_policy="mean", **asked)
    _, most = predicted(cube, model, merge_policy="max", **asked)

    assert default.identical(mean)
    assert not default.label.equals(most.label)


def test_a_run_that_asks_for_nothing_new_is_the_run_it_was(world, tmp_path):
    """Older run folders stay resumable: the option is named only where it is set."""
    _, model = world
    scene = write_scene(tmp_path / "ground.tif", draw_ground(150, 160, seed=4))

    plain = run_request(scene, model)
    asked = run_request(scene, model, merge_policy="mean")

    assert "merge_policy" not in plain.to_dict()["options"]
    assert asked.to_dict()["options"]["merge_policy"] == "mean"
    assert asked.digest != plain.digest


def test_an_unknown_policy_is_named():
    with pytest.raises(InputError, match="merge_policy is 'median'; give one of"):
        areca.PredictOptions(merge_policy="median")
