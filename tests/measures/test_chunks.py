"""Chunks are for the cache: what is found does not depend on them."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from outline_shapes import lobed

from areca.measures import MeasureOptions, bounding_geometry, chunks, measure
from areca.measures.chunks import chunks_of


def crowns():
    rng = np.random.default_rng(4)
    shapes = lobed(30, vertices=40)
    shapes = [
        shapely.affinity.translate(shape, *place)
        for shape, place in zip(shapes, rng.uniform(0, 500, (30, 2)), strict=True)
    ]
    shapes[3] = None
    shapes[7] = shapely.Point(4, 4).buffer(5, quad_segs=200)
    moved = [s and shapely.affinity.translate(s, 5e5, 3e5) for s in shapes]
    return gpd.GeoDataFrame(geometry=moved, crs=32648)


@pytest.mark.parametrize(("objects", "vertices"), [(3, 10**6), (10**6, 100), (1, 1)])
def test_chunks_hold_every_row_once_and_change_no_bit(objects, vertices, monkeypatch):
    table = crowns()
    knobs = MeasureOptions(bounding=True, notes=True)
    whole = measure(table, options=knobs), bounding_geometry(table)
    monkeypatch.setattr(chunks, "CHUNK_OBJECTS", objects)
    monkeypatch.setattr(chunks, "CHUNK_VERTICES", vertices)

    geometry = table.geometry.to_numpy()
    filled = np.flatnonzero(~shapely.is_missing(geometry))
    parts = list(chunks_of(geometry, filled))
    again = measure(table, options=knobs), bounding_geometry(table)

    assert len(parts) > 5
    np.testing.assert_array_equal(np.concatenate(parts), filled)
    assert max(map(len, parts)) <= objects
    for one, other in zip(whole, again, strict=True):
        pd.testing.assert_frame_equal(
            pd.DataFrame(one.drop(columns="geometry")),
            pd.DataFrame(other.drop(columns="geometry")),
        )
        assert one.geometry.to_wkb().equals(other.geometry.to_wkb())


def test_no_rows_make_no_chunk():
    assert list(chunks_of(np.empty(0, object), np.empty(0, np.intp))) == []
