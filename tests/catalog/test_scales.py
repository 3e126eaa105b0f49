"""Scale, offset and nodata as the pixels of public collections really have them."""

import json

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from catalog_rasters import draw, make_item

from areca.catalog import CubeOptions, normalise_items, open_cube, search, set_origin
from areca.catalog.documents import make_item as make_any_item
from areca.errors import InputError

REMOTE = "https://stac.example.com"


def recorded(shared_data, name):
    text = (shared_data / "stac_recorded" / "items" / name).read_text()
    if name.endswith(".ndjson"):
        return json.loads(text.splitlines()[0])
    found = json.loads(text)
    if isinstance(found, list):
        return found[0]
    return found.get("features", [found])[0]


@pytest.mark.parametrize(
    ("name", "band", "golden"),
    [
        # Baseline 05.10: 1000 is subtracted; 02.12: not (ESA).
        ("sentinel-2-l2a-pc.json", "red", (1e-4, -0.1, 0)),
        ("sentinel-2-l2a-pc.json", "nir", (1e-4, -0.1, 0)),
        ("sentinel-2-l2a-pc.json", "SCL", (1, 0, None)),
        ("site1-20200606-tall-strip-africa.geojson", "red", (1e-4, 0, 0)),
        # Landsat Collection 2 level 2 (USGS), told by the item and not.
        ("landsat-c2-l2-pc.json", "red", (2.75e-5, -0.2, 0)),
        ("landsat-c2-l2-pc.json", "qa_pixel", (1, 0, 1)),
        ("LC08_L2SP_028030_20200114_20200824_02_T1_SR.json", "red", (2.75e-5, -0.2, 0)),
        ("naip-pc.json", "red", (1, 0, None)),
        ("naip_items.ndjson", "nir", (1, 0, None)),
    ],
)
def test_golden_scales(shared_data, name, band, golden):
    item = pystac.Item.from_dict(recorded(shared_data, name))
    (scene,) = normalise_items(
        [item], catalog_href=REMOTE, bands=[band], read_headers=False
    )
    found = scene.find(band)
    assert (found.scale, found.offset, found.nodata) == golden


def test_an_offset_that_is_applied_already_is_not_applied_again(write_tiff):
    path = write_tiff("a.tif", draw(1, 9, 9, dtype="uint16"))
    told = {"raster:bands": [{"data_type": "uint16", "scale": 1e-4, "offset": -0.1}]}
    item = make_item(path, **told)
    stored = draw(1, 9, 9, dtype="uint16").astype("float64")
    cube = open_cube(set_origin([item], "."), bands=["red"])
    np.testing.assert_allclose(cube.values, stored * 1e-4 - 0.1, rtol=1e-6, atol=1e-6)
    assert cube.attrs["items"][0]["scale_offset"] == {"red": [1e-4, -0.1]}
    item.properties["earthsearch:boa_offset_applied"] = True
    cube = open_cube(set_origin([item], "."), bands=["red"])
    np.testing.assert_allclose(cube.values, stored * 1e-4, rtol=1e-6)
    assert cube.attrs["items"][0]["scale_offset"] == {"red": [1e-4, 0.0]}


def test_the_user_has_the_last_word(write_tiff):
    path = write_tiff("a.tif", draw(2, 9, 9, dtype="uint16"))
    told = {"raster:bands": [{"data_type": "uint16", "scale": 0.5}] * 2}
    items = set_origin([make_item(path, names=["red", "scl"], **told)], ".")
    stored = draw(2, 9, 9, dtype="uint16")

    def opened(**scales):
        options = CubeOptions(scale_offset=scales)
        return open_cube(items, bands=["red", "scl"], options=options)

    xr.testing.assert_equal(opened().compute(), opened().compute())
    np.testing.assert_array_equal(opened().values, stored * 0.5)
    found = opened(**{"*": (1, 0), "image.b2": (1, 0)})
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found.values, stored)
    np.testing.assert_array_equal(opened(red=(2, 1)).values[0], stored[0] * 2.0 + 1)
    np.testing.assert_array_equal(opened(red=(2, 1)).values[1], stored[1] * 0.5)
    with pytest.raises(InputError, match="first not zero"):
        opened(red=(0, 1))


def test_all_items_of_recorded_conversations_load_or_say_why(shared_data):
    folder = shared_data / "stac_recorded" / "replay"
    entries = {}
    for path in sorted(folder.glob("*.json")):
        for exchange in json.loads(path.read_text()):
            answer = exchange["response"]["json"]
            features = answer.get("features", []) if isinstance(answer, dict) else []
            for entry in features:
                if "assets" in entry:
                    entries[entry.get("collection"), entry["id"]] = entry
    assert len(entries) > 100
    loaded, reasons = 0, {}
    for key, entry in entries.items():
        try:
            item = make_any_item(entry, REMOTE, is_own=False)
            (scene,) = normalise_items([item], catalog_href=REMOTE, read_headers=False)
            assert scene.bands
            loaded += 1
        except InputError as err:
            reasons[key] = str(err)
    assert (loaded, reasons) == (len(entries), {})


def test_scale_and_offset_of_a_file_without_an_item_are_those_of_its_header(write_tiff):
    stored = np.array([[[5000, -1]], [[3, 4]], [[7, 8]]], "int16")
    path = write_tiff("a.tif", stored, nodata=-1)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4, 1.0, 0.0), (-0.1, 0.0, 9.0)
    cube = open_cube(search(path), bands=["b1", "b2", "b3"])
    expected = np.array([[[0.4, np.nan]], [[3, 4]], [[7, 8]]], "float32")
    np.testing.assert_allclose(cube, expected, rtol=1e-6)
    assert cube.attrs["items"][0]["scale_offset"] == {"b1": [1e-4, -0.1]}
    options = CubeOptions(scale_offset={"*": (1, 0)})
    raw = open_cube(search(path), bands=["b1", "b2", "b3"], options=options)
    np.testing.assert_array_equal(raw, stored)
    assert raw.dtype == np.int16
