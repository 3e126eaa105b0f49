"""What people's files hold beside plain polygons: each is named, and none is lost."""

import math

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from outline_shapes import WGS84

from areca.errors import GridError, InputError
from areca.measures import MeasureOptions, bounding_geometry, circles, measure, placing
from areca.measures.files import read_objects
from areca_pipelines.cli import main
from areca_pipelines.measuring import measure_file

LONGITUDE, LATITUDE = 103.3, 2.1
ALL = MeasureOptions(bounding=True, notes=True, radius_method="mask", pixel_m=0.1)
NOTES = MeasureOptions(notes=True)
BOX = shapely.box(0, 0, 4, 4)
FLAT = shapely.Polygon([(0, 0), (10, 0), (4, 0)])
NAN = math.nan

# In metres: what it is, its area, its outline, and what is said of it.
ODD = {
    "plain": (shapely.box(0, 0, 6, 4), 24.0, 20.0, None),
    "parts apart": (
        shapely.MultiPolygon([shapely.box(0, 0, 3, 4), shapely.box(6, 0, 9, 4)]),
        24.0, 28.0, None,
    ),
    "parts overlap": (
        shapely.MultiPolygon([BOX, shapely.box(2, 0, 6, 4)]), 24.0, 20.0, "repaired",
    ),
    "parts twice": (shapely.MultiPolygon([BOX, BOX]), 16.0, 16.0, "repaired"),
    "parts side by side": (
        shapely.MultiPolygon([BOX, shapely.box(4, 0, 6, 4)]), 24.0, 20.0, "repaired",
    ),
    "bow-tie": (
        shapely.Polygon([(0, 0), (6, 6), (6, 0), (0, 6)]),
        18.0, 12 + 12 * math.sqrt(2), "repaired",
    ),
    "spike": (
        shapely.Polygon(
            [(0, 0), (10, 0), (10, 10), (5, 10), (5, 20), (5, 10), (0, 10)]
        ),
        100.0, 40.0, "repaired",
    ),
    "hole touches the shell": (
        shapely.Polygon(
            [(0, 0), (10, 0), (10, 10), (0, 10), (0, 5)], [[(0, 5), (3, 3), (3, 7)]]
        ),
        94.0, 44 + 2 * math.sqrt(13), None,
    ),
    "holes touch": (
        shapely.Polygon(
            [(0, 0), (10, 0), (10, 10), (0, 10)],
            [[(2, 2), (5, 5), (2, 8)], [(5, 5), (8, 2), (8, 8)]],
        ),
        82.0, 52 + 12 * math.sqrt(2), None,
    ),
    "holes overlap": (
        shapely.Polygon(
            [(0, 0), (10, 0), (10, 10), (0, 10)],
            [[(2, 2), (5, 2), (5, 5), (2, 5)], [(4, 2), (7, 2), (7, 5), (4, 5)]],
        ),
        85.0, 56.0, "repaired",
    ),
    "collinear": (FLAT, 0.0, 20.0, "no area"),
    "one place": (shapely.Polygon([(3, 3)] * 4), 0.0, 0.0, "no area"),
    "there and back": (
        shapely.Polygon([(0, 0), (4, 3), (8, 6), (4, 3)]), 0.0, 20.0, "no area",
    ),
    "a nanometre wide": (
        shapely.Polygon([(0, 0), (10, 0), (5, 1e-9)]), 0.0, 20.0, "no area",
    ),
    "point": (shapely.Point(3, 3), NAN, NAN, "no area"),
    "line": (shapely.LineString([(0, 0), (3, 4)]), NAN, NAN, "no area"),
    "collection": (
        shapely.GeometryCollection([BOX, shapely.LineString([(4, 4), (9, 9)])]),
        16.0, 16.0, "polygons of a collection",
    ),
    "heights": (shapely.force_3d(BOX, 812.0), 16.0, 16.0, "heights ignored"),
    "heights on a bow-tie": (
        shapely.force_3d(shapely.Polygon([(0, 0), (6, 6), (6, 0), (0, 6)]), 812.0),
        18.0, 12 + 12 * math.sqrt(2), "heights ignored; repaired",
    ),
    "empty": (shapely.Polygon(), NAN, NAN, "no geometry"),
    "empty part": (shapely.multipolygons([shapely.Polygon(), BOX]), 16.0, 16.0, None),
    "null": (None, NAN, NAN, "no geometry"),
}  # fmt: skip


def local_frame(name, latitude=LATITUDE):
    return pyproj.CRS.from_proj4(
        f"+proj={name} +lat_0={latitude} +lon_0={LONGITUDE} +datum=WGS84"
    )


def odd_table(crs=4326, *, latitude=LATITUDE):
    """All of them, 20 m from the origin of a frame that is true there."""
    names = list(ODD)
    table = gpd.GeoDataFrame(
        {"name": names}, geometry=[ODD[name][0] for name in names],
        crs=local_frame("aeqd", latitude),
    )  # fmt: skip
    moved = shapely.transform(
        table.geometry.to_numpy(), lambda xyz: xyz + 20, include_z=False
    )
    high = shapely.has_z(table.geometry.to_numpy())
    moved[high] = shapely.force_3d(moved[high], 812.0)
    return table.set_geometry(gpd.GeoSeries(moved, crs=table.crs)).to_crs(crs)


def utm(latitude):
    return 32648 if latitude >= 0 else 32748


def plain(table):
    """Values alone, in order of names, as plain objects."""
    values = pd.DataFrame(table.drop(columns="geometry")).sort_values("name")
    words = values.select_dtypes(exclude="number").columns
    values[words] = values[words].astype(object).where(values[words].notna(), None)
    return values.reset_index(drop=True)


@pytest.mark.parametrize("crs", [4326, 3857, 3395, "UTM", "laea", "aeqd"])
@pytest.mark.parametrize("latitude", [LATITUDE, -63.0, 79.0])
def test_each_odd_shape_is_measured_and_named_alike_in_any_crs(crs, latitude):
    if crs == "UTM":
        crs = utm(latitude)
    elif isinstance(crs, str):
        crs = local_frame(crs, latitude)

    row = measure(odd_table(crs, latitude=latitude), options=ALL).set_index("name")

    assert row.index.tolist() == list(ODD)
    for name, (_, area, outline, note) in ODD.items():
        found = row.loc[name]
        assert found.area_m2 == pytest.approx(area, rel=1e-7, nan_ok=True), name
        assert found.perimeter_m == pytest.approx(outline, rel=1e-7, nan_ok=True), name
        assert found.measure_note == note, name
        placed = note != "no geometry"
        assert math.isfinite(found.center_lon) == placed, name
        assert math.isfinite(found.width_m) == (area > 0), name
        assert math.isfinite(found.inscribed_radius_m) == (area > 0), name
        assert math.isfinite(found.area_sigma_m2) == (not math.isnan(area)), name
    zero = row[row.area_m2 == 0]
    assert len(zero) == sum(area == 0 for _, area, _, _ in ODD.values())
    assert (zero.radius_m == 0).all()


def test_without_a_repair_shapes_that_cross_themselves_would_be_wrong(monkeypatch):
    monkeypatch.setattr(placing, "repaired", lambda g: (g, ~shapely.is_valid(g)))

    row = measure(odd_table(), options=ALL).set_index("name")

    assert row.area_m2["parts overlap"] == pytest.approx(32.0, rel=1e-6)
    assert row.area_m2["bow-tie"] < 1e-6


def test_a_vertex_at_the_origin_of_laea_is_in_line_with_its_neighbours():
    # PROJ before 9.7 moves all of laea by up to 1.3 mm, but not its origin.
    overlap, apart, flat = ODD["parts overlap"], ODD["parts apart"], ODD["collinear"]
    for latitude in (2.0, 30.0, -45.0, 60.0):
        table = gpd.GeoDataFrame(
            {"radius_method": ["mask"] * 3}, geometry=[overlap[0], apart[0], flat[0]],
            crs=local_frame("laea", latitude),
        )  # fmt: skip

        area = measure(table).area_m2

        assert area[:2].tolist() == pytest.approx([24.0, 24.0], rel=1e-8), latitude
        assert area[2] == 0
        # What PROJ has moved from there is measured as it is: the same in a frame that
        # is exact at its origin. (Geod is too coarse to tell.)
        moved = table.to_crs(4326)
        there = moved.to_crs(local_frame("aeqd", latitude)).geometry
        expected = there.make_valid(method="structure").area
        for crs in (4326, utm(latitude), 3857):
            found = measure(moved.to_crs(crs)).area_m2
            np.testing.assert_allclose(found, expected, rtol=3e-9, atol=3e-8)


@pytest.mark.parametrize("npartitions", [1, 4, 22])
def test_lazy_tables_say_the_same_of_odd_shapes(npartitions):
    table = odd_table()

    lazy = measure(
        dgpd.from_geopandas(table, npartitions=npartitions, sort=False), options=ALL
    )

    found = lazy.compute(scheduler="synchronous")
    assert found.name.tolist() == list(ODD)
    pd.testing.assert_frame_equal(plain(found), plain(measure(table, options=ALL)))


@pytest.mark.parametrize("suffix", ["parquet", "gpkg", "geojson"])
def test_a_file_of_odd_shapes_is_measured_whole(suffix, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("areca_pipelines.measuring.ROWS", 5)  # several parts
    table = odd_table()
    source, target = tmp_path / f"odd.{suffix}", tmp_path / "out.parquet"
    (table.to_parquet if suffix == "parquet" else table.to_file)(source)

    with pytest.raises(SystemExit) as ended:
        main(["measure", str(source), "--bounding", "--radius-method", "mask",
              "--pixel", "0.1", "--out", str(target)])  # fmt: skip

    said = capsys.readouterr().out
    assert ended.value.code == 0
    found = read_objects(target)
    assert sorted(found.name) == sorted(ODD)
    expected = measure(gpd.read_file(source) if suffix != "parquet" else table,
                       options=ALL)  # fmt: skip
    pd.testing.assert_frame_equal(plain(found), plain(expected), rtol=1e-12)
    counts = expected.measure_note.dropna().str.split("; ").explode().value_counts()
    assert counts["repaired"] == 7
    for note, count in counts.items():
        assert f"{note}  {count}\n" in said
    assert f"{len(ODD)} objects" in said


@pytest.mark.parametrize("suffix", ["parquet", "gpkg"])
def test_an_empty_file_gives_an_empty_table_with_all_columns(suffix, tmp_path):
    full = odd_table()
    empty = full.iloc[:0]
    source = tmp_path / f"empty.{suffix}"
    (empty.to_parquet if suffix == "parquet" else empty.to_file)(source)

    done = measure_file(source, tmp_path / "out.parquet", options=ALL)

    found = read_objects(tmp_path / "out.parquet")
    assert len(found) == done.summary.count == 0
    assert done.notes == {}
    assert set(found.columns) == set(measure(full, options=ALL).columns)
    assert found.crs == full.crs
    lazy = measure(dgpd.from_geopandas(empty, npartitions=1), options=ALL)
    assert len(lazy.compute(scheduler="synchronous")) == 0
    assert list(lazy.columns) == list(measure(empty, options=ALL).columns)


@pytest.mark.parametrize("suffix", ["parquet", "gpkg"])
def test_a_file_with_no_crs_is_named_and_nothing_is_written(suffix, tmp_path, capsys):
    table = odd_table().set_crs(None, allow_override=True)
    source = tmp_path / f"odd.{suffix}"
    if suffix == "parquet":
        table.to_parquet(source)
    else:
        with pytest.warns(UserWarning, match="crs"):
            table.to_file(source)

    with pytest.raises(SystemExit) as ended:
        main(["measure", str(source), "--out", str(tmp_path / "out.parquet")])

    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"{source} has no CRS" in error
    assert "ogr2ogr -a_srs" in error
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    with pytest.raises(GridError, match="no CRS"):
        measure(dgpd.from_geopandas(table, npartitions=2))


def broken(*x):
    """A triangle, the corners of which may be nowhere."""
    with np.errstate(invalid="ignore"):
        return shapely.Polygon([(x[0], 0), (x[1], 0), (x[2], 1), (x[0], 0)])


NOWHERE = {
    "nan": (broken(0, 1, math.nan), 4326),
    "infinite": (broken(0, 1, math.inf), 3857),
    "both ends infinite": (broken(-math.inf, 1, math.inf), 3857),
    "point": (shapely.Point(math.inf, 1), 4326),
    "metres as degrees": (shapely.box(4e5, 5e6, 4e5 + 9, 5e6 + 9), 4326),
    "beyond the pole": (shapely.box(10, 89.9999, 10.0001, 90.1), 4326),
    "far outside the zone": (shapely.box(3e7, 0, 3e7 + 10, 10), 32648),
}  # fmt: skip


@pytest.mark.parametrize("name", NOWHERE)
def test_coordinates_that_are_no_place_are_named(name, tmp_path, capsys):
    shape, crs = NOWHERE[name]
    table = gpd.GeoDataFrame(geometry=[shapely.Point(5, 5), shape], crs=crs)

    with pytest.raises(GridError, match=r"is no place in .* of .* vertices"):
        measure(table)
    lazy = measure(dgpd.from_geopandas(table, npartitions=2))
    with pytest.raises(GridError, match="is no place in"):
        lazy.compute(scheduler="synchronous")
    table.to_parquet(tmp_path / "in.parquet")
    with pytest.raises(SystemExit) as ended:
        main(["measure", str(tmp_path / "in.parquet"),
              "--out", str(tmp_path / "out.parquet")])  # fmt: skip
    assert ended.value.code == 2
    assert "is no place in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.parametrize("name", NOWHERE)
def test_the_first_row_that_is_nowhere_is_named(name):
    shape, crs = NOWHERE[name]
    good = shapely.box(5, 5, 5.00001, 5.00001)
    table = gpd.GeoDataFrame(geometry=[good, None, good, shape, shape], crs=crs)
    table.index = list("abcde")

    with pytest.raises(GridError, match="in row d is no place"):
        measure(table)
    with pytest.raises(GridError, match="in row d is no place"):
        bounding_geometry(table)


def test_a_row_of_a_file_that_is_nowhere_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("areca_pipelines.measuring.ROWS", 100)
    shapes = [shapely.box(5, 5, 6, 6)] * 1000
    shapes[777] = broken(0, 1, math.inf)
    gpd.GeoDataFrame(geometry=shapes, crs=3857).to_parquet(tmp_path / "in.parquet")

    with pytest.raises(SystemExit):
        main(["measure", str(tmp_path / "in.parquet"),
              "--out", str(tmp_path / "out.parquet")])  # fmt: skip

    line = capsys.readouterr().err
    assert "in row 777 is no place" in line
    assert "Take out rows whose coordinates are NaN or infinite" in line


def test_what_lies_outside_the_area_of_use_has_its_true_size():
    # 23 degrees from the central meridian, and a latitude that 3857 is not made for.
    for crs, latitude in ((32648, LATITUDE), (3857, 88.5), (4326, 88.5)):
        for x in (LONGITUDE, LONGITUDE + 25):
            frame = pyproj.CRS.from_proj4(
                f"+proj=aeqd +lat_0={latitude} +lon_0={x} +datum=WGS84"
            )
            crown = gpd.GeoDataFrame(
                geometry=[shapely.Point(1, 2).buffer(5)], crs=frame
            )
            row = measure(crown.to_crs(crs), options=NOTES).iloc[0]
            assert row.area_m2 == pytest.approx(crown.area[0], rel=1e-7), (crs, x)
            assert row.measure_note is None or row.measure_note == "large"


def around_pole(distance, radius, sign, vertices=90):
    """A ring of geodesics around a place at some distance from a pole, in degrees."""
    ends = WGS84.fwd(30.0, sign * 90.0, 180.0 if sign > 0 else 0.0, distance)
    azimuth = -360 / vertices * np.arange(vertices)
    lon, lat, _ = WGS84.fwd(
        np.full(vertices, ends[0]), np.full(vertices, ends[1]), azimuth,
        np.full(vertices, radius),
    )  # fmt: skip
    return shapely.Polygon(np.column_stack([lon, lat]))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("radius", [0.5, 5.0, 300.0])
@pytest.mark.parametrize("distance", [0.0, 0.3, 4.0, 8.0, 100.0, 5e3, 2e4, 3e5])
def test_a_crown_at_a_pole_is_whole(distance, radius, sign):
    disc = gpd.GeoDataFrame(
        {"radius_method": ["mask"]}, geometry=[around_pole(distance, radius, sign)],
        crs=4326,
    )  # fmt: skip
    side = 2 * radius * math.sin(math.pi / 90)
    area = 90 / 2 * radius**2 * math.sin(2 * math.pi / 90)

    for crs in (4326, 3413 if sign > 0 else 3031):
        row = measure(disc.to_crs(crs), options=ALL).iloc[0]
        # Rounding: 1e-9 m in coordinates; beyond 2 km the areas are those of Geod.
        assert row.area_m2 == pytest.approx(area, rel=1e-7, abs=5e-4), crs
        assert row.perimeter_m == pytest.approx(90 * side, rel=1e-6), crs
        assert row.length_m == pytest.approx(2 * radius, rel=7e-4), crs
        assert row.bounding_radius_m == pytest.approx(radius, rel=2e-5), crs
        assert row.inscribed_radius_m == pytest.approx(radius, rel=0.011), crs
        _, lat, _ = WGS84.fwd(30.0, sign * 90.0, 0.0, distance)
        _, _, error = WGS84.inv(30.0, sign * abs(lat), row.center_lon, row.center_lat)
        assert error < max(1e-6, 1e-5 * radius), crs
        assert "repaired" not in str(row.measure_note)


def test_a_centre_at_a_pole_stays_on_the_turn_of_its_geometry():
    disc = around_pole(8.0, 5.0, 1)
    turns = [shapely.affinity.translate(disc, 360 * turn) for turn in (0, 1, -1)]

    row = measure(gpd.GeoDataFrame(geometry=turns, crs=4326))

    np.testing.assert_allclose(row.center_x, [30, 390, -330], atol=1e-4)
    np.testing.assert_allclose(row.center_lon, 30, atol=1e-4)
    np.testing.assert_allclose(row.area_m2, row.area_m2[0], rtol=1e-6)


@pytest.mark.parametrize("distance", [0.0, 3.0, 8.0, 4e3, 3e5])
def test_what_is_drawn_around_a_crown_at_a_pole_has_its_size(distance):
    disc = gpd.GeoDataFrame(geometry=[around_pole(distance, 5.0, 1)], crs=4326)

    for crs in (4326, 3413):
        circle = bounding_geometry(disc.to_crs(crs), kind="CIRCLE")
        box = bounding_geometry(disc.to_crs(crs))
        assert circle.MBG_Diameter[0] == pytest.approx(10, rel=2e-5), crs
        assert box.MBG_Length[0] == pytest.approx(10, rel=7e-4), crs
        if crs == 4326 and distance < 5:
            continue  # in degrees a square around the pole is a line
        area = measure(box.assign(radius_method="mask")).area_m2[0]
        assert area == pytest.approx(box.MBG_Length[0] * box.MBG_Width[0], rel=2e-5)


def test_a_polar_cap_is_measured_by_geodesics():
    cap = around_pole(0.0, 1e6, 1)
    lon, lat = shapely.get_coordinates(cap).T
    area, perimeter = WGS84.polygon_area_perimeter(lon[:-1], lat[:-1])
    table = gpd.GeoDataFrame(geometry=[cap], crs=4326)

    for crs in (4326, 3413):
        row = measure(table.to_crs(crs), options=NOTES).iloc[0]
        assert row.area_m2 == pytest.approx(abs(area), rel=1e-9), crs
        assert row.perimeter_m == pytest.approx(perimeter, rel=1e-9), crs
        assert row.center_lat == pytest.approx(90.0, abs=1e-9), crs
        assert math.isnan(row.width_m)
        assert "large" in row.measure_note


def test_an_edge_is_taken_the_short_way_and_that_is_said():
    east, west = 179.99999, -179.99999
    ring = [(east, 5), (west, 5), (west, 5.00002), (east, 5.00002)]
    halves = [shapely.box(east, 5, 180, 5.00002), shapely.box(-180, 5, west, 5.00002)]
    past = shapely.box(east, 5, 180.00001, 5.00002)
    band = shapely.box(-180, 60, 180, 70)
    table = gpd.GeoDataFrame(
        geometry=[shapely.Polygon(ring), shapely.MultiPolygon(halves), past, band],
        crs=4326,
    )

    row = measure(table, options=MeasureOptions(notes=True, radius_method="mask"))

    lon, lat = shapely.get_coordinates(past).T
    area, perimeter = WGS84.polygon_area_perimeter(lon[:-1], lat[:-1])
    assert row.area_m2[0] == pytest.approx(abs(area), abs=5e-4)
    assert row.area_m2[1] == pytest.approx(abs(area), abs=5e-4)
    assert row.perimeter_m[0] == pytest.approx(perimeter, rel=1e-6)
    assert row.area_m2[0] == pytest.approx(row.area_m2[2], rel=1e-6)
    assert row.measure_note.tolist()[:3] == [
        "across 180 degrees", "repaired; across 180 degrees", None,
    ]  # fmt: skip
    # The edge along 60 degrees goes from a place to itself: nothing is covered.
    assert row.area_m2[3] == 0
    assert row.measure_note[3] == "no area; large; across 180 degrees"


@pytest.mark.parametrize("degrees", [0.05, 1.0, 20.0, 80.0])
def test_a_huge_polygon_has_area_and_perimeter_by_geodesics(degrees):
    huge = shapely.box(10, -degrees / 2, 10 + degrees, degrees / 2)
    turned = shapely.affinity.rotate(huge, 17)
    table = gpd.GeoDataFrame(geometry=[huge, turned], crs=4326)
    area, perimeter = WGS84.geometry_area_perimeter(turned)
    box_area, _ = WGS84.geometry_area_perimeter(huge)

    row = measure(table, options=NOTES)

    assert row.area_m2[1] == pytest.approx(abs(area), rel=1e-9)
    assert row.perimeter_m[1] == pytest.approx(perimeter, rel=1e-9)
    # A box is taken for the ellipse inside it, as small ones are.
    assert row.area_m2[0] == pytest.approx(math.pi / 4 * abs(box_area), rel=1e-3)
    assert (row.measure_note.str.startswith("large")).all()
    assert row.width_m.isna().tolist() == [degrees > 10] * 2


def test_the_other_functions_keep_odd_rows_too():
    table = odd_table().assign(radius_method="mask")

    drawn, around = circles(measure(table)), bounding_geometry(table)

    no_radius = [math.isnan(area) for _, area, _, _ in ODD.values()]
    assert drawn.geometry.isna().tolist() == no_radius
    gone = [note == "no geometry" for *_, note in ODD.values()]
    assert around.geometry.isna().tolist() == gone
    assert drawn.name.tolist() == around.name.tolist() == list(ODD)


def test_a_repair_that_leaves_nothing_is_no_repair():
    mended, changed = placing.repaired(
        np.array([FLAT, ODD["bow-tie"][0], BOX], dtype=object)
    )

    assert changed.tolist() == [False, True, False]
    assert mended[0].equals_exact(FLAT)


def test_a_word_in_a_vector_file_is_named(tmp_path):
    (tmp_path / "in.geojson").write_text("{")

    with pytest.raises(InputError, match=r"in\.geojson cannot be read"):
        measure_file(tmp_path / "in.geojson", tmp_path / "out.parquet")
