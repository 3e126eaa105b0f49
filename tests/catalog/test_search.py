import json
import os
import time
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
from catalog_rasters import draw, make_item
from servers import free_port

from areca.catalog import (
    CubeOptions,
    grid_of,
    normalise_items,
    open_cube,
    read_mosaic,
    search,
    set_origin,
)
from areca.errors import AoiError, BandError, CatalogError

SQUARE_ID = {"a": (500_000.0, 5_000_000.0), "b": (502_000.0, 5_000_000.0)}


@pytest.fixture
def catalog(tmp_path, write_tiff):
    """A static catalogue of two collections; returns its folder."""
    root = pystac.Catalog("root", "drawn")
    for k, name in enumerate(["one", "two"]):
        extent = pystac.Extent(
            pystac.SpatialExtent([[-180, -90, 180, 90]]),
            pystac.TemporalExtent([[None, None]]),
        )
        collection = pystac.Collection(name, "drawn", extent)
        for letter, origin in SQUARE_ID.items():
            path = write_tiff(
                f"{name}_{letter}.tif", draw(3, 50, 50, seed=k), origin=origin
            )
            item = make_item(path, when=f"202{k}-05-0{'ab'.index(letter) + 1}")
            item.collection_id = None
            collection.add_item(item)
        root.add_child(collection)
    root.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "stac"


def ids(items):
    return [item.id for item in items]


def test_a_static_catalogue_gives_its_items_newest_first(catalog):
    expected = ["two_b", "two_a", "one_b", "one_a"]
    assert ids(search(catalog)) == expected
    assert ids(search(str(catalog / "catalog.json"))) == expected
    assert ids(search(catalog / "one" / "collection.json")) == ["one_b", "one_a"]
    assert ids(search(catalog / "one" / "one_a" / "one_a.json")) == ["one_a"]


def test_filters_hold(catalog):
    assert ids(search(catalog, collections=["one"])) == ["one_b", "one_a"]
    assert ids(search(catalog, datetime="2021")) == ["two_b", "two_a"]
    assert ids(search(catalog, datetime="2021-05-01/2021-05-01")) == ["two_a"]
    assert ids(search(catalog, limit=1)) == ["two_b"]
    west, south, east, north = search(catalog, collections=["one"])[0].bbox
    aoi = (west + 1e-4, south, east, north)
    assert ids(search(catalog, aoi=aoi, collections=["one"])) == ["one_b"]


def test_items_of_other_collections_are_not_opened(catalog):
    (catalog / "two" / "two_a" / "two_a.json").write_text("damaged")
    assert ids(search(catalog, collections=["one"])) == ["one_b", "one_a"]
    with pytest.raises(CatalogError, match=r"two_a\.json is no JSON"):
        search(catalog)


def test_the_shared_catalogue_is_searched_within_three_seconds(shared_data):
    start = time.monotonic()
    items = search(shared_data / "stac_catalog")
    assert time.monotonic() - start < 3
    assert len(items) >= 440


def test_an_empty_search_repeats_what_was_asked(catalog):
    with pytest.raises(CatalogError, match=r"no items in .* collections=\['three'\]"):
        search(catalog, collections=["three"])
    with pytest.raises(CatalogError, match=r"datetime='1999'"):
        search(catalog, datetime="1999")


def test_an_area_outside_the_items_tells_how_far(catalog):
    with pytest.raises(AoiError, match=r"nearest of 4 items is 1?\d\d\.\d km away"):
        search(catalog, aoi="-98,45,-97,46")


@pytest.mark.parametrize("options", [{"collections": "one"}, {"limit": 0}])
def test_options_that_cannot_be_are_refused(catalog, options):
    with pytest.raises(CatalogError):
        search(catalog, **options)


def test_a_loop_of_links_ends(catalog):
    path = catalog / "one" / "collection.json"
    document = json.loads(path.read_text())
    document["links"].append({"rel": "child", "href": "../catalog.json"})
    path.write_text(json.dumps(document))
    assert len(search(catalog)) == 4


def test_a_list_of_items_is_a_catalogue(catalog, tmp_path):
    path = tmp_path / "items.json"
    pystac.ItemCollection(search(catalog)).save_object(str(path))
    assert ids(search(path)) == ["two_b", "two_a", "one_b", "one_a"]


def test_a_geotiff_is_an_item(write_tiff):
    path = write_tiff("a.tif", draw(3, 40, 50), photometric="RGB")
    (item,) = search(path)
    (scene,) = normalise_items([item], catalog_href=path)
    assert scene.id == "a"
    assert [band.name for band in scene.bands] == ["red", "green", "blue"]
    assert (scene.crs, scene.shape) == ("EPSG:32614", (40, 50))


def test_a_folder_of_geotiffs_is_a_catalogue(write_tiff, tmp_path):
    pixels = draw(2, 30, 30)
    write_tiff("in/a.tif", pixels)
    write_tiff("in/deep/a.tiff", pixels)
    write_tiff("in/B.TIF", pixels)
    (tmp_path / "in" / "notes.txt").write_text("no raster")
    items = search(tmp_path / "in")
    assert ids(items) == ["B", "a", "deep__a"]
    cube = open_cube(items, bands=["b2"])
    np.testing.assert_array_equal(cube.values, pixels[1:])


def test_a_geotiff_has_no_date_whatever_its_tag_and_time_say(write_tiff, tmp_path):
    for name in ("b", "a"):
        path = write_tiff(f"in/{name}.tif", draw(1, 9, 9, seed=ord(name)))
        with rasterio.open(path, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME="2019:06:30 12:00:00")
            file.set_band_description(1, "NDVI")

    def scenes():
        found = search(tmp_path / "in")
        for item in found:
            assert pystac.Item.from_dict(item.to_dict()).datetime.year == 1970
            assert item.properties["areca:datetime_source"] == "placeholder"
        return normalise_items(found, catalog_href=tmp_path / "in")

    before = [scene.to_dict() for scene in scenes()]
    assert [(s["id"], s["start"], s["end"]) for s in before] == [
        ("a", "", ""),
        ("b", "", ""),
    ]
    os.utime(tmp_path / "in" / "b.tif", (2 * 10**9, 2 * 10**9))
    assert [scene.to_dict() for scene in scenes()] == before
    cube = open_cube(search(tmp_path / "in")[::-1], bands=["ndvi"])
    assert [(i["id"], i["start"], i["end"]) for i in cube.attrs["items"]] == [
        ("a", "", ""),
        ("b", "", ""),
    ]
    np.testing.assert_array_equal(cube.values, draw(1, 9, 9, seed=ord("a")))


def test_a_date_that_a_user_gives_a_geotiff_counts(write_tiff, tmp_path):
    for name in "ab":
        write_tiff(f"in/{name}.tif", draw(1, 9, 9, seed=ord(name)))
    first, second = search(tmp_path / "in", names=["red"])
    first.datetime = datetime(2024, 6, 1, tzinfo=UTC)

    each = CubeOptions(time="each")
    cube = open_cube([first, second], bands=["red"], options=each)

    dated = cube.time.values == np.datetime64("2024-06-01")
    assert np.isnat(cube.time.values[~dated]).all()
    np.testing.assert_array_equal(
        cube.values[dated], draw(1, 9, 9, seed=ord("a"))[None]
    )


def test_geotiffs_cannot_be_filtered_by_date(write_tiff):
    path = write_tiff("in/a.tif", draw(1, 9, 9))
    for place in (path, path.parent):
        with pytest.raises(CatalogError, match=r"datetime='1970'.*do not tell") as err:
            search(place, datetime="1970")
        assert "\n" not in str(err.value)


def test_files_that_differ_in_their_ending_only_are_two_items(write_tiff, tmp_path):
    for name in ("a.tif", "a.tiff", "b.tif"):
        write_tiff(f"in/{name}", draw(1, 9, 9))
    assert ids(search(tmp_path / "in")) == ["a.tif", "a.tiff", "b"]


def test_equal_ids_in_two_collections_are_two_scenes(write_tiff, tmp_path):
    pixels = {name: draw(1, 40, 40, seed=k) for k, name in enumerate(["one", "two"])}
    features = []
    for k, name in enumerate(pixels):
        origin = (500_000.0 + 80 * k, 5_000_000.0)
        path = write_tiff(f"{name}.tif", pixels[name], origin=origin)
        item = make_item(path, item_id="same")
        features.append(item.to_dict() | {"collection": name})
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    items = search(path)
    assert [(item.collection_id, item.id) for item in items] == [
        ("one", "same"),
        ("two", "same"),
    ]
    scenes = normalise_items(items, catalog_href=path)
    assert [scene.collection for scene in scenes] == ["one", "two"]
    mosaic = read_mosaic(scenes, ["red"], grid_of(scenes))
    values, source = mosaic.pixels, mosaic.source
    np.testing.assert_array_equal(values[0, :, :40], pixels["one"][0])
    np.testing.assert_array_equal(values[0, :, 40:], pixels["two"][0])
    np.testing.assert_array_equal(source[0], [0] * 40 + [1] * 40)
    cube = open_cube(items, bands=["red"])
    assert [item["collection"] for item in cube.attrs["items"]] == ["one", "two"]
    np.testing.assert_array_equal(cube.values, values)


def test_a_geotiff_without_a_place_is_refused(write_tiff):
    path = write_tiff("a.tif", draw(1, 9, 9), crs=None)
    with pytest.raises(CatalogError, match="no georeference"):
        search(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.json", None, "no such file"),
        ("a.json", "{", "is no JSON"),
        ("a.json", "[1]", "no STAC document"),
        ("a.json", '{"type": "Topology"}', "no STAC document"),
        ("a.json", "<html>", r"is HTML \(a login page\?\)"),
        ("a.json", '{"type": "Feature", "id": "x"}', "item 'x' .* no valid STAC item"),
        ("a.json", '{"type": "FeatureCollection", "features": 3}', "no items"),
        ("a.json", '{"type": "Catalog", "id": "x", "links": 3}', "no items"),
        ("a.tif", "no tiff", "not recognized"),
        ("a.json", "\udcff", "cannot read|no JSON"),
    ],
)
def test_an_unreadable_catalogue_is_one_clear_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CatalogError, match=message) as err:
        search(tmp_path / name)
    assert "\n" not in str(err.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(CatalogError, match=r"neither a catalog\.json nor GeoTIFFs"):
        search(tmp_path)


@pytest.mark.parametrize("fault", ["404", "500", "html", "drop"])
def test_a_faulty_server_is_one_clear_line_without_secrets(
    tmp_path, file_server, fault
):
    (tmp_path / "catalog.json").write_text(
        '{"type": "Catalog", "id": "x", "links": []}'
    )
    file_server.faults["catalog.json"] = fault
    with pytest.raises(CatalogError) as err:
        search(f"{file_server.url}/catalog.json?token=SECRET")
    assert "SECRET" not in str(err.value)
    assert "catalog.json?…" in str(err.value)
    assert "\n" not in str(err.value)
    assert len(str(err.value)) < 400


def test_a_server_that_is_not_there_is_refused():
    with pytest.raises(CatalogError, match="cannot read the catalogue"):
        search(f"http://127.0.0.1:{free_port()}/catalog.json")


def test_a_static_catalogue_over_http_is_searched_and_read(
    catalog, tmp_path, file_server
):
    for path in catalog.rglob("two_?.json"):
        path.write_text(path.read_text().replace(str(tmp_path), "../../.."))
    items = search(f"{file_server.url}/stac/catalog.json", collections=["two"])
    assert ids(items) == ["two_b", "two_a"]
    opened = [path for _, path, _ in file_server.requests]
    assert not any("one_" in path for path in opened)
    cube = open_cube(items, bands=["red", "green"])
    np.testing.assert_array_equal(cube[:, :, :50].values, draw(3, 50, 50, seed=1)[:2])


def test_refused_links_cost_no_request(write_tiff, file_server):
    path = write_tiff("secret.tif", draw(1, 9, 9))
    canary = f"{file_server.url}/secret.tif"
    for href in (canary, f"/vsicurl/{canary}", f"https://{canary[7:]}", str(path)):
        item = make_item(path, href=href)
        with pytest.raises(CatalogError, match="refused to read"):
            normalise_items([item], catalog_href="https://stac.example.com")
        with pytest.raises(CatalogError, match="refused to read"):
            open_cube([item], bands=["red"])
    assert file_server.requests == []


def test_what_a_local_catalogue_links_to_may_name_no_local_file(
    write_tiff, tmp_path, file_server
):
    """The item and, one document further, a catalogue that leads back to this disk."""
    path = write_tiff("private.tif", draw(1, 9, 9))
    item = make_item(path, href=path.as_uri(), names=["red"])
    (tmp_path / "item.json").write_text(json.dumps(item.to_dict()))

    def write_catalog(name, rel, href):
        links = [{"rel": rel, "href": href}]
        about = {"type": "Catalog", "stac_version": "1.0.0", "id": name}
        place = tmp_path / name
        place.write_text(json.dumps({**about, "description": "-", "links": links}))
        return place

    trusted = write_catalog("own.json", "item", "item.json")
    assert (open_cube(search(trusted), bands=["red"]).values > 0).all()
    local = write_catalog("local.json", "item", f"{file_server.url}/item.json")
    found = search(local)
    with pytest.raises(CatalogError, match="Only a local catalogue"):
        open_cube(found, bands=["red"])
    with pytest.raises(CatalogError, match="Only a local catalogue"):
        normalise_items(found, catalog_href=local)
    assert open_cube(set_origin(found, "."), bands=["red"]).shape == (1, 9, 9)
    write_catalog("back.json", "item", (tmp_path / "item.json").as_uri())
    local = write_catalog("local.json", "child", f"{file_server.url}/back.json")
    with pytest.raises(CatalogError, match="Only a local catalogue"):
        search(local)


def test_an_invalid_item_is_told_without_its_signature(tmp_path):
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "a", "links": []}
    (tmp_path / "a.json").write_text(
        json.dumps({**item, "properties": {"datetime": "https://h.org/a?sig=CANARY"}})
    )
    with pytest.raises(CatalogError, match="no valid STAC item") as caught:
        search(tmp_path / "a.json")
    assert "CANARY" not in str(caught.value)


def test_bands_of_geotiffs_are_named_by_the_user(write_tiff, catalog):
    pixels = draw(3, 30, 40)
    path = write_tiff("plain.tif", pixels)
    items = search(path.parent / "plain*.tif", names=["nir", "red", "haze"])
    cube = open_cube(items, bands=["haze", "nir"])
    np.testing.assert_array_equal(cube.values, pixels[[2, 0]])
    with pytest.raises(CatalogError, match="are 2, and 'plain' has 3 bands"):
        search(path, names=["nir", "red"])
    with pytest.raises(CatalogError, match="names of its own"):
        search(catalog, names=["nir", "red", "haze"])
    with pytest.raises(BandError, match=r"no band \['nir'\].*search\(…, names="):
        open_cube(search(path), bands=["nir"])
