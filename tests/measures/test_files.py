import json

import dask
import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from areca.errors import GridError, InputError
from areca.measures import measure, read_objects, write_objects


def crowns(count=300, seed=4):
    rng = np.random.default_rng(seed)
    points = shapely.points(rng.uniform(4e5, 4.02e5, count), rng.uniform(0, 2e3, count))
    geometry = shapely.buffer(points, rng.uniform(1, 6, count), quad_segs=4)
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"{i:04x}" for i in range(count)],
            "label": "palm",
            "item_id": None,
            "datetime": pd.Timestamp("2024-05-01", tz="UTC"),
        },
        geometry=geometry,
        crs=32648,
    )
    return measure(table)


def same_rows(one, other):
    columns = [name for name in one.columns if name != "geometry"]
    one, other = (
        t.sort_values("object_id").reset_index(drop=True) for t in (one, other)
    )
    assert list(one.columns) == list(other.columns)
    for name in columns:
        np.testing.assert_array_equal(
            one[name].astype(object).where(one[name].notna(), None),
            other[name].astype(object).where(other[name].notna(), None),
        )
    assert one.geometry.to_wkb().equals(other.geometry.to_wkb())


def test_the_metadata_is_geoparquet_1_1_with_covering(tmp_path):
    table = crowns()
    write_objects(table, tmp_path / "crowns.parquet")

    file = pq.ParquetFile(tmp_path / "crowns.parquet")
    geo = json.loads(file.metadata.metadata[b"geo"])

    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["crs"]["type"] == "ProjectedCRS"
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32648}
    assert column["bbox"] == pytest.approx(table.total_bounds)
    assert column["covering"]["bbox"] == {
        side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")
    }
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    boxes = pd.DataFrame(file.read(["bbox"]).column("bbox").to_pylist())
    rows = read_objects(tmp_path / "crowns.parquet")
    np.testing.assert_allclose(boxes.to_numpy(), rows.bounds.to_numpy())


def test_what_is_written_is_read_back(tmp_path):
    table = crowns()
    write_objects(table, tmp_path / "new" / "crowns.parquet")

    back = read_objects(tmp_path / "new" / "crowns.parquet")

    assert back.crs == table.crs
    same_rows(back, table)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["crowns.parquet"]


def test_the_order_of_the_rows_does_not_change_the_bytes(tmp_path):
    table = crowns()
    table.loc[9, "geometry"] = table.loc[8, "geometry"]  # equal place: id decides
    write_objects(table, tmp_path / "one.parquet")
    write_objects(table.iloc[::-1], tmp_path / "two.parquet")

    one, two = ((tmp_path / f"{n}.parquet").read_bytes() for n in ("one", "two"))
    assert one == two


def test_neighbours_in_the_file_are_neighbours_on_the_ground(tmp_path):
    table = crowns(count=2000)
    write_objects(table, tmp_path / "crowns.parquet")

    rows = read_objects(tmp_path / "crowns.parquet")

    def mean_step(table):
        x, y = table.center_x.to_numpy(), table.center_y.to_numpy()
        return np.hypot(np.diff(x), np.diff(y)).mean()

    assert mean_step(rows) < 0.1 * mean_step(table)


@pytest.mark.parametrize("npartitions", [None, 4])
def test_a_bounding_box_reads_only_what_it_touches(tmp_path, npartitions):
    table = crowns()
    path = tmp_path / "crowns"
    if npartitions:
        write_objects(dgpd.from_geopandas(table, npartitions=npartitions), path)
    else:
        write_objects(table, path)
    bbox = (400500.0, 500.0, 401000.0, 1100.0)

    rows = gpd.read_parquet(path, bbox=bbox)

    touches = shapely.intersects(
        shapely.box(*bbox), shapely.box(*table.bounds.T.values)
    )
    assert 0 < len(rows) < len(table)
    assert set(rows.object_id) == set(table.object_id[touches])
    same_rows(read_objects(path, bbox=bbox), rows)


def test_only_the_wanted_columns_are_read(tmp_path):
    write_objects(crowns(), tmp_path / "crowns.parquet")

    rows = read_objects(tmp_path / "crowns.parquet", columns=["area_m2", "geometry"])

    assert list(rows.columns) == ["area_m2", "geometry"]


def test_a_dask_table_becomes_a_folder_of_parts(tmp_path):
    table = crowns()
    lazy = dgpd.from_geopandas(table, npartitions=4)
    # one partition without rows, as a block without palms gives
    lazy = lazy.map_partitions(
        lambda part: part[part.object_id >= "0050"], meta=table.iloc[:0]
    )

    write_objects(lazy, tmp_path / "crowns")

    names = sorted(p.name for p in (tmp_path / "crowns").iterdir())
    assert names == [f"part-{i:05d}.parquet" for i in (1, 2, 3)]
    same_rows(read_objects(tmp_path / "crowns"), table[table.object_id >= "0050"])
    for name in names:
        geo = pq.read_metadata(tmp_path / "crowns" / name).metadata[b"geo"]
        assert "covering" in json.loads(geo)["columns"]["geometry"]


def test_parts_with_and_without_text_read_as_one_table(tmp_path):
    table = crowns(count=40)
    table["item_id"] = [None] * 20 + ["scene-1"] * 20

    # Dask would make text of all of it, as it does where it knows the whole table
    with dask.config.set({"dataframe.convert-string": False}):
        write_objects(dgpd.from_geopandas(table, npartitions=4), tmp_path / "crowns")

    same_rows(read_objects(tmp_path / "crowns"), table)


@pytest.mark.parametrize("lazy", [False, True])
def test_no_objects_is_a_table_all_the_same(tmp_path, lazy):
    empty = crowns().iloc[:0]
    table = dgpd.from_geopandas(empty, npartitions=1) if lazy else empty

    write_objects(table, tmp_path / "none")

    back = read_objects(tmp_path / "none")
    assert len(back) == 0
    assert list(back.columns) == list(empty.columns)
    assert back.crs == empty.crs


def test_rows_without_geometry_are_kept_at_the_end(tmp_path):
    table = crowns(count=5)
    table.loc[0, "geometry"] = None
    table.loc[1, "geometry"] = shapely.Polygon()

    write_objects(table, tmp_path / "crowns.parquet")

    back = read_objects(tmp_path / "crowns.parquet")
    assert list(back.object_id[3:]) == ["0000", "0001"]
    assert back.geometry.isna().tolist() == [False] * 3 + [True, False]


def test_parts_never_mix_with_older_files(tmp_path):
    lazy = dgpd.from_geopandas(crowns(), npartitions=2)
    write_objects(lazy, tmp_path / "crowns")

    with pytest.raises(InputError, match=r"2 Parquet files.*part-00000\.parquet"):
        write_objects(lazy, tmp_path / "crowns")


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "crowns").write_text("notes")

    with pytest.raises(InputError, match="is a file"):
        write_objects(dgpd.from_geopandas(crowns(), npartitions=2), tmp_path / "crowns")


def test_a_missing_crs_is_named_before_anything_is_written(tmp_path):
    table = crowns().set_crs(None, allow_override=True)

    with pytest.raises(GridError, match="no CRS"):
        write_objects(table, tmp_path / "crowns.parquet")
    assert not list(tmp_path.iterdir())


def test_nothing_to_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.parquet does not exist"):
        read_objects(tmp_path / "gone.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(
        InputError, match=r"plain\.parquet cannot be read as GeoParquet"
    ) as caught:
        read_objects(tmp_path / "plain.parquet")
    assert ".." not in str(caught.value)


def test_the_folder_of_a_run_stands_for_its_objects(tmp_path):
    table = crowns(count=30)
    write_objects(table, tmp_path / "k" / "objects" / "part-00000.parquet")
    (tmp_path / "k" / "blocks").mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "k" / "blocks" / "0_0.parquet")

    same_rows(read_objects(tmp_path / "k"), table)


def test_an_address_of_fsspec_works_as_a_path():
    table = crowns(count=30)

    write_objects(dgpd.from_geopandas(table, npartitions=2), "memory://areca/crowns")
    write_objects(table, "memory://areca/crowns.parquet")

    same_rows(read_objects("memory://areca/crowns.parquet"), table)
    same_rows(read_objects("memory://areca/crowns"), table)
