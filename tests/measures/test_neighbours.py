import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from plantations import PATTERNS, draw_plantation, on_the_ground

import areca
from areca.errors import GridError, InputError
from areca.measures import halo
from areca.measures.places import Places, arc_length, to_degrees

FIGURES = [
    "nearest_m",
    "plant_spacing_m",
    "row_spacing_m",
    "row_direction_deg",
    "regularity",
]


def strewn(count=150, lon=103.29, lat=2.16, seed=5, reach_m=120.0):
    rng = np.random.default_rng(seed)
    return on_the_ground(rng.uniform(-reach_m, reach_m, (count, 2)), lon=lon, lat=lat)


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(103.29, 2.16), (10, -45), (179.9995, 65), (-180, -20), (25, 79.9), (0, 89.9995)],
)
def test_the_distance_to_the_nearest_is_that_of_geodesics(lon, lat):
    table = strewn(lon=lon, lat=lat)
    x, y = table.geometry.x.to_numpy(), table.geometry.y.to_numpy()
    one, other = np.meshgrid(np.arange(len(x)), np.arange(len(x)), indexing="ij")
    geod = pyproj.Geod(ellps="WGS84")
    distance = geod.inv(x[one], y[one], x[other], y[other])[2] + np.eye(len(x)) * 1e9

    found = areca.spacing(table, reach_m=80.0)["nearest_m"]

    np.testing.assert_allclose(found, distance.min(axis=1), rtol=1e-8, atol=1e-8)
    assert found.max() < 80


@pytest.mark.parametrize("crs", [4326, 3857, 32648, "ESRI:54009"])
def test_any_crs_gives_the_same_distances(crs):
    table = strewn()
    np.testing.assert_allclose(
        areca.spacing(table.to_crs(crs))["nearest_m"],
        areca.spacing(table)["nearest_m"],
        rtol=1e-6,
    )


def test_places_come_back_from_metres():
    rng = np.random.default_rng(0)
    places = Places.of(rng.uniform(-180, 180, 50), rng.uniform(-89, 89, 50))
    step = rng.uniform(-60, 60, (50, 4, 2))

    there = places.from_plane(step)

    np.testing.assert_allclose(places.to_plane(np.arange(50), there), step, atol=1e-8)
    lon, lat = to_degrees(places.xyz)
    lon2, lat2 = to_degrees(there[:, 0])
    azimuth, _, distance = pyproj.Geod(ellps="WGS84").inv(lon, lat, lon2, lat2)
    np.testing.assert_allclose(distance, np.hypot(*step[:, 0].T), rtol=1e-9)
    turned = (np.degrees(np.arctan2(*step[:, 0].T)) - azimuth + 180) % 360 - 180
    # Places lie in the tangent plane, and directions turn by 1e-4 degrees near a pole.
    np.testing.assert_allclose(turned, 0, atol=2e-2)


def test_a_chord_is_short_of_the_arc():
    assert arc_length(np.array([5000.0]))[0] - 5000 == pytest.approx(
        5000**3 / 24 / 6.371e6**2, rel=1e-3
    )


@pytest.mark.parametrize("lat", [-60.0, 2.16, 75.0])
@pytest.mark.parametrize("turn", [0.0, 17.0, 100.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pattern_of_a_planting_is_found(pattern, turn, lat):
    plants, _, _ = draw_plantation(pattern, noise=0.03, turn_deg=turn, half_width_m=130)

    found = areca.spacing(on_the_ground(plants, lat=lat))

    assert (found["pattern"] == pattern).mean() > 0.97
    rows = {"triangular": 9 * np.sqrt(3) / 2, "square": 9.0, "rectangular": 9 * 1.35}
    assert found["plant_spacing_m"].median() == pytest.approx(9, rel=0.01)
    assert found["row_spacing_m"].median() == pytest.approx(rows[pattern], rel=0.01)
    # The rows, or one of the other two or three directions that look the same.
    period = {"triangular": 60, "square": 90, "rectangular": 180}[pattern]
    off = (found["row_direction_deg"] - (90 - turn)) % period
    assert np.minimum(off, period - off).median() < 1
    assert found["regularity"].median() > 0.85


def test_a_noisy_planting_has_its_pattern_still_and_no_bias():
    plants, _, _ = draw_plantation("triangular", noise=0.07, bend=0.5)
    found = areca.spacing(on_the_ground(plants))

    assert (found["pattern"] == "triangular").mean() > 0.9
    assert found["plant_spacing_m"].median() == pytest.approx(9, rel=0.015)


def test_plants_strewn_at_random_have_no_pattern():
    found = areca.spacing(strewn(2000, reach_m=200.0))

    assert found["pattern"].isna().mean() > 0.95
    assert found.loc[found["pattern"].isna(), "plant_spacing_m"].isna().all()
    assert found["nearest_m"].notna().all()


@pytest.fixture(scope="module")
def plantation():
    plants, _, _ = draw_plantation("triangular", noise=0.05, bend=0.5)
    table = on_the_ground(plants).sample(frac=1, random_state=1)
    return table.assign(name=np.arange(len(table))).reset_index(drop=True)


def by_name(table):
    return table.sort_values("name", ignore_index=True)


@pytest.mark.parametrize("parts", [3, 8])
def test_partitions_do_not_change_it(plantation, parts):
    lazy = dgpd.from_geopandas(plantation, npartitions=parts).spatial_shuffle()

    found = by_name(areca.spacing(lazy).compute(scheduler="sync"))

    whole = by_name(areca.spacing(plantation))
    np.testing.assert_array_equal(found[FIGURES], whole[FIGURES])
    assert found["pattern"].fillna("").tolist() == whole["pattern"].fillna("").tolist()


def test_partitions_that_mix_all_ground_do_not_change_it(plantation):
    lazy = dgpd.from_geopandas(plantation, npartitions=4)
    lazy.calculate_spatial_partitions()

    found = by_name(areca.spacing(lazy).compute(scheduler="sync"))

    np.testing.assert_array_equal(
        found[FIGURES], by_name(areca.spacing(plantation))[FIGURES]
    )


def test_without_a_halo_partitions_would_change_it(plantation, monkeypatch):
    monkeypatch.setattr(halo, "_near", lambda *_: [])
    lazy = dgpd.from_geopandas(plantation, npartitions=8).spatial_shuffle()

    found = by_name(areca.spacing(lazy).compute(scheduler="sync"))

    whole = by_name(areca.spacing(plantation))
    assert (found["nearest_m"] > whole["nearest_m"]).sum() > 10
    assert not found["regularity"].equals(whole["regularity"])


def test_only_near_partitions_are_looked_at(plantation):
    lazy = dgpd.from_geopandas(plantation, npartitions=16).spatial_shuffle()
    boxes = halo._boxes(lazy)

    near = [halo._near(boxes, number, 30.0) for number in range(16)]

    assert 2 < np.mean([len(others) for others in near]) < 12
    assert all(number in near[other] for number in range(16) for other in near[number])


def test_a_table_stays_lazy(plantation, request):
    lazy = dgpd.from_geopandas(plantation, npartitions=3)
    lazy.calculate_spatial_partitions()
    request.getfixturevalue("no_compute")

    found = areca.spacing(lazy)

    assert isinstance(found, dgpd.GeoDataFrame)
    assert found.npartitions == 3
    assert {*FIGURES, "pattern"} <= set(found.columns)
    assert found.spatial_partitions is not None


def test_partitions_that_do_not_know_where_they_are_are_refused(plantation):
    with pytest.raises(GridError, match="calculate_spatial_partitions"):
        areca.spacing(dgpd.from_geopandas(plantation, npartitions=3))


def test_few_objects_none_and_lost_ones_have_no_pattern():
    one = areca.spacing(strewn(1))
    two = areca.spacing(strewn(2, reach_m=5.0))
    none = areca.spacing(strewn(3).iloc[:0])
    lost = areca.spacing(
        gpd.GeoDataFrame(
            geometry=[None, shapely.Point(), *strewn(3, reach_m=5).geometry], crs=4326
        )
    )
    assert one["nearest_m"].isna().all()
    assert two["nearest_m"].nunique() == 1
    assert two["pattern"].isna().all()
    assert len(none) == 0
    assert list(none.columns) == list(one.columns)
    assert lost["nearest_m"].isna().tolist() == [True, True, False, False, False]


def test_objects_in_one_place_are_no_distance_apart():
    points = strewn(60, reach_m=40.0)
    twice = gpd.GeoDataFrame(pd.concat([points, points], ignore_index=True))

    found = areca.spacing(twice)

    np.testing.assert_array_equal(found["nearest_m"], 0)


@pytest.mark.parametrize("reach", [0, -1, float("nan"), float("inf")])
def test_a_reach_that_is_no_length_is_named(reach):
    with pytest.raises(InputError, match="reach_m is"):
        areca.spacing(strewn(3), reach_m=reach)
