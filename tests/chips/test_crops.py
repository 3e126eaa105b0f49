"""Crops carry pixels, circles and ground together, however they are turned."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from areca.chips.augment import AugmentOptions, augment, gaussian_blur, jpeg
from areca.chips.crops import Placement, cut_crop
from areca.chips.sampling import SampleOptions, Sampler
from areca.chips.scene import LabelledScene
from areca.chips.targets import draw_targets
from areca.errors import LabelError
from areca.labels import CircleLabels


def circles(*rows):
    x, y, radius = np.array(rows, float).reshape(-1, 3).T
    return CircleLabels(x=x, y=y, radius=radius)


def scene(size=200, found=((90.5, 60.5, 12.0),), doubtful=(), **changes):
    """A dark image with one bright pixel at each circle's centre."""
    pixels = np.zeros((3, size, size), np.uint8)
    for x, y, _ in found:
        pixels[:, int(y), int(x)] = 255
    everywhere = np.ones((size, size), bool)
    values = {
        "name": "drawn",
        "pixels": pixels,
        "valid": everywhere,
        "trained": everywhere,
        "circles": circles(*found),
        "doubtful": circles(*doubtful),
        "resolution_m": 0.5,
    }
    return LabelledScene(**(values | changes))


def place(**changes):
    values = {"row": 20, "col": 40, "source_px": 96, "turns": 0, "mirrored": False}
    return Placement(**(values | changes))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_peak_follows_the_pixel_through_every_turn(turns, mirrored):
    crop = cut_crop(
        scene(), place(turns=turns, mirrored=mirrored), size_px=96, stride=4
    )
    row, col = (int(v[0]) for v in np.nonzero(crop.pixels[0] > 0.5))
    heat = crop.targets.heat
    assert heat[row // 4, col // 4] == 1.0
    assert (heat == 1).sum() == 1
    assert crop.targets.shape[2, row // 4, col // 4] == pytest.approx(np.log(12.0))
    way = crop.targets.shape[:2, row // 4, col // 4]
    centre = np.array([col // 4 + 0.5, row // 4 + 0.5]) + way
    np.testing.assert_allclose(centre * 4, [col + 0.5, row + 0.5], atol=1e-5)


def test_a_scaled_crop_scales_the_radius_with_the_ground():
    crop = cut_crop(scene(), place(source_px=64), size_px=96, stride=4)
    row, col = np.unravel_index(crop.targets.heat.argmax(), (24, 24))
    # 1.5 times (60.5 - 20) and (90.5 - 40)
    assert (row, col) == (int(40.5 * 1.5) // 4, int(50.5 * 1.5) // 4)
    assert crop.targets.shape[2, row, col] == pytest.approx(np.log(18.0))
    crop = cut_crop(scene(), place(source_px=192, row=0, col=0), size_px=96, stride=4)
    row, col = np.unravel_index(crop.targets.heat.argmax(), (24, 24))
    assert (row, col) == (int(60.5 / 2) // 4, int(90.5 / 2) // 4)
    assert crop.targets.shape[2, row, col] == pytest.approx(np.log(6.0))
    bright = np.unravel_index(crop.pixels[0].argmax(), (96, 96))
    np.testing.assert_allclose(bright, [30, 45], atol=1)


def test_ground_without_loss_has_none_and_outside_is_invalid():
    trained = np.ones((200, 200), bool)
    trained[:, :80] = False
    crop = cut_crop(
        scene(trained=trained), place(row=-32, col=40), size_px=96, stride=4
    )
    assert not crop.valid[:32].any()
    assert crop.valid[32:].all()
    expected = np.zeros((24, 24))
    expected[8:, 10:] = 1
    np.testing.assert_array_equal(crop.targets.loss, expected)


def test_doubtful_circles_have_no_loss():
    counted = np.ones((24, 24), bool)
    targets = draw_targets(circles(), circles((50, 50, 20)), counted, stride=4)
    rows, cols = np.ogrid[:24, :24]
    distance = np.hypot(rows + 0.5 - 12.5, cols + 0.5 - 12.5)
    np.testing.assert_array_equal(targets.loss, (distance > 0.6 * 20 / 4))
    assert targets.heat.max() == 0


def test_touching_crowns_keep_a_valley_and_cells_belong_to_the_nearer():
    counted = np.ones((32, 32), bool)
    targets = draw_targets(
        circles((42, 62, 20), (82, 62, 20)), circles(), counted, stride=4
    )
    row = targets.heat[15]
    assert row[10] == 1
    assert row[20] == 1
    assert row[15] < 0.1
    owned = targets.weight[0, 15] > 0
    assert (np.abs(targets.shape[0, 15, owned]) < 2.5).all()


def test_a_label_without_size_trains_no_radius():
    counted = np.ones((24, 24), bool)
    targets = draw_targets(
        circles((20, 20, 10), (70, 70, np.nan)), circles(), counted, stride=4
    )
    assert targets.heat[17, 17] == 1
    assert targets.weight[0, 17, 17] > 0
    assert targets.weight[1, 17, 17] == 0
    assert targets.weight[1, 5, 5] > 0
    assert np.isfinite(targets.shape).all()


def test_dark_and_sparse_ground_is_drawn_more_often_than_its_share():
    pixels = np.full((3, 640, 640), 120, np.uint8)
    pixels[:, :, :128] = 20  # a fifth
    everywhere = np.ones((640, 640), bool)
    dark = scene(640, pixels=pixels, trained=everywhere, valid=everywhere)
    rng = np.random.default_rng(0)

    def share(options):
        sampler = Sampler(dark, options)
        places = [sampler.draw(rng) for _ in range(400)]
        return np.mean([p.col + p.source_px / 2 < 128 for p in places])

    plain = share(SampleOptions(dark_share=0, sparse_share=0))
    assert 0.1 < plain < 0.3
    assert share(SampleOptions(dark_share=0.5, sparse_share=0)) > plain + 0.15


def test_crops_are_centred_near_trained_ground():
    trained = np.zeros((640, 640), bool)
    trained[300:364, 200:264] = True
    sampler = Sampler(scene(640, trained=trained), SampleOptions(size_px=128))
    rng = np.random.default_rng(0)
    for _ in range(100):
        where = sampler.draw(rng)
        window = trained[
            max(where.row, 0) : where.row + where.source_px,
            max(where.col, 0) : where.col + where.source_px,
        ]
        assert window.any()


def test_masks_must_fit_the_image_and_leave_ground():
    with pytest.raises(LabelError, match=r"\(5, 5\)"):
        scene(trained=np.ones((5, 5), bool))
    with pytest.raises(LabelError, match="no pixel is left"):
        scene(trained=np.zeros((200, 200), bool))


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    return rng.uniform(0.2, 0.8, (6, 3, 64, 64)).astype(np.float32)


def test_the_rng_alone_decides_the_variation(batch):
    kept = batch.copy()
    one, same, other = (
        augment(batch, AugmentOptions(), np.random.default_rng(seed))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(batch, kept)
    assert np.abs(one - other).mean() > 0.01
    assert one.min() >= 0
    assert one.max() <= 1
    assert one.dtype == np.float32


def test_every_kind_can_be_turned_off(batch):
    names = AugmentOptions.__dataclass_fields__
    off = AugmentOptions(**dict.fromkeys(names, 0.0))
    out = augment(batch, off, np.random.default_rng(0))
    np.testing.assert_allclose(out, batch, atol=1e-6)


@pytest.mark.parametrize(
    "kind", ["gain", "gamma", "shadow_share", "haze", "jpeg_share"]
)
def test_each_kind_changes_the_batch_alone(batch, kind):
    names = AugmentOptions.__dataclass_fields__
    only = AugmentOptions(**(dict.fromkeys(names, 0.0) | {kind: 0.9}))
    out = augment(batch, only, np.random.default_rng(0))
    assert np.abs(out - batch).max() > 0.01


def test_blur_agrees_with_scipy_and_jpeg_loses_little(batch):
    blurred = gaussian_blur(torch.from_numpy(batch[0]), 1.3).numpy()
    expected = ndimage.gaussian_filter(
        batch[0], (0, 1.3, 1.3), mode="nearest", radius=(0, 4, 4)
    )
    np.testing.assert_allclose(blurred, expected, atol=1e-5)
    smooth = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (3, 64, 64))
    assert np.abs(jpeg(smooth, 90) - smooth).max() < 0.03
