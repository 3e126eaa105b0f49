"""The largest circle inside against GEOS, which is asked for a hundred times finer."""

import numpy as np
import pytest
import shapely
from outline_shapes import blobs, lobed, masks_of_discs, slivers

from areca.measures.poles import TOLERANCE, inscribed_discs
from areca.measures.rings import rings_of, sizes_of

LETTERS = [
    shapely.Polygon([(0, 0), (6, 0), (6, 1), (1, 1), (1, 7), (0, 7)]),  # L
    shapely.Polygon([(0, 0), (9, 0), (9, 8), (7, 8), (7, 2), (2, 2), (2, 8), (0, 8)]),
    shapely.Point(0, 0).buffer(5).difference(shapely.Point(1, 0).buffer(3.5)),
    shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(4, 0, 7, 2.5)]),
    shapely.box(0, 0, 9, 9).difference(shapely.box(4, 4, 5, 5)),
]


def masks(pixel):
    x, y = (
        v.ravel() for v in np.meshgrid(10.3 * np.arange(1, 5), 9.7 * np.arange(1, 5))
    )
    table = masks_of_discs(x, y, np.linspace(2, 4, len(x)), pixel, 0, 0)
    return shapely.transform(table.geometry.to_numpy(), lambda xy: xy - 20)


SETS = {
    "lobed": lobed(100),
    "few corners": shapely.convex_hull(lobed(100, vertices=6)),
    "many vertices": lobed(3, vertices=2000),
    "blobs with holes and parts": blobs(100),
    "letters": np.array(LETTERS),
    "slivers": slivers(10, aspect=4),
    "slivers for GEOS": slivers(10, aspect=40),
    "coarse masks": masks(1.0),
    "fine masks": masks(0.1),
}


@pytest.mark.parametrize("name", SETS)
def test_no_circle_inside_is_more_than_one_percent_larger(name):
    geometry = SETS[name]
    rings = rings_of(geometry)
    sizes = sizes_of(rings)

    discs = inscribed_discs(rings, sizes)

    finest = shapely.length(
        shapely.maximum_inscribed_circle(
            geometry, tolerance=TOLERANCE / 100 * sizes.area / sizes.perimeter
        )
    )
    assert (discs.radius >= finest * (1 - TOLERANCE)).all()
    middle = shapely.points(discs.x, discs.y)
    assert shapely.contains(geometry, middle).all()
    np.testing.assert_allclose(
        discs.radius, shapely.distance(middle, shapely.boundary(geometry)), rtol=1e-9
    )


def test_what_covers_nothing_has_no_circle():
    flat = shapely.Polygon([(0, 0), (4, 0), (2, 0)])
    twice = shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4)] * 2)  # even-odd: nothing
    rings = rings_of(np.array([flat, twice, shapely.box(-1, -1, 1, 1)]))

    discs = inscribed_discs(rings, sizes_of(rings))

    assert np.isnan(discs.radius[0])
    assert discs.radius[1] == 0
    assert discs.radius[2] == 1


def test_neighbours_in_the_array_change_no_bit():
    geometry = np.array([*lobed(5), *blobs(5), *LETTERS])
    rings = rings_of(geometry)
    together = inscribed_discs(rings, sizes_of(rings))

    for row in range(len(geometry)):
        alone = rings_of(geometry[[row]])
        discs = inscribed_discs(alone, sizes_of(alone))
        for field in ("x", "y", "radius"):
            assert getattr(discs, field)[0] == getattr(together, field)[row]
