"""Vector files some rows at a time: nothing is lost, nothing changes its type."""

import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from export_tables import draw_objects, with_every_shape
from geopandas.testing import assert_geodataframe_equal
from outline_shapes import lobed

import areca
from areca.errors import InputError
from areca_pipelines.vectors import read_parts

ROWS, GROUPS = 1000, 30


@pytest.fixture
def table():
    """Objects with nulls of every kind, and middles as a second geometry."""
    table = with_every_shape(draw_objects())
    table["middle"] = table.geometry.centroid.to_crs(4326)
    return table


def joined(parts):
    return pd.concat(list(parts), ignore_index=True)


@pytest.mark.parametrize("rows", [7, 50, 1000])
def test_geoparquet_comes_in_parts_of_the_types_of_the_whole(table, tmp_path, rows):
    path = tmp_path / "a.parquet"
    table.to_parquet(path, write_covering_bbox=True, schema_version="1.1.0")

    parts = list(read_parts(path, rows))

    assert max(map(len, parts)) == min(rows, len(table))
    found, whole = joined(parts), gpd.read_parquet(path)
    whole = whole.drop(columns="bbox", errors="ignore")
    assert found["middle"].crs == whole["middle"].crs != found.crs
    assert_geodataframe_equal(found, whole)


@pytest.mark.parametrize("index", [[], ["palm"], [None, "palm"]])
def test_an_index_of_pandas_is_a_column_if_it_has_a_name(tmp_path, index):
    table = draw_objects(12).iloc[[1, 4, 7]]
    table["palm"] = ["a", "b", "c"]
    if index:
        stored = table.set_index("palm", append=None in index)
    else:
        stored = table.drop(columns="palm")
    stored.to_parquet(tmp_path / "a.parquet")
    kept = pq.read_schema(tmp_path / "a.parquet").pandas_metadata["index_columns"]
    assert all(isinstance(name, str) for name in kept)

    found = joined(read_parts(tmp_path / "a.parquet", 2))

    whole = table if index else stored
    assert sorted(found.columns) == sorted(whole.columns)
    assert_geodataframe_equal(found[whole.columns], whole.reset_index(drop=True))


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path):
    table = draw_objects()
    for number, start in enumerate(range(0, 240, 80)):
        part = table.iloc[start : start + 80]
        part.to_parquet(tmp_path / f"part-{number}.parquet", index=False)

    found = joined(read_parts(tmp_path, 50))

    assert found["object_id"].tolist() == table["object_id"].tolist()


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.geojson"])
def test_what_gdal_reads_comes_in_parts(tmp_path, name):
    table = draw_objects()[["object_id", "radius_m", "geometry"]]
    table.to_file(tmp_path / name)

    parts = list(read_parts(tmp_path / name, 50))

    assert len(parts) > 3
    found = joined(parts).sort_values("object_id", ignore_index=True)
    whole = gpd.read_file(tmp_path / name).sort_values("object_id", ignore_index=True)
    assert found.crs == whole.crs
    assert found["object_id"].tolist() == whole["object_id"].tolist()
    np.testing.assert_array_equal(found["radius_m"], whole["radius_m"])
    assert shapely.equals_exact(found.geometry, whole.geometry, 0).all()


def test_shapes_in_another_encoding_are_read_whole(tmp_path):
    table = draw_objects()
    table.to_parquet(tmp_path / "a.parquet", geometry_encoding="geoarrow")

    [part] = read_parts(tmp_path / "a.parquet", 50)

    assert_geodataframe_equal(part, gpd.read_parquet(tmp_path / "a.parquet"))


def test_a_folder_that_gdal_reads_is_a_vector_file(tmp_path):
    table = draw_objects()[["object_id", "geometry"]]
    table.to_file(tmp_path / "trees.gdb", driver="OpenFileGDB")

    parts = list(read_parts(tmp_path / "trees.gdb", 50))

    assert len(parts) > 3
    assert joined(parts)["object_id"].tolist() == table["object_id"].tolist()


@pytest.mark.parametrize("name", ["A.PARQUET", "a.GeoParquet"])
def test_geoparquet_is_known_by_its_name_in_any_case(tmp_path, name):
    table = draw_objects()
    table.to_parquet(tmp_path / name)

    for source in (tmp_path / name, tmp_path):
        assert_geodataframe_equal(joined(read_parts(source, 50)), table)


@pytest.mark.parametrize("name", ["a.parquet", "a.fgb"])
def test_parts_have_row_numbers_of_the_whole(tmp_path, name):
    table = draw_objects()[["object_id", "geometry"]]
    write = table.to_parquet if name.endswith("parquet") else table.to_file
    write(tmp_path / name)

    parts = list(read_parts(tmp_path / name, 50))

    assert np.concatenate([p.index for p in parts]).tolist() == list(range(len(table)))


def test_a_table_without_rows_is_one_part_with_its_columns(tmp_path):
    areca.write_objects(draw_objects().iloc[:0], tmp_path / "a.parquet")

    [part] = read_parts(tmp_path / "a.parquet", 50)

    assert len(part) == 0
    assert set(part.columns) == set(draw_objects().columns)


def write_text(path):
    path.write_text("no table")


def write_plain(path):
    pd.DataFrame({"a": [1]}).to_parquet(path)


def write_points(path):
    path.write_text("x,y\n1,2\n")


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("none.gpkg", lambda _: None, "there is no file"),
        ("folder", lambda path: path.mkdir(), "cannot be read as a table of shapes"),
        ("a.parquet", write_text, "cannot be read as GeoParquet"),
        ("a.parquet", write_plain, "without shapes"),
        ("a.gpkg", write_text, "cannot be read as a table of shapes"),
        ("a.csv", write_points, "without shapes"),
    ],
)
def test_what_is_no_table_of_shapes_is_named(tmp_path, name, write, says):
    write(tmp_path / name)
    with pytest.raises(InputError, match=says):
        list(read_parts(tmp_path / name, 50))


def test_a_file_is_not_read_far_ahead_of_its_parts(tmp_path):
    shapes = list(lobed(ROWS)) * GROUPS
    table = gpd.GeoDataFrame({"row": range(len(shapes))}, geometry=shapes, crs=32648)
    table.to_parquet(tmp_path / "crowns.parquet", row_group_size=ROWS)
    size = sum(len(wkb) for wkb in shapely.to_wkb(shapes))
    before = pa.total_allocated_bytes()

    parts = read_parts(tmp_path / "crowns.parquet", ROWS)
    rows = next(parts)["row"].tolist()
    time.sleep(0.3)  # what reads ahead does so in threads
    held = pa.total_allocated_bytes() - before
    rows += [row for part in parts for row in part["row"]]

    assert held < size / 5
    assert rows == table["row"].tolist()
