"""The errors that pixels make, against masks of discs whose size is known."""

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pytest
import shapely
from outline_shapes import masks_of_discs

from areca.errors import InputError
from areca.measures import ERRORS, MEASURES, MeasureOptions, measure
from areca.measures.uncertainty import KENDALL

SCALE = 0.9996**2  # of areas in UTM on its central meridian, where discs are drawn


def discs_at_random(count, seed, low=2.0, high=6.0):
    """Centres on a loose grid, so that no two discs touch, and radii, m."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    step = 2 * high + 4
    y, x = np.divmod(np.arange(count), side)
    shift = rng.uniform(0, 1.5, (2, count))
    return (
        (x + 1) * step + shift[0],
        (y + 1) * step + shift[1],
        rng.uniform(low, high, count),
    )


def test_the_constant_is_kendalls():
    # The variance of the number of lattice points in discs, summed over Fourier modes.
    reach = 400
    m = np.arange(-reach, reach + 1)
    square = (m[:, None] ** 2 + m**2).astype(float)
    square[reach, reach] = np.inf
    near = (1 / square**1.5)[square <= reach**2].sum()
    beyond = 2 * np.pi / reach  # the rest of the sum, as an integral

    assert (near + beyond) / (4 * np.pi**3) == pytest.approx(KENDALL, rel=1e-5)
    assert pytest.approx(0.0728, abs=5e-5) == KENDALL


@pytest.mark.parametrize("pixel", [0.1, 0.2, 0.3, 0.5, 1.0])
def test_radii_of_masks_are_true_on_average_and_as_uncertain_as_they_say(pixel):
    count = 1200 if pixel > 0.1 else 400
    x, y, radius = discs_at_random(count, seed=int(pixel * 10))
    masks = masks_of_discs(x, y, radius, pixel, east=5e5, north=5e5)
    assert masks.disc.tolist() == list(range(count))  # one polygon each

    row = measure(masks, options=MeasureOptions(pixel_m=pixel, radius_method="mask"))

    true_area = np.pi * radius**2 / SCALE
    true_radius = radius / np.sqrt(SCALE)
    off = row.radius_m / true_radius - 1
    assert abs(off.mean()) < 0.005
    for value, sigma, truth in (
        (row.area_m2, row.area_sigma_m2, true_area),
        (row.radius_m, row.radius_sigma_m, true_radius),
    ):
        error = (value - truth) / sigma
        assert 0.93 <= (error.abs() <= 1.96).mean() <= 0.97
        assert error.std() == pytest.approx(1.0, abs=0.1 if pixel > 0.1 else 0.15)


def test_a_smooth_outline_and_its_pixels_have_one_error():
    x, y, radius = discs_at_random(60, seed=2)
    smooth = gpd.GeoDataFrame(
        geometry=shapely.buffer(shapely.points(x + 5e5, y + 5e5), radius, quad_segs=64),
        crs=32633,
    )
    stairs = masks_of_discs(x, y, radius, 0.2, east=5e5, north=5e5)

    one, other = (
        measure(t, options=MeasureOptions(pixel_m=0.2)) for t in (smooth, stairs)
    )

    np.testing.assert_allclose(one.area_sigma_m2, other.area_sigma_m2, rtol=0.02)
    assert (other.perimeter_m > 1.2 * one.perimeter_m).all()  # 4/pi: stairs


def test_the_error_does_not_depend_on_how_the_grid_is_turned():
    x, y, radius = discs_at_random(60, seed=3)
    stairs = masks_of_discs(x, y, radius, 0.2, east=8.3e5, north=5e6)  # 4 degrees off
    turned = stairs.set_geometry(stairs.rotate(45))

    sigma = measure(stairs, options=MeasureOptions(pixel_m=0.2)).area_sigma_m2

    expected = np.sqrt(KENDALL * 2 * np.pi * radius * 0.2**3)
    np.testing.assert_allclose(sigma, expected, rtol=0.02)
    lost = measure(turned, options=MeasureOptions(pixel_m=0.2)).area_sigma_m2
    assert (lost > 1.15 * sigma).all()  # stairs that are not along the axes: too long


def test_boxes_rounded_to_pixels_are_as_uncertain_as_they_say():
    rng = np.random.default_rng(5)
    low, size = rng.uniform(0, 1000, (4000, 2)), rng.uniform(3, 12, (4000, 2))
    true_area = np.pi / 4 * size.prod(axis=1) / SCALE
    pixel = 0.5
    start, end = np.rint(low / pixel) * pixel, np.rint((low + size) / pixel) * pixel
    boxes = shapely.box(*(start + 5e5).T, *(end + 5e5).T)
    table = gpd.GeoDataFrame(geometry=boxes, crs=32633)

    row = measure(table, options=MeasureOptions(pixel_m=pixel))

    assert (row.radius_method == "ellipse_of_box").all()
    error = (row.area_m2 - true_area) / row.area_sigma_m2
    assert 0.93 <= (error.abs() <= 1.96).mean() <= 0.97
    np.testing.assert_allclose(
        row.radius_sigma_m, row.area_sigma_m2 / (2 * np.pi * row.radius_m)
    )


def test_an_edge_that_is_off_as_a_whole_adds_to_the_error():
    rng = np.random.default_rng(6)
    x, y, radius = discs_at_random(800, seed=6)
    drawn = np.maximum(radius + rng.normal(0, 0.2, len(radius)), 0.5)
    masks = masks_of_discs(x, y, drawn, 0.5, east=5e5, north=5e5)

    def covered(edge):
        knobs = MeasureOptions(pixel_m=0.5, edge_sigma_m=edge, radius_method="mask")
        row = measure(masks, options=knobs)
        error = (row.radius_m * np.sqrt(SCALE) - radius) / row.radius_sigma_m
        return (error.abs() <= 1.96).mean()

    assert covered(0.0) < 0.5
    assert 0.93 <= covered(0.2) <= 0.97


def table_of_crowns():
    crowns = shapely.buffer(shapely.points(5e5 + np.arange(4) * 50, np.full(4, 5e5)), 5)
    return gpd.GeoDataFrame(
        {"radius_method": ["mask", "model", "bounding_circle", "inscribed"]},
        geometry=crowns, crs=32633,
    )  # fmt: skip


def test_what_is_not_known_is_nan():
    crowns = table_of_crowns()

    row = measure(crowns, options=MeasureOptions(pixel_m=0.2))
    known = measure(crowns, options=MeasureOptions(pixel_m=0.2, edge_sigma_m=0.1))

    assert row.area_sigma_m2.isna().tolist() == [False, True, False, False]
    assert row.radius_sigma_m.isna().tolist() == [False, True, True, True]
    assert known.radius_sigma_m.isna().tolist() == [False, False, True, True]
    assert known.radius_sigma_m[1] == pytest.approx(
        0.1
    )  # a disc is as good as its edge


def test_pixels_come_from_a_column_or_not_at_all():
    crowns = table_of_crowns().iloc[[0, 0, 0, 0]].reset_index(drop=True)
    crowns["pixel_m"] = [0.2, 0.4, None, -1.0]
    crowns["gsd"] = 0.2

    row = measure(crowns)
    by_name = measure(crowns, options=MeasureOptions(pixel_m="gsd"))
    lazy = measure(dgpd.from_geopandas(crowns, npartitions=2))

    assert row.area_sigma_m2.isna().tolist() == [False, False, True, True]
    assert row.area_sigma_m2[1] / row.area_sigma_m2[0] == pytest.approx(2**1.5)
    assert by_name.area_sigma_m2.tolist() == [row.area_sigma_m2[0]] * 4
    np.testing.assert_array_equal(
        lazy.compute(scheduler="synchronous").area_sigma_m2, row.area_sigma_m2
    )
    plain = measure(crowns.drop(columns=["pixel_m", "gsd"]))
    assert list(plain.columns) == [
        "radius_method",
        "geometry",
        *MEASURES[:7],
        *MEASURES[8:],
    ]
    assert list(row.columns)[-2:] == list(ERRORS)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_pixel_column_that_cannot_be_is_named(lazy):
    crowns = table_of_crowns().assign(words="wide")
    table = dgpd.from_geopandas(crowns, npartitions=1) if lazy else crowns

    with pytest.raises(InputError, match=r"'gsd'.*\['radius_method'"):
        measure(table, options=MeasureOptions(pixel_m="gsd"))
    if not lazy:
        with pytest.raises(InputError, match="'words' holds object"):
            measure(table, options=MeasureOptions(pixel_m="words"))


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"pixel_m": 0.0}, "pixel_m is 0.0"),
        ({"pixel_m": float("nan")}, "pixel_m is nan"),
        ({"edge_sigma_m": -1.0}, "edge_sigma_m is -1.0"),
        ({"radius_method": "box"}, "ellipse_of_box"),
    ],
)
def test_knobs_that_cannot_be_are_named(knobs, says):
    with pytest.raises(InputError, match=says):
        MeasureOptions(**knobs)
