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


@pytest.fixture
def careless(tmp_path, write_tiff, file_server):
    """An API that answers every search with the same two items; returns its address.

    Its second page is whatever the test writes to next.json.
    """
    items = [
        make_item(write_tiff(f"{name}.tif", draw(1, 9, 9), origin=origin), when=when)
        for name, origin, when in [
            ("a", (500_000.0, 5_000_000.0), "2020-01-01"),
            ("b", (600_000.0, 5_000_000.0), "2021-01-01"),
        ]
    ]
    follow = {"rel": "next", "href": f"{file_server.url}/next.json", "method": "GET"}
    page = pystac.ItemCollection(items).to_dict() | {"links": [follow]}
    (tmp_path / "search.json").write_text(json.dumps(page))
    landing = {
        "type": "Catalog", "id": "careless", "stac_version": "1.0.0",
        "description": "x",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{
            "rel": "search", "href": f"{file_server.url}/search.json",
            "type": "application/geo+json", "method": "GET",
        }],
    }  # fmt: skip
    (tmp_path / "index.json").write_text(json.dumps(landing))
    (tmp_path / "next.json").write_text('{"type": "FeatureCollection", "features": []}')
    return f"{file_server.url}/index.json"


def test_filters_hold_also_where_the_server_ignores_them(careless):
    assert ids(search(careless)) == ["b", "a"]
    assert ids(search(careless, datetime="2020")) == ["a"]
    assert ids(search(careless, aoi="-99.5,45,-98.5,45.3")) == ["a"]
    with pytest.raises(CatalogError, match="no items"):
        search(careless, collections=["other"])


def test_pages_without_end_are_noticed(careless, tmp_path):
    (tmp_path / "next.json").write_text((tmp_path / "search.json").read_text())
    with pytest.raises(CatalogError, match="repeats its pages"):
        search(careless)


@pytest.mark.parametrize("fault", ["404", "500", "html", "drop"])
def test_a_page_that_fails_is_one_clear_line(careless, file_server, fault):
    file_server.faults["next.json"] = fault
    with pytest.raises(CatalogError, match="cannot read the catalogue") as err:
        search(f"{careless}?token=SECRET")
    assert "SECRET" not in str(err.value)
    assert "\n" not in str(err.value)
