import contextlib
import copy
import dataclasses
import json
import pickle
import time

import numpy as np
import pystac
import pytest
from catalog_rasters import draw, make_item
from pyproj import CRS

from areca.catalog import (
    Scene,
    SceneBand,
    canonical_order,
    choose_bands,
    grid_of,
    normalise_items,
    open_cube,
    search,
)
from areca.errors import BandError, CatalogError, GridError, InputError

REMOTE = "https://stac.example.com/v1"


def one(item, *, href=".", **options):
    (scene,) = normalise_items([item], catalog_href=href, **options)
    return scene


@pytest.fixture
def item(write_tiff):
    return make_item(write_tiff("a.tif", draw(4, 40, 50)))


def with_projection(item, *, on_asset=False, **fields):
    changed = item.clone()
    for key in [key for key in changed.properties if key.startswith("proj:")]:
        del changed.properties[key]
    target = changed.assets["image"].extra_fields if on_asset else changed.properties
    target |= {key.replace("_", ":", 1): value for key, value in fields.items()}
    return changed


TRANSFORM = [2.0, 0.0, 500_000.0, 0.0, -2.0, 5_000_000.0]
UTM = CRS.from_epsg(32614)


@pytest.mark.parametrize("on_asset", [False, True])
@pytest.mark.parametrize(
    "crs",
    [{"proj_code": "EPSG:32614"}, {"proj_epsg": 32614}, {"proj_wkt2": UTM.to_wkt()},
     {"proj_projjson": UTM.to_json_dict()},
     {"proj_epsg": None, "proj_wkt2": UTM.to_wkt()}],
    ids=["code", "epsg", "wkt2", "projjson", "null-epsg"],
)  # fmt: skip
@pytest.mark.parametrize(
    "place",
    [{"proj_transform": TRANSFORM}, {"proj_transform": [*TRANSFORM, 0, 0, 1]},
     {"proj_bbox": [500_000.0, 4_999_920.0, 500_100.0, 5_000_000.0]}],
    ids=["six", "nine", "bbox"],
)  # fmt: skip
def test_every_way_to_write_a_projection_means_the_same(item, on_asset, crs, place):
    changed = with_projection(
        item, on_asset=on_asset, proj_shape=[40, 50], **crs, **place
    )
    scene = one(changed, read_headers=False)
    assert scene.crs == "EPSG:32614"
    assert scene.transform == tuple(TRANSFORM)
    assert scene.shape == (40, 50)


def test_a_missing_projection_is_read_from_the_header(item):
    scene = one(with_projection(item))
    assert (scene.crs, scene.transform, scene.shape) == (
        "EPSG:32614", tuple(TRANSFORM), (40, 50),
    )  # fmt: skip


def test_a_missing_projection_is_refused_when_headers_may_not_be_read(item):
    with pytest.raises(CatalogError, match=r"item 'a'.*no projection.*headers"):
        one(with_projection(item), read_headers=False)


def test_a_remote_header_that_cannot_be_read_is_refused_soon(write_tiff, file_server):
    path = write_tiff("a.tif", draw(4, 40, 50))
    item = with_projection(make_item(path, href=f"{file_server.url}/b.tif?sig=SECRET"))
    start = time.monotonic()
    with pytest.raises(CatalogError, match=r"item 'a'.*cannot open .*b\.tif\?…") as err:
        one(item, href=file_server.url)
    assert time.monotonic() - start < 10
    assert "SECRET" not in str(err.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("proj:code", "EPSG:999999"), ("proj:code", "nonsense"),
     ("proj:transform", [1, 2]),
     ("proj:transform", [0, 0, 0, 0, 0, 0]), ("proj:transform", "x"),
     ("proj:transform", [float("nan")] * 6), ("proj:shape", [0, 5]),
     ("proj:shape", [1.5, 5]), ("proj:shape", [5]), ("start_datetime", "soon")],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_named(item, field, value):
    changed = item.clone()
    changed.properties[field] = value
    if field == "start_datetime":
        changed.datetime = None
        changed.properties |= {"datetime": None, "end_datetime": "later"}
    with pytest.raises(CatalogError, match="item 'a'"):
        one(changed)


@pytest.mark.parametrize(
    "fields",
    [
        {"bands": [{"name": "B4", "eo:common_name": "red"}, {"name": "B8"}]},
        {"eo:bands": [{"name": "B4", "common_name": "red"}, {"name": "B8"}]},
        {
            "bands": [{"name": "B4"}, {"name": "B8"}],
            "eo:bands": [{"common_name": "red"}],
        },
    ],
)
def test_band_names_of_every_version_are_understood(write_tiff, fields):
    item = make_item(write_tiff("a.tif", draw(2, 9, 9)), **{"eo:bands": None, **fields})
    scene = one(item)
    assert [band.name for band in scene.bands] == ["red", "B8"]
    assert scene.find("B4") == scene.find("red") == scene.bands[0]
    assert [band.index for band in scene.bands] == [1, 2]


def test_stac_1_1_puts_type_nodata_and_scale_on_the_band_or_the_asset(write_tiff):
    path = write_tiff("a.tif", draw(2, 9, 9, dtype="uint16"))
    fields = {
        "eo:bands": None, "raster:bands": None,
        "data_type": "uint16", "raster:scale": 0.1,
        "bands": [{"name": "x", "nodata": 7}, {"name": "y", "raster:offset": -1}],
    }  # fmt: skip
    first, second = one(make_item(path, **fields)).bands
    assert (first.dtype, first.nodata, first.scale, first.offset) == (
        "uint16",
        7,
        0.1,
        0,
    )
    assert (second.nodata, second.scale, second.offset) == (None, 0.1, -1)


def test_bands_without_names_are_named_by_key_colour_or_number(write_tiff):
    grey = write_tiff("grey.tif", draw(2, 9, 9), photometric="MINISBLACK")
    colour = write_tiff("colour.tif", draw(3, 9, 9), photometric="RGB")
    nameless = {"eo:bands": None}
    single = make_item(write_tiff("one.tif", draw(1, 9, 9)), **nameless)
    assert [b.name for b in one(make_item(grey, **nameless)).bands] == ["b1", "b2"]
    names = [b.name for b in one(make_item(colour, **nameless)).bands]
    assert names == ["red", "green", "blue"]
    assert one(single).find("image") == one(single).bands[0]


def test_assets_that_hold_no_data_are_ignored(item):
    changed = item.clone()
    more = {
        "thumbnail": pystac.Asset("t.png", media_type="image/png", roles=["thumbnail"]),
        "overview": pystac.Asset(
            "o.tif", media_type=pystac.MediaType.COG, roles=["overview"]
        ),
        "metadata": pystac.Asset("m.xml", media_type="application/xml"),
        "preview": pystac.Asset("p.tif"),
    }
    for key, asset in more.items():
        changed.add_asset(key, asset)
    assert len(one(changed).bands) == 4
    del changed.assets["image"]
    with pytest.raises(CatalogError, match="none of its assets"):
        one(changed)


def test_a_missing_band_is_named_with_what_there_is(item):
    with pytest.raises(BandError, match=r"item 'a' has no band \['swir'\].*'nir'"):
        one(item, bands=["red", "swir"])
    with pytest.raises(BandError, match=r"item a has no band \['swir'\].*'nir'"):
        choose_bands([one(item)], ["red", "swir"])


def test_scenes_survive_json_and_pickle(item):
    scene = one(item)
    found = json.loads(json.dumps(scene.to_dict()))
    found |= {k: tuple(found[k]) for k in ("transform", "shape", "elsewhere")}
    bands = [b | {"aliases": tuple(b["aliases"])} for b in found["bands"]]
    found["bands"] = tuple(SceneBand(**band) for band in bands)
    assert Scene(**found) == scene
    assert pickle.loads(pickle.dumps(scene)) == scene  # noqa: S301 - written here


def test_scenes_are_newest_first_then_by_id_whatever_the_order(item):
    items = []
    for name, when in [("a", "2024"), ("c", "2023"), ("b", "2023"), ("d", "2025")]:
        changed = item.clone()
        changed.id = name
        changed.datetime = changed.datetime.replace(year=int(when))
        items.append(changed)
    for order in (items, items[::-1]):
        scenes = normalise_items(order, catalog_href=".")
        assert [scene.id for scene in scenes] == ["d", "a", "b", "c"]


def test_a_year_item_sorts_by_its_last_moment(item):
    year, moment = item.clone(), item.clone()
    year.datetime = None
    year.properties |= {
        "datetime": None, "start_datetime": "2024-01-01T00:00:00Z",
        "end_datetime": "2024-12-31T23:59:59Z",
    }  # fmt: skip
    year.id = "z"
    scenes = normalise_items([moment, year], catalog_href=".")
    assert [scene.id for scene in scenes] == ["z", "a"]
    assert scenes[0].start == "2024-01-01T00:00:00.000000Z"


def test_scenes_without_a_date_come_last_by_id(item):
    dated = one(item)
    undated = [dataclasses.replace(dated, id=k, start="", end="") for k in "cb"]
    order = canonical_order([*undated, dataclasses.replace(dated, id="z")])
    assert [scene.id for scene in order] == ["z", "b", "c"]


def test_a_foreign_item_cannot_hide_its_date(item, tmp_path):
    item.properties["areca:datetime_source"] = "placeholder"
    for href in ("catalog.json", tmp_path / "collection.json"):
        assert one(item, href=href).start == "2024-05-01T00:00:00.000000Z"


def test_a_remote_item_may_not_name_a_local_file(item):
    with pytest.raises(CatalogError, match=r"item 'a'.*file of this machine"):
        one(item, href=REMOTE)


def recorded(shared_data):
    """Every item of the recorded catalogues, as the servers wrote it."""
    for path in sorted((shared_data / "stac_recorded" / "items").iterdir()):
        lines = path.read_text().splitlines() if path.suffix == ".ndjson" else []
        for document in map(json.loads, lines or [path.read_text()]):
            entries = document if isinstance(document, list) else [document]
            if document_type(document) == "FeatureCollection":
                entries = document["features"]
            yield from (e for e in entries if e.get("type") == "Feature")


def document_type(document):
    return document.get("type") if isinstance(document, dict) else None


def test_recorded_items_of_many_servers_are_understood(shared_data):
    count = 0
    for entry in recorded(shared_data):
        item = pystac.Item.from_dict(copy.deepcopy(entry))
        # One of them, of 2020, links to plain http from a bucket.
        scene = one(item, href="http://stac.example.com", read_headers=False)
        assert scene.bands
        assert scene.crs.startswith("EPSG:")
        count += 1
    assert count > 420


def test_sentinel_2_bands_are_chosen_by_their_grid(shared_data):
    path = shared_data / "stac_recorded" / "items" / "sentinel-2-l2a-pc.json"
    entry = json.loads(path.read_text())
    entry = entry["features"][0] if isinstance(entry, dict) else entry[0]
    item = pystac.Item.from_dict(entry)
    scene = one(item, href=REMOTE)
    assert scene.transform[0] == 10
    assert scene.find("red") == scene.find("B04")
    assert "B11" in scene.elsewhere
    with pytest.raises(BandError, match=r"\['B11'\] lie on another pixel grid"):
        choose_bands([scene], ["red", "B11"])
    assert one(item, href=REMOTE, bands=["B11", "B12"]).transform[0] == 20
    with pytest.raises(GridError, match=r"red 10 x 10 .*20 x 20"):
        one(item, href=REMOTE, bands=["red", "B11"])
    with pytest.raises(BandError, match="no band \\['rededge'\\]"):
        one(item, href=REMOTE, bands=["rededge"])


def test_all_items_of_the_shared_catalogue_are_understood(shared_data):
    items = search(shared_data / "stac_catalog")
    scenes = normalise_items(items, catalog_href=shared_data)
    assert len(scenes) == len(items) >= 440


def test_items_of_the_shared_catalogue_open_as_cubes(shared_data):
    items = search(shared_data / "stac_catalog")[::11]
    scenes = normalise_items(items, catalog_href=shared_data)
    names = {(scene.collection, scene.id): scene.bands[0].name for scene in scenes}
    assert len({scene.collection for scene in scenes}) >= 4
    for item in items:
        cube = open_cube([item], bands=[names[item.collection_id, item.id]])
        assert cube.size
        assert cube.chunks


def test_dates_of_one_quarter_quad_do_not_share_a_grid(shared_data):
    items = search(shared_data / "stac_catalog", collections=["naip-north-dakota"])
    scenes = normalise_items(items, catalog_href=shared_data)
    with pytest.raises(GridError, match="pixel apart"):
        grid_of(scenes)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_items_are_refused_and_never_crash(item, seed):
    rng = np.random.default_rng(seed)
    entry = item.to_dict(include_self_link=False)
    junk = [None, "", -1, [], {}, "x" * 50, float("nan"), [None], True]

    def damage(node):
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            if rng.random() < 0.08:
                node[key] = junk[rng.integers(len(junk))]
            elif isinstance(node[key], (dict, list)):
                damage(node[key])

    damage(entry["properties"])
    damage(entry["assets"]["image"])
    try:
        changed = pystac.Item.from_dict(entry)
    except Exception:  # noqa: BLE001 - what pystac refuses never gets to us
        return
    with contextlib.suppress(InputError):
        assert one(changed).bands
