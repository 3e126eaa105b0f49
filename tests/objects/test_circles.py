import math

import numpy as np
import pytest
import shapely

from areca.errors import InputError
from areca.objects.circles import circle_polygons, equal_area_factor


@pytest.mark.parametrize("segments", [3, 4, 32, 64])
def test_a_polygon_has_the_area_of_its_circle(segments):
    x, y = np.array([0.0, 4e5, -7.0]), np.array([0.0, 5e6, 3.0])
    radius = np.array([1.0, 5.0, 0.25])

    drawn = circle_polygons(x, y, radius, radius, segments=segments)

    np.testing.assert_allclose(shapely.area(drawn), math.pi * radius**2, rtol=1e-8)
    np.testing.assert_array_equal(shapely.get_num_coordinates(drawn), segments + 1)
    assert shapely.is_valid(drawn).all()


def test_an_ellipse_has_both_radii():
    (drawn,) = circle_polygons([10.0], [20.0], [3.0], [1.0], segments=64)

    reach = equal_area_factor(64)
    np.testing.assert_allclose(
        drawn.bounds, (10 - 3 * reach, 20 - reach, 10 + 3 * reach, 20 + reach)
    )
    assert drawn.area == pytest.approx(3 * math.pi, rel=1e-12)


def test_one_radius_serves_all_and_the_ring_runs_counter_clockwise():
    drawn = circle_polygons([0.0, 9.0], [0.0, 0.0], 2.0, 2.0)

    assert shapely.area(drawn) == pytest.approx(4 * math.pi, rel=1e-12)
    assert shapely.is_ccw(shapely.get_exterior_ring(drawn)).all()


def test_a_missing_number_draws_nothing():
    drawn = circle_polygons([0.0, np.nan, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, np.nan], 1)

    np.testing.assert_array_equal(shapely.is_missing(drawn), [False, True, True])


def test_no_circles_is_no_error():
    assert circle_polygons([], [], [], []).shape == (0,)


@pytest.mark.parametrize("segments", [2, 0, -1])
def test_too_few_segments_are_named(segments):
    with pytest.raises(InputError, match=f"segments={segments}"):
        circle_polygons([0.0], [0.0], [1.0], [1.0], segments=segments)


def test_a_negative_radius_is_named():
    with pytest.raises(InputError, match=r"radius_y has 1 negative.*-2"):
        circle_polygons([0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, -2.0])
