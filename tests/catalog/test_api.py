import json

import numpy as np
import pystac
import pytest
import rasterio
from catalog_rasters import draw, make_item
from rasterio.transform import Affine
from servers import serve_files, serve_stac

from areca.catalog import api, open_cube, search
from areca.errors import CatalogError

COUNT = 7


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A STAC API with seven tiles in a row, their pixels, and its address."""
    folder = tmp_path_factory.mktemp("api")
    pixels = draw(3, 64, 64 * COUNT)
    with serve_files(folder) as files:
        documents = []
        for k in range(COUNT):
            path = folder / f"tile{k}.tif"
            profile = {
                "driver": "GTiff", "count": 3, "height": 64, "width": 64,
                "dtype": "uint8", "nodata": 0, "crs": "EPSG:32614",
                "transform": Affine(2, 0, 5e5 + 128 * k, 0, -2, 5e6),
            }  # fmt: skip
            with rasterio.open(path, "w", **profile) as file:
                file.write(pixels[:, :, 64 * k : 64 * k + 64])
            item = make_item(
                path, href=f"{files.url}/{path.name}", when=f"202{k}-01-01"
            )
            documents.append(folder / f"tile{k}.json")
            documents[-1].write_text(json.dumps(item.to_dict(include_self_link=False)))
        extent = pystac.Extent(
            pystac.SpatialExtent([[-180, -90, 180, 90]]),
            pystac.TemporalExtent([[None, None]]),
        )
        collection = pystac.Collection("drawn", "drawn tiles", extent)
        documents.insert(0, folder / "collection.json")
        documents[0].write_text(json.dumps(collection.to_dict(include_self_link=False)))
        with serve_stac(*documents) as url:
            yield url, pixels, files


def ids(items):
    return [item.id for item in items]


def test_an_api_is_searched_over_several_pages_and_read(served, monkeypatch):
    url, pixels, _ = served
    monkeypatch.setattr(api, "PAGE", 2)
    items = search(url, collections=["drawn"])
    assert ids(items) == [f"tile{k}" for k in reversed(range(COUNT))]
    cube = open_cube(items, bands=["red", "green", "blue"])
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(cube.values, pixels)


def test_filters_of_an_api_hold(served):
    url, _, _ = served
    assert ids(search(url, collections=["drawn"], datetime="2023")) == ["tile3"]
    assert ids(search(url, datetime="2025/..", collections=["drawn"])) == [
        "tile6",
        "tile5",
    ]
    (item,) = search(url, collections=["drawn"], datetime="2024")
    west, south, east, north = item.bbox
    inside = (west + 3e-5, south + 3e-5, east - 3e-5, north - 3e-5)
    assert ids(search(url, collections=["drawn"], aoi=inside)) == ["tile4"]
    assert ids(search(url, collections=["drawn"], limit=2)) == ["tile6", "tile5"]


def test_an_api_that_finds_nothing_is_told(served):
    url, _, _ = served
    with pytest.raises(CatalogError, match=r"no items in http.*datetime='1999'"):
        search(url, collections=["drawn"], datetime="1999")


def test_searching_reads_no_file(served):
    url, _, files = served
    files.requests.clear()
    cube = open_cube(search(url, collections=["drawn"]), bands=["red"])
    assert cube.shape == (1, 64, 64 * COUNT)
    assert files.requests == []
