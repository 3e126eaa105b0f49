"""Nothing is lost: what is not plain is measured as well as can be, and named."""

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from outline_shapes import lobed

from areca.errors import GridError
from areca.measures import BOUNDING, ERRORS, MEASURES, MeasureOptions, measure, notes

ALL = MeasureOptions(bounding=True, pixel_m=0.2, notes=True)
BOW = shapely.Polygon([(-3, -3), (3, 3), (3, -3), (-3, 3)])
SQUARE = shapely.box(0, 0, 4, 4)
OVERLAPPING = shapely.MultiPolygon([SQUARE, shapely.box(2, 0, 6, 4)])
COLLECTION = shapely.GeometryCollection(
    [SQUARE, shapely.Point(9, 9), shapely.LineString([(4, 4), (8, 8)])]
)
NESTED = shapely.GeometryCollection([COLLECTION, shapely.box(10, 0, 12, 4)])
ODD = {
    "null": None,
    "empty": shapely.Polygon(),
    "empty collection": shapely.GeometryCollection(),
    "point": shapely.Point(1, 2),
    "points": shapely.MultiPoint([(0, 0), (4, 2)]),
    "line": shapely.LineString([(0, 0), (4, 2)]),
    "bow tie": BOW,
    "overlapping parts": OVERLAPPING,
    "collection": COLLECTION,
    "collection in a collection": NESTED,
    "points in a collection": shapely.GeometryCollection([shapely.Point(1, 2)]),
    "heights": shapely.force_3d(SQUARE, 812.0),
    "bow tie with heights": shapely.force_3d(BOW, 5.0),
    "flat": shapely.Polygon([(0, 0), (4, 0), (2, 0)]),
    "all but flat": shapely.Polygon([(0, 0), (4, 0), (2, 1e-9)]),
    "huge": shapely.Point(0, 0).buffer(30_000),
    "immense": shapely.Point(0, 0).buffer(2_000_000),
    "plain": SQUARE,
    "crown": lobed(1)[0],
}
EXPECTED = {
    "null": notes.ABSENT,
    "empty": notes.ABSENT,
    "empty collection": notes.ABSENT,
    "point": notes.POINT_OR_LINE,
    "points": notes.POINT_OR_LINE,
    "line": notes.POINT_OR_LINE,
    "bow tie": notes.REPAIRED,
    "overlapping parts": notes.REPAIRED,
    "collection": notes.COLLECTION,
    "collection in a collection": notes.COLLECTION,
    "points in a collection": notes.POINT_OR_LINE,
    "heights": notes.HEIGHTS,
    "bow tie with heights": f"{notes.HEIGHTS}; {notes.REPAIRED}",
    "flat": notes.REPAIRED,
    "all but flat": None,
    "huge": notes.LARGE,
    "immense": notes.LARGE,
    "plain": None,
    "crown": None,
}


PLACE = "+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84"


def odd_table(crs=PLACE):
    table = gpd.GeoDataFrame(
        {"name": list(ODD)}, geometry=list(ODD.values()), crs=PLACE
    )
    return table.assign(radius_method="mask").to_crs(crs)


def test_every_odd_thing_is_named_and_kept():
    row = measure(odd_table(), options=ALL).set_index("name")

    assert row[notes.NOTE].to_dict() == EXPECTED
    areas = {
        "bow tie": 18.0,
        "overlapping parts": 24.0,
        "collection": 16.0,
        "collection in a collection": 24.0,
        "heights": 16.0,
        "bow tie with heights": 18.0,
        "flat": 0.0,
        "plain": 16.0,
    }
    for name, area in areas.items():
        assert row.area_m2[name] == pytest.approx(area, rel=1e-7, abs=1e-9), name
    assert row.area_m2["huge"] == pytest.approx(np.pi * 3e4**2, rel=0.01)
    nothing = [name for name, note in EXPECTED.items() if note == notes.ABSENT]
    placeless = [name for name in MEASURES if name != "radius_method"]
    assert row.loc[nothing, placeless].isna().all(axis=None)
    sizeless = [name for name, note in EXPECTED.items() if note == notes.POINT_OR_LINE]
    assert (
        row.loc[sizeless, ["area_m2", "radius_m", *BOUNDING, *ERRORS]].isna().all(None)
    )
    assert row.loc[sizeless, ["center_x", "center_lat"]].notna().all(None)
    # 30 km are still a plane, 2,000 km are none.
    assert row.bounding_radius_m["huge"] == pytest.approx(3e4, rel=1e-4)
    assert row.loc["immense", ["width_m", "bounding_radius_m"]].isna().all()
    assert row.area_m2["immense"] > 1e13


def test_one_odd_thing_changes_nothing_about_the_others():
    table = odd_table()
    together = measure(table, options=ALL)

    for number in range(len(table)):
        alone = measure(table.iloc[[number]], options=ALL)
        pd.testing.assert_frame_equal(
            pd.DataFrame(alone.drop(columns="geometry")),
            pd.DataFrame(together.iloc[[number]].drop(columns="geometry")),
            check_exact=True, check_dtype=False,
        )  # fmt: skip


def test_notes_and_all_columns_come_from_any_partitioning():
    table = odd_table()
    whole = measure(table, options=ALL)

    lazy = measure(dgpd.from_geopandas(table, npartitions=5, sort=False), options=ALL)

    assert list(lazy.columns) == list(whole.columns)
    parts = lazy.compute(scheduler="synchronous")
    for name in [*MEASURES, *BOUNDING, *ERRORS, notes.NOTE]:
        one, other = (
            t[name].astype(object).where(t[name].notna(), None) for t in (parts, whole)
        )
        assert one.tolist() == other.tolist(), name


def test_notes_are_counted_over_parts():
    table = pd.concat([odd_table()] * 3, ignore_index=True)

    counts = measure(table, options=ALL)[notes.NOTE].value_counts()

    assert counts[notes.ABSENT] == 9
    assert counts[notes.LARGE] == 6


@pytest.mark.parametrize(
    "options", [MeasureOptions(), ALL, MeasureOptions(rectangle=False)]
)
def test_an_empty_table_is_an_empty_result_with_all_columns(options):
    full = measure(odd_table(), options=options)

    empty = measure(odd_table().iloc[:0], options=options)

    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert ("width_m" in empty) == options.rectangle


def test_notes_need_not_be():
    assert notes.NOTE not in measure(odd_table())
    assert set(measure(odd_table()).columns) - {"name", "geometry"} == set(MEASURES)


@pytest.mark.parametrize("options", [MeasureOptions(), ALL])
def test_a_missing_crs_is_named_before_anything_is_measured(options):
    table = odd_table().set_crs(None, allow_override=True)

    with pytest.raises(GridError, match=r"no CRS.*set_crs"):
        measure(table, options=options)


def test_one_corner_out_of_the_world_is_named_among_many():
    far = shapely.Polygon([(10, 50), (10.1, 50), (10, 950)])
    table = gpd.GeoDataFrame(geometry=[*lobed(50), far], crs=4326)

    with pytest.raises(GridError, match=r"\(10, 950\) is no place in 'WGS 84'"):
        measure(table)


def test_a_chunk_ends_where_vertices_or_objects_are_enough(monkeypatch):
    crowns = gpd.GeoDataFrame(geometry=lobed(40), crs=32633)
    whole = measure(crowns, options=ALL)

    for name, value in (("CHUNK_VERTICES", 100), ("CHUNK_OBJECTS", 7)):
        monkeypatch.setattr(f"areca.measures.table.{name}", value)
        parts = measure(crowns, options=ALL)
        pd.testing.assert_frame_equal(
            pd.DataFrame(parts.drop(columns="geometry")),
            pd.DataFrame(whole.drop(columns="geometry")),
            check_exact=True,
        )
