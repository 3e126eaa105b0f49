import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from plantations import draw_plantation, on_the_ground

import areca
from areca.errors import GridError, InputError
from areca.measures import CountCalibration, SummaryOptions, measure, tally
from areca.measures.tally import Tally
from areca.measures.zones import ground_area_m2

ORIGIN = np.array([4e5, 2e5])
OPTIONS = SummaryOptions(
    calibration=CountCalibration(n_found=90, n_confirmed=80, n_true=88, n_matched=80),
    radius_edges_m=(2.0, 4.0),
)


def crowns(count=900, seed=3):
    """Discs all over a square kilometre of UTM 48 N."""
    rng = np.random.default_rng(seed)
    points = shapely.points(ORIGIN + rng.uniform(0, 1000, (count, 2)))
    geometry = shapely.buffer(points, rng.uniform(0.5, 6, count), quad_segs=8)
    return measure(gpd.GeoDataFrame(geometry=geometry, crs=32648))


def squares(rows=3, columns=3, size=250.0, gap=0.0, crs=32648):
    """Zones side by side, named by column and row."""
    boxes = [
        shapely.box(
            *(ORIGIN + [c * size + gap, r * size + gap]),
            *(ORIGIN + [(c + 1) * size, (r + 1) * size]),
        )
        for r in range(rows)
        for c in range(columns)
    ]
    names = [f"{c}{r}" for r in range(rows) for c in range(columns)]
    return gpd.GeoDataFrame({"name": names}, geometry=boxes, crs=32648).to_crs(crs)


def bits(table):
    """A table as bytes, geometry aside."""
    return pd.DataFrame(table.drop(columns="geometry")).to_csv(float_format="%.17g")


def split(table, parts):
    return dgpd.from_geopandas(table.reset_index(drop=True), npartitions=parts)


def test_the_figures_are_those_of_numpy_and_shapely():
    table, areas = crowns(), squares()

    found = areca.summarize(table, areas, options=OPTIONS).set_index("zone")

    centre = shapely.points(table[["center_x", "center_y"]].to_numpy())
    for name, shape in zip(areas["name"], areas.geometry, strict=True):
        inside = table[shapely.within(centre, shape)]
        row = found.loc[name]
        assert row["count"] == len(inside) > 30
        assert row["area_m2"] == pytest.approx(inside["area_m2"].sum(), abs=1e-4)
        assert row["radius_mean_m"] == pytest.approx(
            inside["radius_m"].mean(), abs=1e-6
        )
        for column, share in (
            ("p10", 10),
            ("p25", 25),
            ("median", 50),
            ("p75", 75),
            ("p90", 90),
        ):
            assert row[f"radius_{column}_m"] == pytest.approx(
                np.percentile(inside["radius_m"], share), abs=5e-4
            )
        small, middle, large = np.histogram(inside["radius_m"].round(3), [0, 2, 4, 99])[
            0
        ]
        assert row["radius_under_2_m"] == small
        assert row["radius_2_to_4_m"] == middle
        assert row["radius_from_4_m"] == large
        assert row["zone_area_ha"] == pytest.approx(6.25, rel=1e-3)
        assert row["density_per_ha"] == row["count"] / row["zone_area_ha"]
        low, high = OPTIONS.calibration.interval(np.array([len(inside)]))
        assert (row["count_low"], row["count_high"]) == (low[0], high[0])
    outside = found.loc["outside all zones"]
    assert found["count"].sum() == len(table)
    assert outside["count"] > 300
    assert np.isnan(outside["density_per_ha"])


@pytest.mark.parametrize("parts", [1, 2, 7, 30])
def test_any_partitioning_gives_the_same_bits(parts):
    table, areas = crowns(), squares(gap=-40.0)
    shuffled = table.sample(frac=1, random_state=parts)

    found = areca.summarize(split(shuffled, parts), areas, options=OPTIONS)

    assert bits(found.compute(scheduler="sync")) == bits(
        areca.summarize(table, areas, options=OPTIONS)
    )


def lost(parts):
    """What a join that forgets one part would give."""
    return Tally(sums=parts[0].sums, radii=parts[0].radii)


@pytest.mark.parametrize("mutation", ["sums in floats", "a part is lost"])
def test_a_mutation_of_the_sums_is_noticed(monkeypatch, mutation):
    table, areas = crowns(), squares()
    whole = bits(areca.summarize(table, areas))
    if mutation == "a part is lost":
        monkeypatch.setattr(tally.Tally, "join", staticmethod(lost))
    else:
        monkeypatch.setattr(tally, "_whole", lambda values: np.nan_to_num(values) / 3)
        whole = bits(areca.summarize(table, areas))

    found = areca.summarize(split(table, 7), areas).compute(scheduler="sync")

    assert bits(found) != whole


@pytest.mark.usefixtures("no_compute")
def test_a_lazy_table_stays_lazy():
    found = areca.summarize(split(crowns(50), 3), squares(), options=OPTIONS)

    assert isinstance(found, dgpd.GeoDataFrame)
    assert found.npartitions == 1
    assert found.crs == "EPSG:32648"
    assert {"count", "density_per_ha", "count_low"} <= set(found.columns)


def test_the_meta_of_a_lazy_summary_is_that_of_the_summary():
    lazy = areca.summarize(split(crowns(50), 3), squares(), options=OPTIONS)
    found = lazy.compute(scheduler="sync")

    assert list(lazy.columns) == list(found.columns)
    kinds = {name: found[name].dtype.kind for name in found.columns[1:-2]}
    assert {name: lazy[name].dtype.kind for name in kinds} == kinds


def test_a_centre_on_borders_and_corners_is_counted_once():
    grid = (
        ORIGIN
        + np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(-1, 2) * 250.0
    )
    halves = grid[:-1] + [125.0, 0.0]  # in the middle of sides
    table = gpd.GeoDataFrame(
        geometry=gpd.points_from_xy(*np.vstack([grid, halves]).T), crs=32648
    )
    lon, lat = pyproj.Transformer.from_crs(32648, 4326, always_xy=True).transform(
        *np.vstack([grid, halves]).T
    )
    table = table.assign(center_lon=lon, center_lat=lat, area_m2=1.0, radius_m=1.0)
    degrees = squares(crs=4326)  # vertices that are exactly the centres of corners
    degrees.geometry = [
        shapely.Polygon(
            [
                (lon[r * 4 + c], lat[r * 4 + c])
                for r, c in ((y, x), (y, x + 1), (y + 1, x + 1), (y + 1, x))
            ]
        )
        for y in range(3)
        for x in range(3)
    ]

    found = areca.summarize(table, degrees).set_index("zone")["count"]

    corners = found.drop(["outside all zones", "without a place"]).sum()
    assert corners >= 16  # all corners of the grid
    assert found.sum() == len(table)
    assert found["00"] >= 4  # the first zone takes the corners it shares


def test_overlapping_zones_count_twice_and_say_so():
    areas = gpd.GeoDataFrame(
        {"name": ["west", "all"]},
        geometry=[
            shapely.box(*ORIGIN, *(ORIGIN + [500, 1000])),
            shapely.box(*ORIGIN, *(ORIGIN + 1000)),
        ],
        crs=32648,
    )
    found = areca.summarize(crowns(), areas).set_index("zone")

    west = found.loc["west", "count"]
    assert found.loc["all", "count"] == 900
    assert found["shared"].tolist() == [west, west, 0, 0]
    assert 300 < west < 600


@pytest.mark.parametrize("crs", [4326, 3857, 32648, 32647, "ESRI:54009"])
def test_zones_in_any_crs_hold_the_same_objects(crs):
    table, areas = crowns(), squares()
    fine = areas.segmentize(5.0).to_crs(crs)
    areas = areas.set_geometry(fine)

    found = areca.summarize(table.to_crs(3857), areas)
    expected = areca.summarize(table, squares())

    assert found["count"].tolist() == expected["count"].tolist()
    np.testing.assert_allclose(
        found["zone_area_ha"], expected["zone_area_ha"], rtol=2e-6
    )


@pytest.mark.parametrize("south", [-80, -35, 0, 2.16, 60, 79])
@pytest.mark.parametrize("size", [0.01, 1.0, 8.0])
def test_the_area_of_a_zone_is_the_true_one(south, size):
    """A box in degrees: its sides are parallels, as an equal-area map draws them."""
    box = gpd.GeoSeries([shapely.box(10, south, 10 + size, south + size)], crs=4326)
    x, y = pyproj.Transformer.from_crs(4326, 6933, always_xy=True).transform(
        [10, 10 + size], [south, south + size]
    )

    found = ground_area_m2(box)[0]

    # For a box the two edges of that map give its area exactly.
    assert found == pytest.approx((x[1] - x[0]) * (y[1] - y[0]), rel=2e-6)


def test_a_box_is_a_zone_and_no_ellipse():
    area = areca.summarize(crowns(5), squares(1, 1))["zone_area_ha"][0]
    geod = pyproj.Geod(ellps="WGS84")
    ring = squares(1, 1).segmentize(5).to_crs(4326).geometry[0]
    assert area == pytest.approx(
        abs(geod.geometry_area_perimeter(ring)[0]) / 1e4, rel=1e-6
    )


def at_180():
    lon = np.array([179.2, 179.8, -179.9, -179.4, -178.0])
    return gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, np.full(5, 5.0)), crs=4326)


@pytest.mark.parametrize(
    "zone",
    [
        shapely.box(179, 4, 181, 6),
        shapely.box(-181, 4, -179, 6),
        shapely.union_all([shapely.box(179, 4, 180, 6), shapely.box(-180, 4, -179, 6)]),
    ],
)
def test_a_zone_across_the_antimeridian_is_whole(zone):
    found = areca.summarize(at_180(), gpd.GeoDataFrame(geometry=[zone], crs=4326))

    assert found["count"].tolist() == [4, 1, 0]
    there = gpd.GeoSeries([shapely.box(9, 4, 11, 6)], crs=4326)
    assert found["zone_area_ha"][0] == pytest.approx(ground_area_m2(there)[0] / 1e4)


def test_a_zone_that_jumps_over_the_antimeridian_is_refused():
    zone = shapely.Polygon([(179, 4), (-179, 4), (-179, 6), (179, 6)])
    with pytest.raises(GridError, match="180th meridian"):
        areca.summarize(at_180(), gpd.GeoDataFrame(geometry=[zone], crs=4326))


def test_objects_are_measured_where_they_are_not():
    table = crowns(200)
    bare = table[["geometry"]]
    pd.testing.assert_frame_equal(
        areca.summarize(bare, squares()), areca.summarize(table, squares())
    )


def test_nothing_is_lost_without_a_place_or_a_size():
    table = gpd.GeoDataFrame(
        geometry=[
            None,
            shapely.Point(ORIGIN + 10),
            shapely.Point(ORIGIN + 10).buffer(2),
            shapely.Point(),
        ],
        crs=32648,
    )
    found = areca.summarize(table, squares()).set_index("zone")

    assert found.loc["without a place", "count"] == 2
    assert found.loc["00", ["count", "unmeasured"]].tolist() == [2, 1]
    assert found["count"].sum() == 4


def test_an_empty_table_is_an_empty_result():
    found = areca.summarize(crowns(5).iloc[:0], squares(), options=OPTIONS)

    assert found["count"].tolist() == [0] * 11
    assert found["radius_median_m"].isna().all()
    assert found["density_per_ha"].tolist()[:9] == [0.0] * 9
    lazy = areca.summarize(split(crowns(5), 2).query("area_m2 < 0"), squares())
    assert lazy.compute(scheduler="sync")["count"].sum() == 0


def test_the_columns_of_the_zones_stay():
    areas = squares().assign(planted=1998, count="replaced")
    found = areca.summarize(crowns(), areas, name="name")

    assert found["planted"].tolist()[:9] == [1998] * 9
    assert found["count"].sum() == 900


def nothing_drawn():
    return squares().iloc[:0]


BAD_ZONES = {
    "no CRS": (lambda: squares().set_crs(None, allow_override=True), {}, "no CRS"),
    "points": (lambda: squares().set_geometry(squares().centroid), {}, "9 of 9 zones"),
    "null": (
        lambda: squares().set_geometry([None, *squares().geometry[1:]]),
        {},
        "row 0",
    ),
    "none": (nothing_drawn, {}, "0 of 0 zones"),
    "name": (squares, {"name": "block"}, "no column 'block'; they have name"),
}


@pytest.mark.parametrize("case", BAD_ZONES)
def test_zones_that_cannot_be_are_named(case):
    make, words, says = BAD_ZONES[case]
    with pytest.raises(InputError, match=says):
        areca.summarize(crowns(5), make(), **words)


def test_a_table_without_a_crs_is_refused():
    with pytest.raises(GridError, match="no CRS"):
        areca.summarize(crowns(5).set_crs(None, allow_override=True), squares())


def test_edges_of_a_histogram_must_ascend():
    with pytest.raises(InputError, match="ascending"):
        SummaryOptions(radius_edges_m=(4.0, 2.0))


def palms():
    """A small triangular plantation in two zones, with its spacing."""
    plants, *_ = draw_plantation("triangular", half_width_m=70)
    discs = on_the_ground(plants).to_crs(32648)
    west, south, east, north = discs.total_bounds
    middle = west + 0.4 * (east - west)
    halves = shapely.box([west, middle], south, [middle, east], north)
    zones = gpd.GeoDataFrame({"plot": ["w", "e"]}, geometry=halves, crs=32648)
    return areca.spacing(measure(discs)), zones


def test_a_table_of_spacing_tells_how_plants_stand():
    table, zones = palms()

    found = areca.summarize(table, zones).set_index("zone").drop("without a place")
    lazy = areca.summarize(split(table.sample(frac=1, random_state=1), 5), zones)

    joined = table.sjoin(zones).groupby("plot")
    for name, part in joined:
        row, kinds = found.loc[name], part["pattern"].value_counts()
        for column, source in (
            ("plant_spacing_median_m", "plant_spacing_m"),
            ("nearest_median_m", "nearest_m"),
        ):
            assert row[column] == pytest.approx(part[source].median(), abs=1e-3)
        assert row["pattern"] == kinds.index[0] == "triangular"
        assert row["pattern_share"] == kinds.iloc[0] / len(part)
    assert found.loc["outside all zones", "pattern"] is None
    assert found["plant_spacing_median_m"].iloc[0] == pytest.approx(9.0, abs=0.1)
    assert found["nearest_median_m"].iloc[0] < 8.9
    whole = lazy.compute(scheduler="sync")
    assert list(lazy.columns) == list(whole.columns)
    assert bits(whole) == bits(areca.summarize(table, zones))


def test_zones_are_named_by_their_only_text():
    table, zones = palms()

    assert areca.summarize(table, zones)["zone"].iloc[0] == "w"
    numbered = areca.summarize(table, zones.assign(crop="palm"))["zone"]
    assert numbered.iloc[0] == "0"
