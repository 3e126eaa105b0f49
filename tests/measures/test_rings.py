"""Sums over flat rings against GEOS, which looks at one geometry at a time."""

import numpy as np
import pytest
import shapely
from outline_shapes import blobs, lobed, slivers

from areca.measures.rings import rings_of, sizes_of

HOLED = shapely.Point(0, 0).buffer(5).difference(shapely.Point(1, 0).buffer(2))
APART = shapely.MultiPolygon([HOLED, shapely.box(8, 8, 10, 11)])
SETS = {
    "lobed": lobed(50),
    "turned the other way": shapely.reverse(lobed(50)),
    "blobs": blobs(200),
    "slivers": slivers(50),
    "mixed": np.array([*lobed(3), HOLED, *lobed(3), APART, *slivers(3)]),
    "one": lobed(1),
}


@pytest.mark.parametrize("name", SETS)
def test_sizes_are_those_of_geos(name):
    geometry = SETS[name]

    sizes = sizes_of(rings_of(geometry))

    np.testing.assert_allclose(sizes.area, shapely.area(geometry), rtol=1e-12)
    np.testing.assert_allclose(sizes.perimeter, shapely.length(geometry), rtol=1e-12)
    centre = shapely.get_coordinates(shapely.centroid(geometry))
    np.testing.assert_allclose(sizes.centre_x, centre[:, 0], atol=1e-12)
    np.testing.assert_allclose(sizes.centre_y, centre[:, 1], atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_some_objects_are_measured_as_they_were_among_all(name):
    rings = rings_of(SETS[name])
    rows = np.arange(len(SETS[name])) % 3 != 1
    whole, some = sizes_of(rings), sizes_of(rings.taken(rows))

    for field in ("area", "perimeter", "centre_x", "centre_y", "is_star", "is_ccw"):
        np.testing.assert_array_equal(getattr(some, field), getattr(whole, field)[rows])


def test_a_star_is_one_ring_that_turns_once_around_the_origin():
    bow = shapely.Polygon([(-3, -3), (3, 3), (3, -3), (-3, 3)])
    turn = np.linspace(0, 4 * np.pi, 80)[:-1]
    twice = shapely.Polygon(
        np.column_stack([(2 + turn / 9) * np.cos(turn), (2 + turn / 9) * np.sin(turn)])
    )
    hook = shapely.Polygon(
        [(-1, -1), (4, -1), (4, 3), (-1, 3), (-1, 2), (3, 2), (3, 1), (-1, 1)]
    )
    beside = shapely.box(2, 2, 3, 3)
    geometry = np.array([shapely.box(-1, -1, 1, 1), bow, twice, hook, beside, HOLED])

    star = sizes_of(rings_of(geometry)).is_star

    assert star.tolist() == [True, False, False, False, False, False]
    assert shapely.is_valid(geometry[star]).all()
    assert sizes_of(rings_of(lobed(200))).is_star.all()


def test_what_covers_nothing_has_no_centre():
    flat = np.array(
        [shapely.Polygon([(0, 0), (4, 0), (2, 0)]), shapely.box(0, 0, 1, 1)]
    )

    sizes = sizes_of(rings_of(flat))

    assert sizes.area.tolist() == [0.0, 1.0]
    assert np.isnan(sizes.centre_x).tolist() == [True, False]


def test_an_empty_part_of_a_multipolygon_is_passed_over():
    parts = shapely.multipolygons([shapely.Polygon(), shapely.box(0, 0, 2, 2)])

    assert sizes_of(rings_of(np.array([parts]))).area.tolist() == [4.0]
