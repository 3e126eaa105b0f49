import json

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from export_tables import draw_objects, with_every_shape

import areca
from areca.exports import source as sources


def by_id(table):
    return table.sort_values("object_id", ignore_index=True)


def test_csv_has_centres_measures_and_empty_fields(tmp_path):
    table = draw_objects()

    path = areca.export_objects(table, tmp_path / "a.csv").path

    back = pd.read_csv(path, dtype={"object_id": str}, float_precision="round_trip")
    assert list(back.columns[:3]) == ["object_id", "center_lon", "center_lat"]
    assert set(back.columns) == set(table.columns) - {"geometry"}
    assert back["object_id"].tolist() == table["object_id"].tolist()
    for name in ("center_lon", "center_lat", "area_m2", "radius_m"):
        np.testing.assert_array_equal(back[name], table[name])
    assert back["item_id"].isna().sum() == 80
    assert back["rank"].dropna().tolist() == [1] * 120
    times = pd.to_datetime(back["datetime"], utc=True, format="ISO8601")
    assert times.dropna().tolist() == table["datetime"].dropna().tolist()
    assert path.read_bytes().count(b"\n") == len(table) + 1


def test_csv_may_carry_outlines(tmp_path):
    table = with_every_shape(draw_objects())
    options = areca.ExportOptions(wkt=True)

    path = areca.export_objects(table, tmp_path / "a.csv", options=options).path

    back = pd.read_csv(path, float_precision="round_trip")
    assert back.columns[-1] == "wkt"
    assert pd.isna(back["wkt"][0])
    shapes = shapely.from_wkt(back["wkt"][1:].to_numpy(object))
    expected = table.to_crs(4326).geometry[1:].to_numpy()
    assert np.abs(shapely.bounds(shapes) - shapely.bounds(expected)).max() < 1e-8
    assert not shapely.has_z(shapes).any()


def test_csv_measures_what_was_not_measured(tmp_path):
    table = draw_objects()
    path = areca.export_objects(
        table[["object_id", "geometry"]], tmp_path / "a.csv"
    ).path

    back = pd.read_csv(path, float_precision="round_trip")
    np.testing.assert_array_equal(back["area_m2"], table["area_m2"])
    assert list(back.columns[:3]) == ["object_id", "center_lon", "center_lat"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_without_rows_has_its_columns(tmp_path, name):
    done = areca.export_objects(draw_objects().iloc[:0], tmp_path / name)

    back = (
        pd.read_csv(done.path, float_precision="round_trip")
        if name == "a.csv"
        else gpd.read_parquet(done.path)
    )
    assert done.count == len(back) == 0
    assert {"object_id", "center_lon", "area_m2"} <= set(back.columns)


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of 50 rows, so that a small table is many of them."""
    monkeypatch.setattr(sources, "ROWS", 50)


@pytest.mark.usefixtures("small_pieces")
def test_many_files_become_one_geoparquet_file(tmp_path):
    table = with_every_shape(draw_objects())
    areca.write_objects(dgpd.from_geopandas(table, npartitions=3), tmp_path / "parts")

    done = areca.export_objects(tmp_path / "parts", tmp_path / "one.parquet")

    back = gpd.read_parquet(done.path)
    assert done.count == len(back) == len(table)
    assert back.crs == table.crs
    assert by_id(back).geometry.geom_equals(table.geometry)[1:].all()
    file = pq.ParquetFile(done.path)
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo["version"] == "1.1.0"
    assert set(column["geometry_types"]) == {"Polygon", "MultiPolygon", "Polygon Z"}
    assert column["bbox"] == pytest.approx(table.total_bounds)
    assert file.metadata.num_row_groups > 3
    west, south, east, north = table.total_bounds
    part = (west, south, (west + east) / 2, (south + north) / 2)
    boxed = areca.read_objects(done.path, bbox=part)
    expected = table[
        shapely.intersects(shapely.box(*table.bounds.to_numpy().T), shapely.box(*part))
    ]
    assert set(boxed["object_id"]) == set(expected["object_id"])
    assert 20 < len(boxed) < len(table) / 2


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.csv", "a.parquet", "a.fgb"])
def test_pieces_files_and_partitions_give_the_same_rows(tmp_path, name):
    """A null in some pieces alone must not change the type of a column."""
    table = draw_objects().assign(late=[None] * 200 + [2] * 40)
    table["late"] = table["late"].astype("Int64")
    (tmp_path / "out").mkdir()
    areca.write_objects(table, tmp_path / "one.parquet")
    lazy = dgpd.from_geopandas(table, npartitions=4)
    areca.write_objects(lazy, tmp_path / "parts")
    givens = {
        "table": table,
        "file": tmp_path / "one.parquet",
        "folder": tmp_path / "parts",
        "lazy": lazy,
    }
    tables = {}
    for kind, objects in givens.items():
        folder = tmp_path / "out" / kind
        folder.mkdir()
        done = areca.export_objects(objects, folder / name)
        assert done.count == len(table)
        read = {"csv": pd.read_csv, "parquet": gpd.read_parquet}
        reader = read.get(name.split(".")[1])
        tables[kind] = by_id(
            reader(done.path) if reader else gpd.read_file(done.path, layer=0)
        )
        assert [p.name for p in folder.iterdir()] == [name]

    for other in ("file", "folder", "lazy"):
        one, two = tables["table"], tables[other]
        assert list(one.columns) == list(two.columns)
        for column in one.columns.drop("geometry", errors="ignore"):
            assert (
                one[column].astype(str).tolist() == two[column].astype(str).tolist()
            ), column


def test_a_run_of_partitions_is_computed_once(tmp_path):
    """Partitions may share what they are made of, as those of a prediction do."""
    calls = []

    def note(part):
        calls.append(len(part))
        return part

    lazy = dgpd.from_geopandas(draw_objects(), npartitions=4)
    lazy = lazy.map_partitions(note, meta=lazy._meta)

    areca.export_objects(lazy, tmp_path / "a.gpkg")

    assert sorted(calls) == [60] * 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.gpkg"]
