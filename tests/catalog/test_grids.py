import dataclasses
import itertools

import pytest
from pyproj import CRS

from areca.catalog import Scene, SceneBand, grid_of, select
from areca.errors import CatalogError, GridError


def scene(
    name="a", *, crs="EPSG:32614", pixel=(2.0, 2.0), at=(5e5, 5e6), shape=(100, 80)
):
    transform = (pixel[0], 0.0, at[0], 0.0, -pixel[1], at[1])
    band = SceneBand(name="red", href=f"{name}.tif", index=1)
    return Scene(
        id=name, collection="c", start="2024", end="2024", crs=crs, transform=transform,
        shape=shape, bands=(band,), footprint="POINT (0 0)",
    )  # fmt: skip


def test_the_grid_is_the_union_in_whole_pixels_in_any_order():
    scenes = [
        scene("b"),
        scene("a", at=(5e5 - 20, 5e6 + 6)),
        scene("c", at=(5e5 + 300, 5e6)),
    ]
    for order in itertools.permutations(scenes):
        grid = grid_of(order)
        assert grid.shape == (103, 240)
        assert tuple(grid.affine)[:6] == (2, 0, 499_980, 0, -2, 5_000_006)
        assert str(grid.crs) == "EPSG:32614"


def test_a_hundredth_of_a_pixel_is_noise_and_more_is_not():
    near, far = scene("b", at=(5e5 + 200.018, 5e6)), scene("b", at=(5e5 + 200.03, 5e6))
    assert grid_of([scene(), near]).shape == (100, 180)
    with pytest.raises(GridError, match=r"0\.015 pixel apart.*warp"):
        grid_of([scene(), far])


def test_pixels_that_drift_apart_towards_the_far_edge_are_refused():
    drifting = scene("b", pixel=(2.0005, 2.0), shape=(100, 80))
    with pytest.raises(
        GridError, match=r"item b has pixels of 2\.0005 x -2 .*0\.02 pixel"
    ):
        grid_of([scene(), drifting])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (scene("b", crs="EPSG:32615"), "item b is in EPSG:32615, others in EPSG:32614"),
        (scene("b", pixel=(4.0, 4.0)), "item b has pixels of 4 x -4"),
        (scene("b", at=(5e5 + 1, 5e6)), "0.5 pixel apart"),
    ],
)
def test_what_would_need_a_warp_is_refused_with_its_values(other, message):
    with pytest.raises(GridError, match=message) as err:
        grid_of([scene(), other])
    assert "warp" in str(err.value)
    assert "choose items of one grid" in str(err.value)


def test_two_texts_of_one_crs_are_one_crs():
    wkt = CRS.from_epsg(32614).to_wkt()
    assert grid_of([scene(), scene("b", crs=wkt)]).shape == (100, 80)


@pytest.mark.parametrize(
    ("crs", "pixel", "at", "is_square"),
    [
        ("EPSG:4326", (1.9364e-6, 1.9479e-6), (103.29, 2.166), True),
        ("EPSG:4326", (1e-6, 1e-6), (10.0, 60.0), False),
        ("EPSG:4326", (2e-6, 1e-6), (10.0, 60.0), True),
        ("EPSG:3857", (1.0, 1.0), (1e6, 8e6), True),
        ("EPSG:32662", (1.0, 1.0), (1e6, 6.7e6), False),
        ("EPSG:3395", (0.10009765625, 0.0999755859375), (13467532.0, 1632019.0), True),
        ("EPSG:32614", (2.0, 2.03), (5e5, 5e6), True),
        ("EPSG:32614", (2.0, 2.05), (5e5, 5e6), False),
        ("EPSG:32614", (2.05, 2.0), (5e5, 5e6), False),
    ],
)
def test_pixels_must_be_square_on_the_ground_within_two_percent(
    crs, pixel, at, is_square
):
    placed = scene(crs=crs, pixel=pixel, at=at)
    if is_square:
        assert grid_of([placed]).shape == (100, 80)
    else:
        with pytest.raises(GridError, match=r"not square within 2%"):
            grid_of([placed])


@pytest.mark.parametrize(
    "transform",
    [(2.0, 0.1, 5e5, 0.0, -2.0, 5e6), (2.0, 0.0, 5e5, 0.0, 2.0, 5e6),
     (-2.0, 0.0, 5e5, 0.0, -2.0, 5e6)],
)  # fmt: skip
def test_rotated_and_flipped_pixels_are_refused(transform):
    placed = dataclasses.replace(scene(), transform=transform)
    with pytest.raises(GridError, match="rotated or not north-up"):
        grid_of([placed])


def test_a_grid_where_its_crs_means_nothing_is_refused():
    with pytest.raises(GridError, match="not defined"):
        grid_of([scene(crs="EPSG:32614", at=(1e12, 1e12))])


def test_no_scenes_have_no_grid():
    with pytest.raises(CatalogError, match="no scenes"):
        grid_of([])


def test_select_keeps_scenes_that_share_a_pixel():
    left, right = scene("left"), scene("right", at=(5e5 + 160, 5e6))
    grid = grid_of([left, right])
    assert select([right, left], grid[:, :80]) == [left]
    assert select([right, left], grid[:, 79:81]) == [right, left]
    assert select([right, left], grid[:10, 80:]) == [right]
