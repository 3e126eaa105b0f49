"""The outlines of many masks are those of each alone."""

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label as components

from areca.objects import canonical, mask_outlines

ROW, COL = 100, -7


def alone(mask):
    """The outline of one mask by GDAL and shapely."""
    shapes = rasterio.features.shapes(mask.astype(np.uint8), mask=mask)
    united = shapely.union_all([shapely.geometry.shape(s) for s, _ in shapes])
    moved = shapely.transform(united, lambda pixels: pixels + np.array([COL, ROW]))
    return canonical(moved)[0]


@settings(deadline=None, max_examples=60)
@given(
    masks=arrays(
        np.bool_,
        st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
        elements=st.booleans(),
    )
)
def test_outlines_are_those_that_other_tools_give_for_each_mask(masks):
    outlines = mask_outlines(masks, row=ROW, col=COL)

    assert len(outlines) == len(masks)
    for outline, mask in zip(outlines, masks, strict=True):
        if mask.any():
            assert outline.is_valid
            assert outline.wkb == alone(mask).wkb
        else:
            assert outline.is_empty


@pytest.mark.parametrize("seed", range(10))
def test_an_outline_holds_exactly_the_pixels_of_its_mask(seed):
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, 20, 24), bool)
    masks[:, 3:15, 4:20] = rng.random((3, 12, 16)) < 0.55
    for mask, shape in zip(masks, mask_outlines(masks, row=ROW, col=COL), strict=True):
        assert shape.is_valid
        assert shape.geom_type in {"Polygon", "MultiPolygon"}
        assert shape.area == mask.sum()
        assert len(shapely.get_parts(shape)) == components(mask, connectivity=1).max()
        rows, cols = np.indices(mask.shape)
        inside = shapely.contains_xy(shape, cols + COL + 0.5, rows + ROW + 0.5)
        np.testing.assert_array_equal(inside, mask)


def test_masks_that_overlap_do_not_touch_each_other():
    masks = np.zeros((3, 8, 8), bool)
    masks[0, :, 2:5] = masks[1, 3:6, :] = masks[2, 7, 7] = True

    across, along, corner = mask_outlines(masks)

    assert across.equals(shapely.box(2, 0, 5, 8))
    assert along.equals(shapely.box(0, 3, 8, 6))
    assert corner.equals(shapely.box(7, 7, 8, 8))


def test_no_masks_give_no_outlines():
    assert len(mask_outlines(np.zeros((0, 64, 64), bool))) == 0
