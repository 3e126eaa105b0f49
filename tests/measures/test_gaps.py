import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pytest
import shapely
from plantations import (
    PATTERNS,
    draw_plantation,
    hits,
    in_metres,
    is_inner,
    on_the_ground,
)

import areca
from areca.errors import InputError
from areca.measures import GapOptions, halo
from areca.measures.places import centres_of

SPACING = 9.0


def scores(pattern, **changes):
    """Share of the gaps that are true, and of the true ones inside that are found."""
    plants, gone, places = draw_plantation(pattern, **changes)
    found = in_metres(areca.find_gaps(on_the_ground(plants)))
    inner = gone[is_inner(places, gone, SPACING)]
    assert len(inner) > 40
    right = hits(gone, found, 0.4 * SPACING)
    return right.mean(), hits(found, inner, 0.4 * SPACING).mean()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("changes", "precision", "recall"),
    [
        ({"noise": 0.0}, 0.93, 0.95),
        ({"noise": 0.03}, 0.93, 0.95),
        ({"noise": 0.06, "bend": 0.5}, 0.93, 0.93),
        ({"noise": 0.03, "missing": 0.2}, 0.9, 0.88),
    ],
)
def test_missing_plants_of_a_drawn_plantation_are_found(
    pattern, changes, precision, recall
):
    found = scores(pattern, **changes)

    assert found[0] >= precision
    assert found[1] >= recall


def test_what_is_found_lies_where_a_plant_is_missing():
    plants, gone, _ = draw_plantation("triangular", noise=0.03)
    table = areca.find_gaps(on_the_ground(plants))

    assert set(table.columns) == {
        "center_lon",
        "center_lat",
        "spacing_m",
        "nearest_m",
        "support",
        "geometry",
    }
    assert table["spacing_m"].median() == pytest.approx(SPACING, rel=0.02)
    assert table["nearest_m"].between(0.5 * SPACING, 2 * SPACING).all()
    assert (table["support"] >= 3).all()
    np.testing.assert_allclose(table.geometry.x, table["center_lon"])
    found = in_metres(table)
    distance = np.linalg.norm(found[:, None] - gone[None], axis=2).min(axis=1)
    assert np.median(distance) < 0.05 * SPACING


def test_a_whole_plantation_and_random_plants_have_nearly_no_gaps():
    plants, _, _ = draw_plantation("square", missing=0.0, holes=0)
    rng = np.random.default_rng(0)
    strewn = on_the_ground(rng.uniform(-250, 250, (3000, 2)))

    assert len(areca.find_gaps(on_the_ground(plants))) <= 0.01 * len(plants)
    assert len(areca.find_gaps(strewn)) <= 0.01 * len(strewn)


def test_a_wide_opening_finds_the_last_row_and_what_lies_outside():
    plants, gone, places = draw_plantation("triangular", missing=0.1)
    rim = gone[~is_inner(places, gone, SPACING)]
    counts, recall = [], []
    for opening in (120.0, 150.0, 190.0):
        options = GapOptions(widest_opening_deg=opening)
        found = in_metres(areca.find_gaps(on_the_ground(plants), options))
        counts.append(len(found))
        recall.append(hits(found, rim, 0.4 * SPACING).mean())
    assert counts == sorted(counts)
    assert recall[2] > recall[0] + 0.3


def test_a_hole_is_filled_from_its_rim():
    plants, _, places = draw_plantation("triangular", missing=0.0, holes=0)
    hole = np.hypot(*plants.T) < 2.2 * SPACING
    options = [GapOptions(rounds=1), GapOptions(rounds=3)]

    found = [
        hits(
            in_metres(areca.find_gaps(on_the_ground(plants[~hole]), o)),
            places[hole],
            0.4 * SPACING,
        )
        for o in options
    ]

    assert hole.sum() == 19
    assert found[0].sum() <= 12
    assert found[1].sum() >= 18


@pytest.fixture(scope="module")
def plantation():
    plants, _, _ = draw_plantation("triangular", noise=0.05, bend=0.5, half_width_m=230)
    return on_the_ground(plants).sample(frac=1, random_state=1).reset_index(drop=True)


def sorted_gaps(table):
    return table.sort_values(["center_lat", "center_lon"], ignore_index=True)


@pytest.mark.parametrize("parts", [3, 8])
def test_partitions_do_not_change_it(plantation, parts):
    lazy = dgpd.from_geopandas(plantation, npartitions=parts).spatial_shuffle()

    found = sorted_gaps(areca.find_gaps(lazy).compute(scheduler="sync"))

    whole = areca.find_gaps(plantation)
    figures = ["center_lon", "center_lat", "spacing_m", "nearest_m", "support"]
    np.testing.assert_array_equal(found[figures], whole[figures])
    assert len(whole) > 100


def test_without_a_halo_partitions_would_change_it(plantation, monkeypatch):
    monkeypatch.setattr(halo, "_near", lambda *_: [])
    lazy = dgpd.from_geopandas(plantation, npartitions=8).spatial_shuffle()

    found = areca.find_gaps(lazy).compute(scheduler="sync")

    assert abs(len(found) - len(areca.find_gaps(plantation))) > 10


def test_a_gap_between_partitions_belongs_to_one_of_them():
    """An exact lattice: the six plants around a gap are equally near."""
    plants, gone, _ = draw_plantation("triangular", noise=0.0, holes=0)
    table = on_the_ground(plants)
    lazy = dgpd.from_geopandas(table, npartitions=6).spatial_shuffle()

    found = in_metres(areca.find_gaps(lazy).compute(scheduler="sync"))

    apart = (
        np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(len(found)) * 99
    )
    assert apart.min() > 0.6 * SPACING
    assert len(found) == len(areca.find_gaps(table))
    assert len(gone) > 50


def test_a_table_stays_lazy(plantation, request):
    lazy = dgpd.from_geopandas(plantation, npartitions=3)
    lazy.calculate_spatial_partitions()
    request.getfixturevalue("no_compute")

    found = areca.find_gaps(lazy)

    assert isinstance(found, dgpd.GeoDataFrame)
    assert found.crs == plantation.crs
    assert "support" in found.columns


@pytest.mark.parametrize("crs", [3857, 32648])
def test_gaps_come_in_the_crs_of_the_objects(crs):
    plants, _, _ = draw_plantation("square", half_width_m=120)
    table = on_the_ground(plants)

    found, expected = areca.find_gaps(table.to_crs(crs)), areca.find_gaps(table)

    assert found.crs == f"EPSG:{crs}"
    assert found.to_crs(4326).geom_equals_exact(expected.geometry, 1e-8).all()


def test_gaps_are_found_across_the_antimeridian():
    plants, _, _ = draw_plantation("square", half_width_m=120)
    here = areca.find_gaps(on_the_ground(plants, lon=103, lat=10))
    there = areca.find_gaps(on_the_ground(plants, lon=180, lat=10))

    assert len(there) == len(here) > 10
    assert {np.sign(x) for x in there["center_lon"]} == {-1.0, 1.0}


def test_no_plants_have_no_gaps():
    plants, _, _ = draw_plantation("square", half_width_m=60)
    table = on_the_ground(plants)
    for few in (table.iloc[:0], table.iloc[:1], table.iloc[:5]):
        found = areca.find_gaps(few)
        assert len(found) == 0
        assert found.crs == table.crs
    lost = gpd.GeoDataFrame(geometry=[None, shapely.Point()], crs=4326)
    assert len(areca.find_gaps(lost)) == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"reach_m": 0}, "reach_m is 0"),
        ({"present_within": 1.5}, "present_within is 1.5"),
        ({"rounds": 0}, "rounds is 0"),
        ({"support": 0}, "support is 0"),
    ],
)
def test_options_that_cannot_be_are_named(words, says):
    with pytest.raises(InputError, match=says):
        GapOptions(**words)


def test_palms_taken_out_of_a_real_plantation_are_missed(shared_data):
    """Labels of Kluang miss palms themselves, so gaps there are no errors."""
    folder = shared_data / "kluang_oil_palm"
    boxes = gpd.read_parquet(folder / "kluang_west_boxes.parquet")
    held = gpd.read_file(folder / "kluang_west_labelled_area.geojson")
    spaced = areca.spacing(boxes)
    regular = spaced["pattern"] == "triangular"
    centre = gpd.GeoSeries.from_xy(*centres_of(boxes).T, crs=4326)
    inner = centre.within(held.union_all().buffer(-3e-4)) & regular
    rng = np.random.default_rng(0)
    out = inner & (rng.random(len(boxes)) < 0.04)
    before = areca.find_gaps(boxes)

    after = areca.find_gaps(boxes[~out])

    true = in_metres(gpd.GeoDataFrame(geometry=centre[out]))
    assert len(true) > 100
    assert hits(in_metres(after), true, 3.6).mean() > 0.9
    assert hits(in_metres(before), true, 3.6).mean() < 0.02
    assert regular.mean() > 0.75
    assert spaced.loc[regular, "plant_spacing_m"].median() == pytest.approx(
        9.0, abs=0.2
    )
    assert spaced["nearest_m"].median() == pytest.approx(8.6, abs=0.2)
