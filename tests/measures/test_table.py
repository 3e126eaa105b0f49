"""The truth is drawn by other means: geodesics from a point, PROJ's local frames."""

import math

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

from areca.errors import GridError
from areca.measures import MEASURES, circles, measure
from areca.objects.circles import circle_polygons

WGS84 = pyproj.Geod(ellps="WGS84")
PLACES = [
    (103.28, 0.0),
    (-60.0, 2.0),
    (11.4, 45.0),
    (25.0, 60.0),
    (140.0, -80.0),
    (179.99998, 5.0),
    (-180.0, -62.0),
]
SIZES = ["area_m2", "perimeter_m", "radius_m", "width_m", "length_m"]


def local_frame(longitude, latitude, name="aeqd"):
    return pyproj.CRS.from_proj4(
        f"+proj={name} +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    )


def utm(longitude, latitude):
    point = gpd.GeoSeries(gpd.points_from_xy([longitude], [latitude]), crs=4326)
    return point.estimate_utm_crs()


def geodesic_disc(longitude, latitude, radius, vertices=720):
    """Vertices at one geodesic distance, longitudes continuous over 180 degrees."""
    azimuth = -360 / vertices * np.arange(vertices)
    start = np.full(vertices, longitude), np.full(vertices, latitude)
    lon, lat, _ = WGS84.fwd(*start, azimuth, np.full(vertices, radius))
    lon = longitude + (np.asarray(lon) - longitude + 180) % 360 - 180
    return gpd.GeoDataFrame(
        geometry=[shapely.Polygon(np.column_stack([lon, lat]))], crs=4326
    )


def placed(local_shape, longitude, latitude):
    """Draw a shape of a local metric frame in EPSG:4326, continuous over 180."""
    to_degrees = pyproj.Transformer.from_crs(
        local_frame(longitude, latitude), 4326, always_xy=True
    )

    def move(xy):
        lon, lat = to_degrees.transform(xy[:, 0], xy[:, 1])
        lon = longitude + (lon - longitude + 180) % 360 - 180
        return np.column_stack([lon, lat])

    geometry = [shapely.transform(local_shape, move)]
    return gpd.GeoDataFrame(geometry=geometry, crs=4326)


def in_all_crs(table, longitude, latitude):
    return {
        "EPSG:4326": table,
        "EPSG:3857": table.to_crs(3857),
        "UTM": table.to_crs(utm(longitude, latitude)),
    }


def rectangle(width, length, bearing):
    """A rectangle around (0, 0) whose long side points to `bearing`."""
    upright = shapely.box(-width / 2, -length / 2, width / 2, length / 2)
    return shapely.affinity.rotate(upright, -bearing, origin=(0, 0))


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
@pytest.mark.parametrize("radius", [0.5, 5.0, 200.0])
def test_a_disc_has_its_true_area_in_every_crs(longitude, latitude, radius):
    disc = geodesic_disc(longitude, latitude, radius)
    expected = 720 / 2 * radius**2 * math.sin(2 * math.pi / 720)
    by_geod = abs(WGS84.geometry_area_perimeter(disc.geometry[0])[0])

    for crs, table in in_all_crs(disc, longitude, latitude).items():
        row = measure(table).iloc[0]
        # 3 nm of rounding in projected coordinates are all that a small disc may show
        assert row.area_m2 == pytest.approx(expected, rel=1e-8), crs
        assert row.radius_m == pytest.approx(math.sqrt(expected / math.pi), rel=1e-8)
        assert abs(row.area_m2 - by_geod) <= max(1e-6 * expected, 5e-4), crs
        chord = 2 * radius * math.sin(math.pi / 720)
        assert row.perimeter_m == pytest.approx(720 * chord, rel=1e-8), crs
        assert row.width_m == pytest.approx(2 * radius, rel=2e-5), crs
        assert row.radius_method == "mask"


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
def test_a_disc_of_a_local_equal_area_frame_keeps_its_area(longitude, latitude):
    frame = local_frame(longitude, latitude, "laea")
    disc = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0).buffer(5, 64)], crs=frame)

    expected = disc.area[0]

    # PROJ's own laea is good to 1e-9 of a disc this small
    assert measure(disc).area_m2[0] == pytest.approx(expected, rel=1e-8)
    projected = disc.to_crs(utm(longitude, latitude))
    assert measure(projected).area_m2[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
def test_the_centre_is_where_the_disc_was_drawn(longitude, latitude):
    disc = geodesic_disc(longitude, latitude, 5.0)

    for crs, table in in_all_crs(disc, longitude, latitude).items():
        row = measure(table).iloc[0]
        _, _, error = WGS84.inv(longitude, latitude, row.center_lon, row.center_lat)
        assert error < 1e-6, crs
        assert -180 <= row.center_lon < 180
        x, y = pyproj.Transformer.from_crs(4326, table.crs, always_xy=True).transform(
            row.center_lon, row.center_lat
        )
        if crs != "EPSG:4326" or abs(longitude) < 179:
            assert (row.center_x, row.center_y) == pytest.approx((x, y), abs=1e-6)


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
@pytest.mark.parametrize("bearing", [0.0, 30.0, 89.0, 90.0, 135.0, 179.0])
def test_a_turned_rectangle_shows_sides_and_true_bearing(longitude, latitude, bearing):
    # 2.5 degrees off the central meridian: grid north is not true north there
    table = placed(rectangle(4.0, 9.0, bearing), longitude, latitude)

    for crs, drawn in in_all_crs(table, longitude, latitude).items():
        # A grid may make it upright: what is tested here is not the ellipse.
        row = measure(drawn.assign(radius_method="mask")).iloc[0]
        assert row.width_m == pytest.approx(4.0, rel=1e-7), crs
        assert row.length_m == pytest.approx(9.0, rel=1e-7), crs
        assert row.area_m2 == pytest.approx(36.0, rel=1e-7), crs
        turn = (row.orientation_deg - bearing + 90) % 180 - 90
        assert turn == pytest.approx(0.0, abs=1e-5), crs


def test_true_north_is_not_the_north_of_the_grid():
    zone = gpd.GeoDataFrame(
        geometry=[rectangle(4.0, 9.0, 0.0)], crs=local_frame(11.4, 45.0)
    ).to_crs(32631)  # two zones off: meridians lean by 6 degrees

    planar = shapely.oriented_envelope(zone.geometry[0])
    x, y = np.diff(shapely.get_coordinates(planar)[:3], axis=0).T
    longest = np.argmax(np.hypot(x, y))
    grid_bearing = math.degrees(math.atan2(x[longest], y[longest])) % 180

    assert abs((grid_bearing + 90) % 180 - 90) > 5
    turned = measure(zone).orientation_deg[0]
    assert (turned + 90) % 180 - 90 == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("latitude", [0.0, 2.0, 45.0, 60.0])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32633"])
def test_a_box_gives_the_ellipse_inside_it(latitude, crs):
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(
        15.0, latitude
    )
    metre = {"EPSG:4326": 1 / 111_000, "EPSG:3857": 1.0, "EPSG:32633": 1.0}[crs]
    box = shapely.box(x - 4 * metre, y - 3 * metre, x + 4 * metre, y + 3 * metre)
    table = gpd.GeoDataFrame(geometry=[box], crs=crs)
    # sides on the ground, by geodesics
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    lon, lat = to_degrees.transform(
        [x - 4 * metre, x + 4 * metre, x, x], [y, y, y - 3 * metre, y + 3 * metre]
    )
    _, _, (across, along) = WGS84.inv(lon[::2], lat[::2], lon[1::2], lat[1::2])

    row = measure(table).iloc[0]

    assert row.radius_method == "ellipse_of_box"
    assert row.radius_m == pytest.approx(math.sqrt(across * along) / 2, rel=1e-6)
    assert row.area_m2 == pytest.approx(math.pi / 4 * across * along, rel=1e-6)
    sides = sorted([across, along])
    assert [row.width_m, row.length_m] == pytest.approx(sides, rel=2e-6)
    angle = np.linspace(0, 2 * math.pi, 20001)
    ellipse = shapely.LineString(
        np.column_stack([across / 2 * np.cos(angle), along / 2 * np.sin(angle)])
    )
    assert row.perimeter_m == pytest.approx(ellipse.length, rel=1e-6)


def test_a_method_that_is_known_stays():
    box = shapely.box(4e5, 5e6, 4e5 + 10, 5e6 + 10)
    methods = ["model", "mask", None, "ellipse_of_box"]
    table = gpd.GeoDataFrame({"radius_method": methods}, geometry=[box] * 4, crs=32633)

    row = measure(table)

    assert list(row.radius_method) == ["model", "mask", *["ellipse_of_box"] * 2]
    assert row.area_m2[0] == row.area_m2[1]
    assert row.area_m2[2] / row.area_m2[1] == pytest.approx(math.pi / 4, rel=1e-12)


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
@pytest.mark.parametrize("radius", [0.5, 5.0, 200.0])
@pytest.mark.parametrize("segments", [8, 32])
def test_a_disc_of_a_model_has_the_measures_of_a_circle(
    longitude, latitude, radius, segments
):
    drawn = circle_polygons([0.0], [0.0], [radius], [radius], segments=segments)[0]
    disc = placed(drawn, longitude, latitude).assign(radius_method="model")

    for crs, table in in_all_crs(disc, longitude, latitude).items():
        row = measure(table).iloc[0]
        assert row.area_m2 == pytest.approx(math.pi * radius**2, rel=1e-6), crs
        assert row.radius_m == pytest.approx(radius, rel=1e-6), crs
        assert row.perimeter_m == pytest.approx(2 * math.pi * radius, rel=1e-6), crs
        assert row.width_m == pytest.approx(2 * radius, rel=1e-6), crs
        assert row.length_m == row.width_m
        assert math.isnan(row.orientation_deg)  # noise of the drawing, else


def test_only_the_discs_of_a_model_are_measured_as_circles():
    shape = rectangle(4.0, 9.0, 30.0)
    table = gpd.GeoDataFrame(
        {"radius_method": ["model", "mask", "model"]},
        geometry=[shapely.Point(0, 0).buffer(5), shape, shapely.Point(0, 0)],
        crs=local_frame(11.4, 45.0),
    )

    row = measure(table)

    assert row.orientation_deg[1] == pytest.approx(30.0, abs=1e-6)
    assert row.length_m[1] == pytest.approx(9.0, rel=1e-7)
    assert math.isnan(row.orientation_deg[0])
    assert row.loc[2, SIZES].isna().all()


def test_real_crowns_measure_the_same_from_every_crs(shared_data):
    crowns = gpd.read_parquet(
        shared_data / "neon_tree_crowns" / "OSBS_field_crown_polygons.parquet"
    )
    methods = measure(crowns)["radius_method"].to_numpy()
    crowns["radius_method"] = methods
    reference = measure(crowns)
    degrees = crowns.to_crs(4326)
    by_geod = [abs(WGS84.geometry_area_perimeter(g)[0]) for g in degrees.geometry]
    by_geod *= np.where(methods == "ellipse_of_box", math.pi / 4, 1)

    np.testing.assert_allclose(reference.area_m2, by_geod, rtol=1e-6, atol=5e-4)
    for table in (degrees, crowns.to_crs(3857)):
        other = measure(table)
        for name in SIZES:
            np.testing.assert_allclose(other[name], reference[name], rtol=1e-7)
    # What a GIS says in UTM is off by the scale of the grid, by 0.08 % at most.
    np.testing.assert_allclose(reference.area_m2, crowns.area, rtol=9e-4)


def test_a_large_polygon_is_measured_by_geodesics():
    table = gpd.GeoDataFrame(
        geometry=[
            shapely.Polygon([(10, 50), (11, 50.2), (10.8, 51), (10.1, 50.9)]),
            shapely.Point(10, 50)
            .buffer(1)
            .difference(shapely.Point(10, 50).buffer(0.3)),
        ],
        crs=4326,
    )
    areas = [
        abs(WGS84.geometry_area_perimeter(shapely.orient_polygons(g))[0])
        for g in table.geometry
    ]
    perimeters = [WGS84.geometry_length(g.boundary) for g in table.geometry]

    row = measure(table)

    np.testing.assert_allclose(row.area_m2, areas, rtol=1e-9)
    np.testing.assert_allclose(row.perimeter_m, perimeters, rtol=1e-9)  # of holes too


def test_a_large_hole_is_not_covered_whichever_way_it_runs():
    shell, hole = shapely.box(10, 50, 11, 51), shapely.box(10.2, 50.2, 10.6, 50.6)
    expected = [abs(WGS84.geometry_area_perimeter(part)[0]) for part in (shell, hole)]
    rings = shell.exterior.coords, hole.exterior.coords
    table = gpd.GeoDataFrame(
        geometry=[
            shapely.Polygon(rings[0][::one], [rings[1][::two]])
            for one in (1, -1)
            for two in (1, -1)
        ],
        crs=4326,
    )

    np.testing.assert_allclose(
        measure(table).area_m2, expected[0] - expected[1], rtol=1e-9
    )


@pytest.mark.parametrize("radius", [1500.0, 1900.0, 2000.0, 2500.0])
def test_frame_and_geodesics_agree_where_one_takes_over(radius):
    disc = geodesic_disc(11.4, 45.0, radius)

    row = measure(disc).iloc[0]

    area, perimeter = WGS84.geometry_area_perimeter(disc.geometry[0])
    assert row.area_m2 == pytest.approx(abs(area), rel=1e-7)
    assert row.perimeter_m == pytest.approx(perimeter, rel=1e-7)


def test_holes_and_parts_count_as_drawn():
    frame = local_frame(11.4, 45.0)
    square, hole = shapely.box(-5, -5, 5, 5), shapely.box(-1, -1, 1, 1)
    ring = square.difference(hole)
    pair = shapely.MultiPolygon([square, shapely.box(20, -5, 24, 5)])
    table = gpd.GeoDataFrame(geometry=[ring, pair], crs=frame).to_crs(4326)

    row = measure(table)

    assert list(row.area_m2) == pytest.approx([96.0, 140.0], rel=1e-7)
    assert list(row.perimeter_m) == pytest.approx([48.0, 68.0], rel=1e-7)
    assert list(row.length_m) == pytest.approx([10.0, 29.0], rel=1e-7)
    assert list(row.radius_method) == ["mask", "mask"]


def test_longitudes_past_180_degrees_are_told_as_usual():
    row = measure(geodesic_disc(180.5, 5.0, 5.0)).iloc[0]

    assert row.center_lon == pytest.approx(-179.5, abs=1e-9)
    assert row.center_x == pytest.approx(180.5, abs=1e-9)  # beside its geometry


def test_a_polygon_cut_at_the_antimeridian_is_one_object():
    whole = geodesic_disc(179.99998, 5.0, 5.0).geometry[0]
    east = shapely.intersection(whole, shapely.box(179, 0, 180, 10))
    west = shapely.intersection(whole, shapely.box(180, 0, 181, 10))
    west = shapely.transform(west, lambda xy: xy - [360.0, 0.0])
    table = gpd.GeoDataFrame(geometry=[shapely.MultiPolygon([east, west])], crs=4326)

    row = measure(table).iloc[0]
    expected = measure(gpd.GeoDataFrame(geometry=[whole], crs=4326)).iloc[0]

    for name in [*SIZES, "center_lat", "center_lon"]:
        assert row[name] == pytest.approx(expected[name], rel=1e-6), name


def test_a_bow_tie_is_its_two_lobes():
    bow = shapely.Polygon([(-3, -3), (3, 3), (3, -3), (-3, 3)])
    table = placed(bow, 11.4, 45.0)

    row = measure(table).iloc[0]

    assert not table.geometry[0].is_valid
    assert row.area_m2 == pytest.approx(18.0, rel=1e-7)


def test_heights_are_ignored():
    flat = geodesic_disc(11.4, 45.0, 5.0)
    high = flat.set_geometry(flat.geometry.force_3d(812.0))

    pd.testing.assert_frame_equal(
        measure(high)[list(MEASURES)], measure(flat)[list(MEASURES)]
    )


def test_nothing_gives_nan_and_the_row_stays():
    geometry = [None, shapely.Polygon(), shapely.box(10, 50, 10.0001, 50.0001)]
    table = gpd.GeoDataFrame({"name": list("abc")}, geometry=geometry, crs=4326)

    row = measure(table)

    numbers = row[[name for name in MEASURES if name != "radius_method"]]
    assert numbers[:2].isna().all(axis=None)
    assert numbers[2:].notna().all(axis=None)
    assert list(row.name) == list("abc")
    assert list(row.radius_method.isna()) == [True, True, False]


def test_a_point_has_a_place_and_no_size():
    table = gpd.GeoDataFrame(geometry=[shapely.Point(10, 50)], crs=4326)

    row = measure(table).iloc[0]

    assert (row.center_lon, row.center_lat) == pytest.approx((10, 50), abs=1e-12)
    assert row[SIZES].isna().all()
    assert row.radius_method is None


@pytest.mark.parametrize("crs", [4326, 3857, 32633])
def test_an_empty_table_has_the_same_columns(crs):
    empty = gpd.GeoDataFrame({"score": []}, geometry=[], crs=crs)
    full = gpd.GeoDataFrame(
        {"score": [0.5]}, geometry=[shapely.box(15, 50, 15.1, 50.1)], crs=4326
    ).to_crs(crs)

    row = measure(empty)

    assert len(row) == 0
    assert list(row.columns) == list(measure(full).columns)
    assert list(row.dtypes) == list(measure(full).dtypes)
    assert len(circles(empty)) == 0


def test_a_missing_crs_is_named():
    table = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)])

    with pytest.raises(GridError, match="no CRS"):
        measure(table)
    with pytest.raises(GridError, match="no CRS"):
        circles(dgpd.from_geopandas(table, npartitions=1))


@pytest.mark.parametrize("function", [measure, circles])
@pytest.mark.parametrize("case", ["csv", "csv with crs", "frame", "renamed", "dask"])
def test_a_missing_geometry_column_is_named(function, case):
    rows = pd.DataFrame({"name": ["a"], "geometry": ["POINT (1 2)"]})
    placed_rows = gpd.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs=4326)
    renamed = placed_rows.rename(columns={"geometry": "place"})
    table = {
        "csv": rows,
        "csv with crs": rows.assign(crs="EPSG:4326"),
        "frame": gpd.GeoDataFrame({"name": ["a"]}),
        "renamed": renamed,
        "dask": dgpd.from_geopandas(renamed, npartitions=1),
    }[case]

    with pytest.raises(GridError, match=r"DataFrame .*\['.*no geometry column"):
        function(table)


def test_a_crs_without_a_place_is_named():
    table = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)])
    table = table.set_crs(
        'ENGCRS["site",EDATUM["hut"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
        'LENGTHUNIT["metre",1]]'
    )

    with pytest.raises(GridError, match=r"'site'.*no place on the Earth"):
        measure(table)


def test_metres_that_claim_to_be_degrees_are_named():
    table = gpd.GeoDataFrame(
        geometry=[shapely.box(4e5, 5e6, 4e5 + 9, 5e6 + 9)], crs=4326
    )

    with pytest.raises(GridError, match=r"is no place in .*5 of 5 vertices"):
        measure(table)


def test_a_geographic_crs_in_grads_and_one_from_paris_measure_alike():
    paris = pyproj.CRS("EPSG:4807")  # NTF (Paris), grads, Clarke 1880
    disc = gpd.GeoDataFrame(
        geometry=[shapely.Point(0, 0).buffer(5, 64)],
        crs=pyproj.CRS.from_proj4("+proj=laea +lat_0=46 +lon_0=3 +ellps=clrk80ign"),
    )
    to_paris = pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +inv +proj=laea +lat_0=46 +lon_0=3 +ellps=clrk80ign "
        "+step +proj=longlat +ellps=clrk80ign +pm=paris "
        "+step +proj=unitconvert +xy_in=rad +xy_out=grad"
    )
    geometry = shapely.transform(
        disc.geometry.to_numpy(),
        lambda xy: np.column_stack(to_paris.transform(xy[:, 0], xy[:, 1])),
    )
    table = gpd.GeoDataFrame(geometry=geometry, crs=paris)

    assert measure(table).area_m2[0] == pytest.approx(disc.area[0], rel=1e-9)


def random_crowns(count=200, seed=3):
    rng = np.random.default_rng(seed)
    points = shapely.points(rng.uniform(4e5, 4.01e5, count), rng.uniform(0, 1e3, count))
    crowns = shapely.buffer(points, rng.uniform(1, 6, count), quad_segs=6)
    crowns[5] = None
    crowns[7] = shapely.box(*shapely.bounds(crowns[7]))
    return gpd.GeoDataFrame(
        {"object_id": [f"{i:04x}" for i in range(count)]}, geometry=crowns, crs=32633
    )


@pytest.mark.parametrize("function", [measure, circles])
@pytest.mark.parametrize("npartitions", [1, 3, 17])
def test_any_partitioning_gives_the_same_table(function, npartitions):
    crowns = random_crowns()

    lazy = function(dgpd.from_geopandas(crowns, npartitions=npartitions, sort=False))

    assert isinstance(lazy, dgpd.GeoDataFrame)
    assert lazy.crs == crowns.crs
    expected = function(crowns)
    assert list(lazy.columns) == list(expected.columns)
    computed = lazy.compute(scheduler="synchronous")
    computed["radius_method"] = computed["radius_method"].astype(object)
    computed["object_id"] = computed["object_id"].astype(object)
    pd.testing.assert_frame_equal(
        pd.DataFrame(computed.drop(columns="geometry")),
        pd.DataFrame(expected.drop(columns="geometry")),
    )
    assert computed.geometry.to_wkb().equals(expected.geometry.to_wkb())


@pytest.mark.usefixtures("no_compute")
@pytest.mark.parametrize("function", [measure, circles])
def test_a_dask_table_stays_lazy(function):
    table = dgpd.from_geopandas(random_crowns(), npartitions=3)

    assert function(table).npartitions == 3


def test_measuring_leaves_the_input_alone():
    crowns = random_crowns()
    before = crowns.copy(deep=True)

    measured = measure(crowns)

    assert_geodataframe_equal(crowns, before)
    assert measured.geometry.equals(crowns.geometry)


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
@pytest.mark.parametrize("segments", [8, 64])
def test_a_circle_has_the_area_and_centre_of_its_object(longitude, latitude, segments):
    shape = placed(rectangle(4.0, 9.0, 30.0), longitude, latitude)

    for crs, table in in_all_crs(shape, longitude, latitude).items():
        measured = measure(table)
        drawn = circles(measured, segments=segments)
        again = measure(drawn).iloc[0]
        assert len(drawn.geometry[0].exterior.coords) == segments + 1
        assert again.area_m2 == pytest.approx(36.0, rel=1e-7), crs
        _, _, error = WGS84.inv(longitude, latitude, again.center_lon, again.center_lat)
        assert error < 1e-6, crs
        assert drawn.crs == table.crs
        west, _, east, _ = drawn.total_bounds
        assert east - west < 100  # m, or degrees: not once around the Earth
        if crs == "EPSG:4326":
            assert east - west < 0.001


def test_circles_measures_what_was_not_measured():
    crowns = random_crowns()

    drawn = circles(crowns)

    assert drawn.geometry.isna().tolist() == crowns.geometry.isna().tolist()
    np.testing.assert_allclose(
        measure(drawn).area_m2, measure(crowns).area_m2, rtol=1e-7
    )


@pytest.mark.parametrize("crs", [3413, 3035, 3395, 32601, 2263])
def test_a_circle_is_round_on_any_map(crs):
    place = {3413: (-120.3, 81.0), 3035: (11.4, 62.0), 2263: (-74.0, 40.7)}
    longitude, latitude = place.get(crs, (-179.99999, 64.0))
    table = geodesic_disc(longitude, latitude, 5.0).to_crs(crs)

    drawn = circles(table)

    assert measure(drawn).area_m2[0] == pytest.approx(
        measure(table).area_m2[0], rel=1e-7
    )
    west, _, east, _ = drawn.total_bounds
    assert 5 < east - west < 100
