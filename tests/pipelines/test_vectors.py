"""Files are read part by part, and no further than asked."""

import time

import geopandas as gpd
import pyarrow as pa
import shapely
from outline_shapes import lobed

from areca_pipelines.vectors import read_parts

ROWS, GROUPS = 1000, 30


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
