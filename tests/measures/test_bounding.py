"""Minimum bounding geometry against shapely in a local frame, at any latitude."""

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from outline_shapes import WGS84, blobs, lobed
from scipy.spatial.distance import pdist

import areca
from areca.errors import GridError, InputError
from areca.measures.drawing import FIELDS

KINDS = list(FIELDS)
PLACES = [(25.0, 0.0), (25.0, -45.0), (25.0, 80.0), (140.0, -80.0), (179.99999, 5.0)]


def frame_at(longitude, latitude):
    return pyproj.CRS.from_proj4(
        f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    )


def placed(geometry, longitude, latitude):
    """Shapes of a local frame in EPSG:4326, longitudes continuous over 180."""
    move = pyproj.Transformer.from_crs(
        frame_at(longitude, latitude), 4326, always_xy=True
    )

    def to_degrees(xy):
        lon, lat = move.transform(xy[:, 0], xy[:, 1])
        lon = longitude + (lon - longitude + 180) % 360 - 180
        return np.column_stack([lon, lat])

    moved = shapely.transform(np.asarray(geometry), to_degrees)
    return gpd.GeoDataFrame({"name": range(len(moved))}, geometry=moved, crs=4326)


def everywhere(test):
    crs = pytest.mark.parametrize("crs", [4326, 3857, 3395, "UTM"])
    return crs(pytest.mark.parametrize("place", PLACES)(test))


def in_crs(table, crs, place):
    if crs != "UTM":
        return table.to_crs(crs)
    zone = int((place[0] + 180) // 6) % 60 + 1
    return table.to_crs((32600 if place[1] >= 0 else 32700) + zone)


def in_frame(geometry, place):
    """Drawn shapes back in metres around a place."""
    return geometry.to_crs(frame_at(*place)).to_numpy()


def same_direction(one, other, atol=1e-4):
    turn = np.asarray(one) - np.asarray(other)
    np.testing.assert_allclose((turn + 90) % 180 - 90, 0.0, atol=atol)


SHAPES = np.array([*lobed(6), *shapely.convex_hull(lobed(3, vertices=7))])


@everywhere
def test_the_smallest_rectangle_is_that_of_the_ground(place, crs):
    table = in_crs(placed(SHAPES, *place), crs, place)

    row = areca.bounding_geometry(table)

    theirs = shapely.oriented_envelope(SHAPES)
    sides = np.diff(shapely.get_coordinates(theirs).reshape(-1, 5, 2), axis=1)[:, :2]
    length = np.hypot(*sides.T).T
    np.testing.assert_allclose(row.MBG_Width, length.min(axis=1), rtol=1e-7)
    np.testing.assert_allclose(row.MBG_Length, length.max(axis=1), rtol=1e-7)
    long = sides[np.arange(len(sides)), length.argmax(axis=1)]
    same_direction(row.MBG_Orientation, np.degrees(np.arctan2(long[:, 0], long[:, 1])))
    drawn = in_frame(row.geometry, place)
    np.testing.assert_allclose(
        shapely.hausdorff_distance(drawn, theirs), 0.0, atol=1e-6
    )
    assert row.ORIG_FID.tolist() == row.index.tolist()
    assert row.crs == table.crs


@everywhere
def test_the_narrowest_rectangle_is_no_wider_across_any_edge(place, crs):
    table = in_crs(placed(SHAPES, *place), crs, place)

    row = areca.bounding_geometry(table, kind="RECTANGLE_BY_WIDTH")

    turned = [
        [shapely.bounds(shapely.affinity.rotate(shape, -bearing, origin=(0, 0)))
         for bearing in np.linspace(0, 180, 361)]
        for shape in shapely.convex_hull(SHAPES)
    ]  # fmt: skip
    west, south, east, north = np.moveaxis(turned, -1, 0)
    least = np.minimum(east - west, north - south).min(axis=1)
    assert (row.MBG_Width <= least + 1e-6).all()
    assert (row.MBG_Width >= least * 0.995).all()  # half a degree is not all
    drawn = in_frame(row.geometry, place)
    outside = shapely.area(shapely.difference(SHAPES, drawn))
    assert (outside < 1e-5).all()
    np.testing.assert_allclose(
        shapely.area(drawn), row.MBG_Width * row.MBG_Length, rtol=1e-6
    )


@everywhere
def test_the_hull_has_its_shortest_and_longest_pair(place, crs):
    table = in_crs(placed(SHAPES, *place), crs, place)

    row = areca.bounding_geometry(table, kind="CONVEX_HULL")

    hulls = shapely.convex_hull(SHAPES)
    pairs = [pdist(shapely.get_coordinates(hull)[:-1]) for hull in hulls]
    np.testing.assert_allclose(row.MBG_Width, [p.min() for p in pairs], rtol=1e-6)
    np.testing.assert_allclose(row.MBG_Length, [p.max() for p in pairs], rtol=1e-7)
    drawn = in_frame(row.geometry, place)
    np.testing.assert_allclose(shapely.hausdorff_distance(drawn, hulls), 0, atol=1e-6)
    ends = [
        gpd.GeoSeries(gpd.points_from_xy(row[f"MBG_APodX{i}"], row[f"MBG_APodY{i}"]),
                      crs=table.crs).to_crs(4326) for i in (1, 2)
    ]  # fmt: skip
    bearing, _, length = WGS84.inv(ends[0].x, ends[0].y, ends[1].x, ends[1].y)
    np.testing.assert_allclose(length, row.MBG_Length, atol=1e-6)
    same_direction(row.MBG_Orientation, bearing, atol=0.01)  # the meridians differ


@everywhere
def test_the_circle_is_the_smallest_and_is_held_by_its_polygon(place, crs):
    table = in_crs(placed(SHAPES, *place), crs, place)

    row = areca.bounding_geometry(table, kind="CIRCLE")

    radius = shapely.minimum_bounding_radius(SHAPES)
    np.testing.assert_allclose(row.MBG_Diameter, 2 * radius, rtol=1e-7)
    drawn = in_frame(row.geometry, place)
    assert (shapely.area(shapely.difference(SHAPES, drawn)) < 1e-9).all()
    middle = shapely.centroid(drawn)
    reach = shapely.hausdorff_distance(middle, SHAPES)
    np.testing.assert_allclose(reach, radius, rtol=1e-6)


@everywhere
def test_the_envelope_lies_along_the_axes_of_the_crs(place, crs):
    table = in_crs(placed(SHAPES, *place), crs, place)

    row = areca.bounding_geometry(table, kind="ENVELOPE")

    if place[0] < 179:  # else bounds in the CRS go around the Earth
        expected = shapely.box(*table.bounds.to_numpy().T)
        assert shapely.equals(row.geometry.to_numpy(), expected).all()
    assert (row.geometry.bounds.maxx - row.geometry.bounds.minx < 500).all()
    west, south, east, north = row.geometry.bounds.to_numpy().T
    to_degrees = pyproj.Transformer.from_crs(table.crs, 4326, always_xy=True)
    x, y = (west + east) / 2, (south + north) / 2
    sides = [
        WGS84.inv(*to_degrees.transform(*start), *to_degrees.transform(*end))[2]
        for start, end in (((west, y), (east, y)), ((x, south), (x, north)))
    ]
    np.testing.assert_allclose(row.MBG_Width, np.minimum(*sides), rtol=1e-7)
    np.testing.assert_allclose(row.MBG_Length, np.maximum(*sides), rtol=1e-7)

    around = areca.bounding_geometry(table, kind="CIRCLE", circle_of_envelope=True)
    np.testing.assert_allclose(around.MBG_Diameter, np.hypot(*sides), rtol=1e-7)
    assert (around.MBG_Diameter >= 0.999 * diameters(table)).all()


def diameters(table):
    return areca.bounding_geometry(table, kind="CIRCLE").MBG_Diameter


def scattered(count=60, seed=3):
    rng = np.random.default_rng(seed)
    shift = rng.uniform(0, 2000, (count, 2))
    crowns = shapely.transform(
        lobed(count), lambda xy: xy + np.repeat(shift, 81, axis=0) + [4e5, 5e5]
    )
    return gpd.GeoDataFrame(
        {
            "label": rng.choice(["palm", "tree", None], count),
            "row": np.arange(count) % 2,
        },
        geometry=crowns,
        crs=32648,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", ["ALL", ["label"], ["label", "row"]])
def test_a_group_is_as_if_its_objects_were_one(kind, group):
    table = scattered()
    keys = group if group != "ALL" else []
    one = table.dissolve(by=keys or None, dropna=False, method="coverage")
    assert one.geometry.geom_type.isin(["MultiPolygon"]).all()

    row = areca.bounding_geometry(table, kind=kind, group=group)
    expected = areca.bounding_geometry(one, kind=kind)

    assert list(row.columns) == [*keys, *FIELDS[kind], "geometry"]
    for name in FIELDS[kind]:
        np.testing.assert_allclose(row[name], expected[name], rtol=1e-9, atol=1e-7)
    if keys:
        values = expected.reset_index()[keys]
        pd.testing.assert_frame_equal(
            pd.DataFrame(row[keys]).fillna("none"),
            values.fillna("none"),
            check_dtype=False,
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", ["NONE", "ALL", ["label", "row"]])
@pytest.mark.parametrize("npartitions", [1, 7])
def test_any_partitioning_draws_the_same(kind, group, npartitions):
    table = scattered()
    expected = areca.bounding_geometry(table, kind=kind, group=group)

    lazy = areca.bounding_geometry(
        dgpd.from_geopandas(table, npartitions=npartitions, sort=False),
        kind=kind, group=group,
    )  # fmt: skip

    assert isinstance(lazy, dgpd.GeoDataFrame)
    assert lazy.crs == table.crs
    assert list(lazy.columns) == list(expected.columns)
    computed = lazy.compute(scheduler="synchronous")
    for name in FIELDS[kind]:
        np.testing.assert_array_equal(computed[name], expected[name])
    assert computed.geometry.to_wkb().equals(expected.geometry.to_wkb())


@pytest.mark.usefixtures("no_compute")
@pytest.mark.parametrize("group", ["NONE", "ALL", ["label"]])
def test_a_dask_table_stays_lazy(group):
    table = dgpd.from_geopandas(scattered(), npartitions=3)

    assert areca.bounding_geometry(table, group=group).npartitions in (1, 3)


def test_a_group_across_the_antimeridian_is_one():
    left, right = (shapely.Point(x, 0).buffer(5) for x in (-30.0, 30.0))
    west, east = (placed([shape], 180.0, 10.0) for shape in (left, right))
    east = east.set_geometry(east.translate(-360))  # as most files say it
    table = pd.concat([west, east], ignore_index=True)
    assert table.total_bounds[2] - table.total_bounds[0] > 359

    for crs in (4326, 3857):
        row = areca.bounding_geometry(table.to_crs(crs), group="ALL").iloc[0]
        assert row.MBG_Length == pytest.approx(70.0, rel=1e-3)
        assert row.MBG_Width == pytest.approx(10.0, rel=1e-3)
        lazy = dgpd.from_geopandas(table.to_crs(crs), npartitions=2)
        same = areca.bounding_geometry(lazy, kind="ENVELOPE", group="ALL")
        bounds = same.compute(scheduler="synchronous")
        assert bounds.MBG_Length[0] == pytest.approx(70.0, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_points_lines_and_nothing_keep_their_rows(kind):
    line = shapely.LineString([(4e5, 6e5), (4e5, 6e5 + 30)])
    corner = shapely.LineString([(0, 0), (4, 0), (4, 3)])
    mixed = shapely.GeometryCollection([line, shapely.Point(4e5 + 40, 6e5)])
    point, empty = shapely.Point(4e5, 6e5), shapely.Polygon()
    geometry = [None, point, line, empty, corner, mixed]
    table = gpd.GeoDataFrame(geometry=geometry, crs=32648)

    row = areca.bounding_geometry(table, kind=kind)

    fields = row[list(FIELDS[kind])]
    assert row.geometry.isna().tolist() == [True, False, False, True, False, False]
    assert fields.isna().all(axis=1).tolist() == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    size = "MBG_Diameter" if kind == "CIRCLE" else "MBG_Length"
    assert row[size][1] == 0
    assert row[size][2] == pytest.approx(30, rel=1e-3)
    if kind != "CIRCLE":
        assert row.geometry.geom_type[1] == "Point"
        assert row.geometry.geom_type[2] == "LineString"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", ["NONE", "ALL", ["label"]])
def test_an_empty_table_has_the_same_columns(kind, group):
    table = scattered()

    empty = areca.bounding_geometry(table.iloc[:0], kind=kind, group=group)
    nothing = areca.bounding_geometry(
        table.iloc[:3].set_geometry([None] * 3, crs=table.crs), kind=kind, group=group
    )

    full = areca.bounding_geometry(table, kind=kind, group=group)
    assert list(empty.columns) == list(full.columns)
    assert len(empty) == 0
    assert empty.crs == table.crs
    assert len(nothing) == (3 if group == "NONE" else 0)


def test_what_no_plane_is_good_for_has_no_figures():
    wide = shapely.box(10, 40, 40, 60)
    table = gpd.GeoDataFrame(geometry=[wide, shapely.box(10, 40, 11, 41)], crs=4326)

    for kind in KINDS:
        row = areca.bounding_geometry(table, kind=kind)
        lost = row[list(FIELDS[kind])].isna().all(axis=1).tolist()
        assert lost == [kind != "ENVELOPE", False]
        assert row.geometry.isna().tolist() == lost


def test_words_that_make_no_sense_are_named():
    table = scattered()

    with pytest.raises(InputError, match="RECTANGLE_BY_AREA"):
        areca.bounding_geometry(table, kind="BOX")
    with pytest.raises(InputError, match=r"\['label'\]"):
        areca.bounding_geometry(table, group="label")
    with pytest.raises(InputError, match=r"\['species'\].*\['label', 'row'"):
        areca.bounding_geometry(table, group=["species"])
    with pytest.raises(GridError, match="no CRS"):
        areca.bounding_geometry(table.set_crs(None, allow_override=True))


def test_blobs_of_any_form_are_held_by_all_kinds():
    shapes = blobs(30)
    table = placed(shapes, 25.0, 60.0).to_crs(3857)

    for kind in KINDS:
        drawn = in_frame(
            areca.bounding_geometry(table, kind=kind).geometry, (25.0, 60.0)
        )
        assert (shapely.area(shapely.difference(shapes, drawn)) < 1e-4).all(), kind
