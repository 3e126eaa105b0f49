import antimeridian
import geopandas as gpd
import numpy as np
import pytest
import shapely

from areca.exports.meridian import split_at_antimeridian, to_geojson_shapes


def ring_turns_left(ring):
    """Twice the signed area, by the shoelace formula."""
    x, y = np.asarray(ring.coords).T[:2]
    return np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0


CROSSING = {
    "goes on past 180": shapely.Point(180.2, 10).buffer(1),
    "goes on past -180": shapely.Point(-180.2, 60).buffer(1),
    "jumps": shapely.Polygon([(179, 0), (-179, 0), (-179, 1), (179, 1)]),
    "jumps, clockwise": shapely.Polygon([(179, 1), (-179, 1), (-179, 0), (179, 0)]),
    "with a hole on the line": shapely.Point(180, 10)
    .buffer(1)
    .difference(shapely.Point(180, 10).buffer(0.4)),
    "with a hole beside it": shapely.Point(180, 10)
    .buffer(1)
    .difference(shapely.Point(180.5, 10).buffer(0.2)),
    "two parts": shapely.MultiPolygon(
        [shapely.Point(180, 10).buffer(1), shapely.Point(178, 1).buffer(0.1)]
    ),
}


@pytest.mark.parametrize("case", CROSSING)
def test_a_split_agrees_with_the_package_antimeridian(case):
    shape = CROSSING[case]

    (found,) = split_at_antimeridian(np.array([shape], object))

    # It wants the jump, and rings that turn left where the jump is not one.
    turned = shapely.orient_polygons(
        shapely.transform(shape, lambda xy: xy % [360, 1000] if "jumps" in case else xy)
    )
    jumping = shapely.transform(
        turned, lambda xy: (xy + [180, 0]) % [360, 90] - [180, 0]
    )
    split = antimeridian.fix_shape(jumping, fix_winding=False, great_circle=False)
    assert found.symmetric_difference(shapely.geometry.shape(split)).area < 1e-6
    west, _, east, _ = found.bounds
    assert (west, east) == (-180.0, 180.0)
    assert found.is_valid
    assert found.geom_type == "MultiPolygon"
    for part in found.geoms:
        assert ring_turns_left(part.exterior)
        assert not any(map(ring_turns_left, part.interiors))


def test_what_does_not_cross_keeps_its_place_and_turns_left():
    clockwise = shapely.Polygon([(0, 0), (0, 1), (1, 1), (1, 0)])
    touching = shapely.box(179, 0, 180, 1)
    shapes = np.array(
        [clockwise, None, shapely.Polygon(), touching, shapely.Point(3, 4)], object
    )

    found = split_at_antimeridian(shapes)

    assert ring_turns_left(found[0].exterior)
    assert found[0].equals(clockwise)
    assert found[1] is None
    assert found[2].is_empty
    assert found[3].equals(touching)
    assert found[4] == shapely.Point(3, 4)


def test_points_past_180_come_back():
    found = split_at_antimeridian(
        np.array([shapely.Point(181, 5), shapely.Point(-180.5, 5)])
    )
    assert [(p.x, p.y) for p in found] == [(-179, 5), (179.5, 5)]


@pytest.mark.parametrize("crs", [3832, "+proj=laea +lat_0=-17 +lon_0=180 +datum=WGS84"])
def test_shapes_of_a_projected_crs_over_the_line_are_split(crs):
    """What transforms to a jump: Fiji in a Pacific projection."""
    disc = (
        gpd.GeoSeries([shapely.Point(179.99999, -17.0)], crs=4326)
        .to_crs(crs)
        .buffer(50)
    )
    table = gpd.GeoDataFrame(geometry=disc)

    (found,) = to_geojson_shapes(table)

    assert found.geom_type == "MultiPolygon"
    assert found.bounds[0] == -180
    assert found.bounds[2] == 180
    frame = "+proj=laea +lat_0=-17 +lon_0=180 +datum=WGS84"
    back = gpd.GeoSeries(list(found.geoms), crs=4326).to_crs(frame).area.sum()
    assert back == pytest.approx(disc.to_crs(frame).area.sum(), rel=1e-5)
