"""Ground is dealt by blocks: parts share no pixel and keep their distance."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from areca.errors import LabelError
from areca.labels import CircleLabels, area_mask, erode, split_ground


@pytest.fixture
def split():
    usable = np.zeros((300, 430), bool)
    usable[:, :400] = True
    return split_ground(usable, block_px=50, shares=(0.25, 0.25), seed=4)


def test_parts_share_no_pixel_and_cover_the_labelled_blocks(split):
    masks = [split.mask((300, 430), part) for part in ("train", "validation", "test")]
    assert sum(mask.sum() for mask in masks) == 300 * 400
    assert np.add(*masks[:2]).sum() == masks[0].sum() + masks[1].sum()
    assert [(split.part == part).sum() for part in range(3)] == [24, 12, 12]
    assert (split.part[:, 8] == -1).all()


def test_folds_divide_the_training_ground(split):
    train = split.mask((300, 430), "train")
    folds = [split.mask((300, 430), "train", fold=fold) for fold in (0, 1)]
    assert not (folds[0] & folds[1]).any()
    assert ((folds[0] | folds[1]) == train).all()
    assert min(fold.sum() for fold in folds) > train.sum() / 4


def test_the_seed_alone_decides():
    usable = np.ones((500, 500), bool)
    deal = [
        split_ground(usable, block_px=50, shares=(0.2, 0.2), seed=seed).part
        for seed in (1, 1, 2)
    ]
    assert (deal[0] == deal[1]).all()
    assert (deal[0] != deal[2]).any()


def test_too_little_ground_is_named():
    with pytest.raises(LabelError, match="2 blocks of 50 px"):
        split_ground(np.ones((50, 100), bool), block_px=50, shares=(0.3, 0.3), seed=0)


def test_erosion_keeps_the_distance_and_the_rim_of_the_image():
    mask = np.ones((40, 40), bool)
    mask[10, 10] = False
    rows, cols = np.ogrid[:40, :40]
    expected = np.hypot(rows - 10, cols - 10) > 5
    np.testing.assert_array_equal(erode(mask, 5), expected)
    assert erode(np.ones((5, 5), bool), 3).all()


def test_an_area_is_burnt_by_pixel_centres():
    grid = GeoBox.from_bbox((0, 0, 10, 10), "EPSG:32648", resolution=1)
    area = gpd.GeoDataFrame(geometry=[shapely.box(2, 3, 5.4, 6.6)], crs=32648)
    rows, cols = np.ogrid[:10, :10]
    east, north = cols + 0.5, 9.5 - rows
    expected = (east > 2) & (east < 5.4) & (north > 3) & (north < 6.6)
    np.testing.assert_array_equal(area_mask(area, grid), expected)


def test_circles_know_the_ground_they_stand_on():
    circles = CircleLabels(
        x=np.array([2.9, 3.1, -1, 50]), y=np.full(4, 0.5), radius=np.ones(4)
    )
    mask = np.zeros((5, 5), bool)
    mask[0, 3] = True
    assert circles.on(mask).tolist() == [False, True, False, False]
    joined = CircleLabels.join(
        [circles, CircleLabels.none(), circles.take(circles.x > 3)]
    )
    assert joined.x.tolist() == [2.9, 3.1, -1, 50, 3.1, 50]
