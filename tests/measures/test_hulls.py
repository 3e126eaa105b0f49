"""Hulls, calipers and circles around against GEOS and against all pairs."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from outline_shapes import blobs, lobed, slivers
from scipy.spatial.distance import pdist

from areca.measures.columns import (
    rectangle_sides,
    smallest_by_area,
    smallest_by_width,
)
from areca.measures.enclosing import enclosing_discs
from areca.measures.hulls import calipers, hulls_of, hulls_of_rings, longest_pairs
from areca.measures.rings import rings_of, sizes_of

SETS = {
    "lobed": lobed(100),
    "turned the other way": shapely.reverse(lobed(100)),
    "many vertices": lobed(5, vertices=3000),
    "blobs": blobs(100),
    "slivers": slivers(50),
    "boxes": shapely.box(-np.arange(1, 6), -1, np.arange(1, 6), 1),
    "stars and others": np.array(
        [*lobed(5), *blobs(5), *slivers(5), *lobed(5, seed=1)]
    ),
}


def hulls_from(geometry):
    rings = rings_of(geometry)
    return hulls_of_rings(rings, sizes_of(rings))


def drawn(hulls):
    xy = np.split(np.column_stack([hulls.x, hulls.y]), hulls.starts[1:])
    return np.array([shapely.Polygon(corners) for corners in xy])


@pytest.mark.parametrize("name", SETS)
def test_hulls_are_those_of_geos(name):
    mine, theirs = drawn(hulls_from(SETS[name])), shapely.convex_hull(SETS[name])

    assert shapely.is_ccw(shapely.get_exterior_ring(mine)).all()
    np.testing.assert_allclose(shapely.area(mine), shapely.area(theirs), rtol=1e-12)
    np.testing.assert_allclose(
        shapely.hausdorff_distance(mine, theirs), 0.0, atol=1e-12
    )


def test_both_ways_to_a_hull_give_the_same_corners():
    geometry = lobed(100)
    assert sizes_of(rings_of(geometry)).is_star.all()

    pruned, geos = hulls_from(geometry), hulls_of(geometry)

    np.testing.assert_array_equal(pruned.counts, geos.counts)
    assert pruned.counts.max() < 60  # of 80 vertices: some were passed over
    for one, other in zip(drawn(pruned), drawn(geos), strict=True):
        assert one.normalize() == other.normalize()


@pytest.mark.parametrize("name", SETS)
def test_calipers_find_rectangles_and_diameters(name):
    geometry = SETS[name]
    hulls = hulls_from(geometry)
    found = calipers(hulls)

    width, length, _ = rectangle_sides(found, smallest_by_area(hulls, found))
    one, other = longest_pairs(hulls, found)
    narrow = found.height[smallest_by_width(hulls, found)]

    theirs = shapely.oriented_envelope(geometry)
    np.testing.assert_allclose(width * length, shapely.area(theirs), rtol=1e-12)
    np.testing.assert_allclose(
        np.hypot(hulls.x[one] - hulls.x[other], hulls.y[one] - hulls.y[other]),
        [pdist(shapely.get_coordinates(hull)).max() for hull in drawn(hulls)],
        rtol=1e-12,
    )
    np.testing.assert_allclose(narrow, least_extents(drawn(hulls)), rtol=1e-12)


def least_extents(polygons):
    """The extent of each polygon across its edges, by projecting every corner."""
    found = []
    for corners in map(shapely.get_coordinates, polygons):
        way = np.diff(corners, axis=0)
        across = np.column_stack([-way[:, 1], way[:, 0]])
        across /= np.hypot(*way.T)[:, None]
        found.append(np.ptp(across @ corners.T, axis=1).min())
    return found


@pytest.mark.parametrize("name", SETS)
def test_circles_around_are_those_of_geos(name):
    hulls = hulls_from(SETS[name])

    discs = enclosing_discs(hulls, *longest_pairs(hulls, calipers(hulls)))

    np.testing.assert_allclose(
        discs.radius, shapely.minimum_bounding_radius(SETS[name]), rtol=1e-12
    )
    out = np.hypot(hulls.x - discs.x[hulls.owner], hulls.y - discs.y[hulls.owner])
    assert (out <= discs.radius[hulls.owner] * (1 + 1e-9)).all()


places = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=12
)


@settings(max_examples=50, deadline=None)
@given(st.lists(places, min_size=1, max_size=4))
def test_points_in_a_row_and_equal_ones_are_no_trouble(groups):
    geometry = np.array([shapely.MultiPoint(group) for group in groups])

    hulls = hulls_of(geometry)
    found = calipers(hulls)
    one, other = longest_pairs(hulls, found)
    discs = enclosing_discs(hulls, one, other)
    width, length, _ = rectangle_sides(found, smallest_by_area(hulls, found))

    np.testing.assert_allclose(
        discs.radius, shapely.minimum_bounding_radius(geometry), atol=1e-9
    )
    np.testing.assert_allclose(
        width * length, shapely.area(shapely.oriented_envelope(geometry)), atol=1e-9
    )
    np.testing.assert_allclose(
        np.hypot(hulls.x[one] - hulls.x[other], hulls.y[one] - hulls.y[other]),
        [max(pdist(group), default=0.0) for group in groups],
        atol=1e-9,
    )


def test_neighbours_in_the_array_change_no_bit():
    geometry = SETS["stars and others"]
    hulls = hulls_from(geometry)
    together = calipers(hulls)

    for row in range(len(geometry)):
        alone = hulls_from(geometry[[row]])
        part = hulls.owner == row
        np.testing.assert_array_equal(alone.x, hulls.x[part])
        found = calipers(alone)
        for field in ("east", "north", "height", "extent", "behind"):
            np.testing.assert_array_equal(
                getattr(found, field), getattr(together, field)[part]
            )
