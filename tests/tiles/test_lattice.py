import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from areca.errors import GridError
from areca.tiles import Block, BlockGrid, Lattice, Window, pixel_offset

KLUANG = GeoBox(
    (4482, 4915),
    Affine(1.936383966469604e-06, 0, 103.285335865, 0, -1.947941504551183e-06, 2.1661),
    "EPSG:4326",
)
UTM = GeoBox((700, 900), Affine(0.2, 0, 700_000.0, 0, -0.2, 240_000.0), "EPSG:32648")


@pytest.mark.parametrize("whole", [KLUANG, UTM])
@given(top=st.integers(0, 300), left=st.integers(0, 300))
def test_every_crop_of_a_grid_has_the_same_lattice(whole, top, left):
    crop = whole[top : top + 50, left : left + 70]

    assert Lattice.of(crop, core_px=64) == Lattice.of(whole, core_px=64)


@pytest.mark.parametrize("whole", [KLUANG, UTM])
def test_a_window_and_its_geobox_are_the_same_place(whole):
    lattice = Lattice.of(whole, core_px=64)
    crop = whole[10:110, 20:320]

    window = lattice.window(crop)

    assert (window.height, window.width) == (100, 300)
    assert pixel_offset(lattice.geobox(window), crop) == (0, 0)
    assert window.row0 - lattice.window(whole).row0 == 10
    assert window.col0 - lattice.window(whole).col0 == 20


@pytest.mark.parametrize(
    ("pixel", "x", "y"),
    [
        (5.0, 485_902.0, 5_209_248.0),
        (0.6, 620_000.4, 4_000_000.2),
        (0.3, 620_000.1, 4_000_000.0),
        (0.075, 500_000.02, 4_000_000.035),
        (15.0, 437_392.5, 3_700_007.5),
        (0.32, 500_000.11, 4_000_000.23),
        (1 / 3600, 13.0 - 0.5 / 3600, 46.0 + 0.5 / 3600),
    ],
)
def test_common_grids_keep_their_place_to_the_last_digit(pixel, x, y):
    whole = GeoBox((400, 500), Affine(pixel, 0, x, 0, -pixel, y), "EPSG:32633")
    lattice = Lattice.of(whole, core_px=64)

    placed = lattice.geobox(lattice.window(whole)).affine

    assert placed.c == pytest.approx(x, rel=1e-15, abs=0)
    assert placed.f == pytest.approx(y, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("pixel", "x", "y"),
    [
        (12.8, 500_000.1, 4_000_000.3),
        (6.4, 500_000.05, 4_000_000.15),
        (1.92, 500_000.07, 4_000_000.11),
        (0.384, 500_000.003, 4_000_000.021),
        (0.128, 500_000.001, 4_000_000.003),
        (0.04, 412_345.67, 5_123_456.79),
        (0.08, 500_000.06, 4_000_000.02),
        (0.64, 500_000.01, 4_000_000.03),
    ],
)
def test_no_round_grid_lies_where_noise_would_flip_it(pixel, x, y):
    whole = GeoBox((600, 600), Affine(pixel, 0, x, 0, -pixel, y), "EPSG:32633")

    found = {Lattice.of(whole[i : i + 9, i : i + 9], core_px=64) for i in range(590)}

    assert found == {Lattice.of(whole, core_px=64)}


def test_pixels_and_crs_positions_are_inverse():
    lattice = Lattice.of(UTM, core_px=64)
    x, y = lattice.to_crs(np.array([0.5, 3_500_001.25]), np.array([-1_200_000.5, 2.0]))

    assert lattice.to_pixels(x, y)[0] == pytest.approx([0.5, 3_500_001.25], abs=1e-6)
    assert x[0] == pytest.approx(0.1)
    assert y[0] == pytest.approx(240_000.1)


def test_the_cores_of_tiles_cover_each_pixel_once():
    lattice = Lattice.of(UTM, core_px=64)
    window = lattice.window(UTM)
    count = np.zeros((window.height, window.width), int)
    for tile in lattice.tiles(window):
        part = lattice.core(tile).intersection(window)
        count[part.slices_in(window)] += 1

    assert (count == 1).all()


@pytest.mark.parametrize(("down", "across"), [(1, 1), (2, 3), (5, 4)])
def test_blocks_divide_the_tiles_of_a_region_and_keep_their_place(down, across):
    lattice = Lattice.of(UTM, core_px=64)
    region = lattice.window(UTM)
    grid = BlockGrid(
        lattice=lattice, region=region, tiles_down=down, tiles_across=across
    )
    tiles = [tile for block in grid.blocks() for tile in grid.tiles(block)]

    assert sorted(tiles) == sorted(lattice.tiles(region))
    assert len(set(tiles)) == len(tiles)
    assert grid.shape == (
        len({b.row for b in grid.blocks()}),
        len({b.col for b in grid.blocks()}),
    )
    corner = Window(
        region.row0 + 300, region.col0 + 300, region.row0 + 310, region.col0 + 310
    )
    inside = list(grid.blocks(corner))
    assert all(block in list(grid.blocks()) for block in inside)
    assert all(block.window.intersection(corner) for block in inside)


def test_a_block_larger_than_the_region_is_no_larger_than_its_tiles():
    lattice = Lattice.of(UTM, core_px=64)
    region = lattice.window(UTM)
    grid = BlockGrid(lattice=lattice, region=region, tiles_down=1000, tiles_across=1000)
    (block,) = grid.blocks()

    assert block.window.intersection(region) == region
    assert block.window.intersection(region.grow(63)) == block.window
    assert len(grid.tiles(block)) == block.window.size // 64**2


def test_a_block_name_sorts_like_its_place():
    window = Window(0, 0, 1, 1)
    names = [
        Block(row=r, col=c, window=window).name for r in (0, 9, 11) for c in (2, 10)
    ]

    assert names == sorted(names)


@pytest.mark.parametrize(
    ("affine", "crs"),
    [
        (Affine(0.2, 0.01, 0, 0, -0.2, 0), "EPSG:32648"),
        (Affine(0.2, 0, 0, 0, 0.2, 0), "EPSG:32648"),
        (Affine(0.2, 0, 0, 0, -0.2, 0), None),
    ],
)
def test_a_grid_that_is_rotated_upside_down_or_nowhere_is_refused(affine, crs):
    with pytest.raises(GridError, match="north-up"):
        Lattice.of(GeoBox((10, 10), affine, crs), core_px=64)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Affine(0.2, 0, 700_000.05, 0, -0.2, 240_000.0), "do not align"),
        (Affine(0.2001, 0, 700_000.0, 0, -0.2, 240_000.0), "do not align"),
        (None, "differ in CRS"),
    ],
)
def test_another_grid_is_named_and_not_resampled(other, why):
    inner = (
        GeoBox((50, 500), other, "EPSG:32648")
        if other is not None
        else GeoBox((50, 500), UTM.affine, "EPSG:32647")
    )
    with pytest.raises(GridError, match=why):
        pixel_offset(UTM, inner)


def test_a_window_knows_its_parts():
    outer, inner = Window(-5, -5, 10, 10), Window(-2, 3, 4, 10)

    assert inner.intersection(outer) == inner
    assert inner.grow(3) == Window(-5, 0, 7, 13)
    assert Window(20, 20, 30, 30).intersection(outer) is None
    pixels = np.arange(225).reshape(15, 15)
    assert pixels[inner.slices_in(outer)].shape == (6, 7)
    assert pixels[inner.slices_in(outer)][0, 0] == 3 * 15 + 8
    with pytest.raises(GridError, match="not inside"):
        inner.grow(4).slices_in(outer)
    with pytest.raises(GridError, match="at least one pixel"):
        Window(0, 0, 0, 5)
