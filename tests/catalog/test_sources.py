"""Other sources of items: S3, tables, patterns, both sides of the 180th meridian."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pystac
import pytest
import requests
import stac_geoparquet.arrow
from catalog_rasters import draw, make_item
from servers import free_port, serve_stac
from shapely import box

from areca.catalog import CubeOptions, open_cube, read_aoi, search, set_origin
from areca.catalog.duplicates import without_duplicates
from areca.errors import AoiError, CatalogError
from areca.tiles import cube_geobox

RGB = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """An S3 server (SeaweedFS) on loopback that asks for no credentials."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent))
    ports = [free_port() for _ in range(8)]
    parts = [f"-{part}.port" for part in ("master", "volume", "filer", "s3")]
    flags = [*(f"{part}.grpc" for part in parts), *parts]
    server = subprocess.Popen(
        [weed, "server", f"-dir={tmp_path_factory.mktemp('weed')}", "-s3",
         "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=2",
         *(f"{flag}={port}" for flag, port in zip(flags, ports, strict=True))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{ports[-1]}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                put(f"{url}/bucket", b"")
                put(f"{url}/bucket/probe", b"x")
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    pytest.fail("weed did not serve S3")
                time.sleep(0.2)
        yield url
    finally:
        server.kill()
        server.wait(10)


def put(url, body):
    requests.put(url, data=body, timeout=5).raise_for_status()


def test_a_bucket_is_read_with_options_of_gdal_in_the_graph(
    s3, write_tiff, monkeypatch
):
    pixels = draw(3, 150, 130)
    path = write_tiff("a.tif", pixels)
    put(f"{s3}/bucket/scenes/a.tif", path.read_bytes())
    gdal = {
        "AWS_S3_ENDPOINT": s3.removeprefix("http://"), "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES",
        "AWS_REQUEST_PAYER": "requester",
    }  # fmt: skip
    for name in gdal:
        monkeypatch.setenv(name, "")  # put back after the test
        monkeypatch.delenv(name)
    item = make_item(path, href="s3://bucket/scenes/a.tif")
    items = set_origin([item], "https://stac.example.com")
    cube = open_cube(items, bands=RGB, options=CubeOptions(gdal=gdal))
    np.testing.assert_array_equal(cube.values, pixels)


def test_a_table_of_items_is_a_catalogue(write_tiff, tmp_path):
    pixels = [draw(3, 40, 40, seed=k) for k in range(3)]
    items = []
    for k, some in enumerate(pixels):
        path = write_tiff(f"{k}.tif", some, origin=(5e5 + 80 * k, 5e6))
        item = make_item(path, href=f"./{k}.tif", when=f"202{k}-05-01")
        items.append(item.to_dict(include_self_link=False))
    table = tmp_path / "items.parquet"
    batches = stac_geoparquet.arrow.parse_stac_items_to_arrow(items)
    stac_geoparquet.arrow.to_parquet(batches, table)
    found = search(table, datetime="2021/2022")
    assert [item.id for item in found] == ["2", "1"]
    cube = open_cube(found, bands=RGB)
    np.testing.assert_array_equal(cube.values, np.concatenate(pixels[1:], axis=2))
    wrong = tmp_path / "wrong.parquet"
    wrong.write_bytes(b"PAR1")
    with pytest.raises(CatalogError, match="no stac-geoparquet file"):
        search(wrong)


def test_a_pattern_of_files_is_a_catalogue(write_tiff, tmp_path):
    for name in ("a_2023.tif", "a_2024.tif", "deep/b_2024.tif"):
        write_tiff(name, draw(3, 20, 20))
    found = search(f"{tmp_path}/*_2024.tif")
    assert [item.id for item in found] == ["a_2024"]
    found = search(f"{tmp_path}/**/*_2024.tif")
    assert [item.id for item in found] == ["a_2024", "b_2024"]
    assert open_cube(found[:1], bands=RGB).shape == (3, 20, 20)
    with pytest.raises(CatalogError, match="check the pattern"):
        search(f"{tmp_path}/*_2019.tif")


@pytest.fixture
def at_180(write_tiff):
    """Two scenes in degrees that meet at the 180th meridian, in Fiji."""
    pixels = draw(1, 90, 200, dtype="uint16")
    pixel, north = 1e-3, -17.0
    west = write_tiff(
        "west.tif", pixels[..., :100], origin=(179.9, north), pixel=pixel,
        crs="EPSG:4326", nodata=0,
    )  # fmt: skip
    east = write_tiff(
        "east.tif", pixels[..., 100:], origin=(-180.0, north), pixel=pixel,
        crs="EPSG:4326", nodata=0,
    )  # fmt: skip
    return [make_item(west), make_item(east)]


def test_scenes_on_both_sides_of_180_degrees_are_one_cube(at_180):
    cube = open_cube(set_origin(at_180, "."), bands=["red"])
    grid = cube_geobox(cube)
    assert str(grid.crs) in {"EPSG:32760", "EPSG:32701"}
    assert max(grid.shape) < 300
    middle = cube.values[0, 20:-20, 20:-20]
    assert (middle > 0).all()  # no gap where they meet
    across = open_cube(
        set_origin(at_180, "."), bands=["red"], aoi=(179.95, -17.06, -179.95, -17.03)
    )
    assert across.sizes["x"] < 0.6 * cube.sizes["x"]


def test_an_area_across_180_degrees_is_its_two_halves():
    area = read_aoi("179.5,-18,-179,-17")
    expected = box(179.5, -18, 180, -17).union(box(-180, -18, -179, -17))
    assert area.equals(expected)
    for swapped in ("10,0,5,10", "0,10,5,0", "5,0,5,10", "200,0,-170,1"):
        with pytest.raises(AoiError, match="empty or swapped"):
            read_aoi(swapped)


def test_an_api_is_asked_for_both_sides_of_180_degrees(at_180, tmp_path):
    far = make_item(tmp_path / "west.tif", item_id="far")
    far.bbox, far.geometry = [0, -18, 1, -17], box(0, -18, 1, -17).__geo_interface__
    collection = pystac.Collection(
        "drawn", "Drawn",
        pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]),
                      pystac.TemporalExtent([[None, None]])),
    )  # fmt: skip
    features = [item.to_dict() for item in (*at_180, far)]
    for feature in features:
        feature["links"] = []
    documents = {
        "collection.json": collection.to_dict(include_self_link=False) | {"links": []},
        "items.json": {"type": "FeatureCollection", "features": features},
    }
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
    with serve_stac(*(tmp_path / name for name in documents)) as url:
        found = search(url, aoi="179.5,-18,-179.5,-16.9")
        assert sorted(item.id for item in found) == ["east", "west"]


def test_of_two_processings_the_newer_is_kept_and_the_other_listed(write_tiff):
    items = [
        make_item(write_tiff(f"{name}.tif", draw(1, 9, 9, seed=k)))
        for k, name in enumerate(["new", "old", "other"])
    ]
    for item, made, tile in zip(
        items, ("2024-02", "2023-02", "2022-02"), ("33UXP", "33UXP", "33UXQ"),
        strict=True,
    ):  # fmt: skip
        item.properties |= {"s2:mgrs_tile": tile, "s2:generation_time": made}
    kept, again = without_duplicates(items)
    assert [item.id for item in kept] == ["new", "other"]
    assert [item.id for item in again] == ["old"]
    cube = open_cube(set_origin(items, "."), bands=["red"])
    assert cube.attrs["duplicates"] == ["old"]
    assert [item["id"] for item in cube.attrs["items"]] == ["new", "other"]
    del items[0].properties["s2:mgrs_tile"]
    assert len(without_duplicates(items)[0]) == 3


def test_a_projected_file_across_the_180th_meridian_lies_where_it_is(write_tiff):
    """UTM zone 60 south goes on past 180 degrees."""
    path = write_tiff(
        "fiji.tif", draw(1, 100, 100), crs="EPSG:32760", pixel=100.0,
        origin=(814_000, 8_116_000),
    )  # fmt: skip
    (item,) = search(path)
    west, _, east, _ = item.bbox
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    for inside in (
        (179.96, -17.04, 179.97, -17.03),
        (-179.98, -17.04, -179.97, -17.03),
    ):
        assert len(search(path, aoi=inside)) == 1
    with pytest.raises(AoiError, match="km away"):
        search(path, aoi=(0, -17.04, 1, -17))
