"""Each estimator is what its name says, and stands in the table."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from outline_shapes import lobed

from areca.measures import BOUNDING, MeasureOptions, circles, measure

FRAME = "+proj=tmerc +lat_0=45 +lon_0=11.4 +datum=WGS84"
TURNED = shapely.affinity.rotate(shapely.box(-4, -1.5, 4, 1.5), 30)
BOX = shapely.box(-4, -1.5, 4, 1.5)
CROWN = lobed(1, seed=4)[0]
SHAPES = [TURNED, BOX, CROWN, shapely.Point(0, 0).buffer(5, quad_segs=8)]


def table(**columns):
    return gpd.GeoDataFrame(columns, geometry=SHAPES, crs=FRAME)


def measured(method, **knobs):
    return measure(table(), options=MeasureOptions(radius_method=method, **knobs))


def test_one_estimator_may_be_asked_of_all():
    around = shapely.minimum_bounding_radius(SHAPES)
    inside = shapely.length(shapely.maximum_inscribed_circle(np.array(SHAPES)))
    own = np.sqrt(shapely.area(SHAPES) / np.pi)
    box = np.sqrt(shapely.area(shapely.oriented_envelope(SHAPES))) / 2

    for method, expected, rtol in (
        ("mask", own, 1e-7),
        ("model", own, 1e-7),
        ("ellipse_of_box", box, 1e-7),
        ("bounding_circle", around, 1e-7),
        ("inscribed", inside, 0.01),
    ):
        row = measured(method)
        np.testing.assert_allclose(row.radius_m, expected, rtol=rtol, err_msg=method)
        assert (row.radius_method == method).all()


@pytest.mark.parametrize("method", ["mask", "bounding_circle", "inscribed"])
def test_the_area_is_the_outlines_own_where_the_radius_is_another(method):
    row = measured(method)

    np.testing.assert_allclose(row.area_m2, shapely.area(SHAPES), rtol=1e-7)
    np.testing.assert_allclose(row.perimeter_m, shapely.length(SHAPES), rtol=1e-7)
    assert list(row.columns[:2]) == ["geometry", "area_m2"]
    assert not set(BOUNDING) & set(row.columns)


def test_an_asked_estimator_wins_over_the_column_and_the_column_over_the_shape():
    known = table(radius_method=["bounding_circle", None, "inscribed", "model"])

    row = measure(known)
    asked = measure(known, options=MeasureOptions(radius_method="mask"))

    assert row.radius_method.tolist() == [
        "bounding_circle", "ellipse_of_box", "inscribed", "model",
    ]  # fmt: skip
    assert row.radius_m[0] == pytest.approx(np.hypot(4, 1.5), rel=1e-7)
    assert row.radius_m[1] == pytest.approx(np.sqrt(8 * 3) / 2, rel=1e-7)
    assert row.radius_m[2] < measured("mask").radius_m[2]
    assert (asked.radius_method == "mask").all()
    again = measure(row, options=MeasureOptions(bounding=True))
    np.testing.assert_array_equal(again.radius_m, row.radius_m)


def test_without_the_rectangle_all_else_stays():
    full = measure(table(), options=MeasureOptions(bounding=True))
    bare = measure(table(), options=MeasureOptions(rectangle=False))

    assert not {"width_m", "length_m", "orientation_deg"} & set(bare.columns)
    for name in bare.columns.drop("geometry"):
        assert bare[name].equals(full[name]), name


def test_bounding_columns_of_an_ellipse_and_a_disc_are_their_own():
    ellipse = measured("ellipse_of_box", bounding=True).iloc[0]
    disc = measured("model", bounding=True).iloc[3]

    assert ellipse.bounding_radius_m == pytest.approx(4, rel=1e-7)
    assert ellipse.inscribed_radius_m == pytest.approx(1.5, rel=1e-7)
    assert (ellipse.feret_min_m, ellipse.feret_max_m) == pytest.approx((3, 8))
    assert 0 < ellipse.circularity < 0.8
    assert disc.circularity == pytest.approx(1.0)
    assert disc.bounding_radius_m == disc.inscribed_radius_m == disc.radius_m
    assert (disc.pole_x, disc.pole_y) == pytest.approx((0, 0), abs=1e-6)


def test_calipers_and_circles_of_an_outline_are_those_of_shapely():
    row = measured("mask", bounding=True)

    hulls = shapely.convex_hull(SHAPES)
    longest = [
        shapely.length(shapely.LineString([a, b]))
        for hull in hulls
        for a, b in [farthest(shapely.get_coordinates(hull))]
    ]
    np.testing.assert_allclose(row.feret_max_m, longest, rtol=1e-7)
    assert row.feret_min_m[0] == pytest.approx(3, rel=1e-7)
    np.testing.assert_allclose(
        row.bounding_radius_m, shapely.minimum_bounding_radius(SHAPES), rtol=1e-7
    )
    np.testing.assert_allclose(
        row.circularity,
        4 * np.pi * shapely.area(SHAPES) / shapely.length(SHAPES) ** 2,
        rtol=1e-7,
    )


def farthest(corners):
    apart = np.hypot(*(corners[:, None] - corners[None]).T)
    one, other = np.unravel_index(apart.argmax(), apart.shape)
    return corners[one], corners[other]


def test_circles_are_drawn_by_any_estimator():
    row = measured("bounding_circle")

    drawn = circles(row)

    again = measure(drawn.drop(columns="radius_method"))
    np.testing.assert_allclose(again.radius_m, row.radius_m, rtol=1e-7)
