"""`areca export`: each format opened by another reader, and all that is refused."""

import contextlib
import io
import json
import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
import zarr
from finished_runs import (
    call,
    check_refused,
    copy_run,
    demo_run,
    patchwork_run,
    unfinished_copy,
)
from pycocotools.coco import COCO
from worlds import CLASSES, draw_ground, noisy_model, write_scene

from areca_pipelines.run_reading import images_of, open_run

# pycocotools 2.0 was written for NumPy 1.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't:DeprecationWarning"
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demo_run(tmp_path_factory.mktemp("demo") / "crowns")


@pytest.fixture(scope="module")
def patchwork(tmp_path_factory):
    return patchwork_run(tmp_path_factory.mktemp("patchwork"))


@pytest.fixture(scope="module")
def objects(demo):
    """The objects of the run as plain geopandas reads them."""
    return by_id(gpd.read_parquet(demo / "objects"))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def by_id(table):
    return table.sort_values("object_id", ignore_index=True)


def check_attributes(back, objects):
    assert back["object_id"].tolist() == objects["object_id"].tolist()
    for name in ("label", "item_id", "tile", "radius_method"):
        assert back[name].tolist() == objects[name].tolist(), name
    for name in ("score", "area_m2", "radius_m", "center_lon", "center_lat"):
        np.testing.assert_array_equal(back[name].astype(objects[name].dtype),
                                      objects[name], name)  # fmt: skip
    assert back["datetime"].isna().all()
    start = pd.to_datetime(back["start_datetime"], utc=True)
    assert start.tolist() == objects["start_datetime"].tolist()


VECTORS = {
    "geoparquet": "crowns.parquet",
    "gpkg": "crowns.gpkg",
    "flatgeobuf": "crowns.fgb",
    "geojson": "crowns.geojson",
}


@pytest.mark.parametrize("form", VECTORS)
def test_a_vector_format_holds_the_objects_of_the_run(demo, objects, capsys, form):
    name = VECTORS[form]

    assert call("export", demo, "--format", form) == 0

    if form == "geoparquet":
        back = by_id(gpd.read_parquet(name))
    else:
        back = by_id(pyogrio.read_dataframe(name, layer=0))
    assert len(back) == len(objects) > 20
    check_attributes(back, objects)
    in_degrees = form == "geojson"
    expected = objects.to_crs(4326) if in_degrees else objects
    assert back.crs == expected.crs
    ours, theirs = (shapely.normalize(t.geometry.to_numpy()) for t in (back, expected))
    assert shapely.equals_exact(ours, theirs, 2e-9 if in_degrees else 0).all()
    out = capsys.readouterr().out
    assert f"{len(objects)} objects as {form}" in out
    assert name in out


def test_a_geopackage_brings_its_qgis_style(demo, objects):
    assert call("export", demo, "--out", "plain.gpkg") == 0
    assert call("export", demo, "--out", "label.gpkg", "--style", "label") == 0

    for name, attribute in (("plain.gpkg", "score"), ("label.gpkg", "label")):
        with contextlib.closing(sqlite3.connect(name)) as file:
            rows = file.execute(
                "SELECT f_table_name, useAsDefault, styleQML FROM layer_styles"
            ).fetchall()
        [(layer, default, qml)] = rows
        assert (layer, default) == (pyogrio.list_layers(name)[0][0], 1)
        root = ET.fromstring(qml)
        renderer = root.find("renderer-v2")
        assert renderer.get("attr") == attribute
        drawn = {c.get("value") for c in renderer.iter("category")}
        assert drawn == ({*objects["label"], ""} if attribute == "label" else set())


def test_geojson_is_as_rfc_7946_has_it(demo, objects):
    assert call("export", demo, "--out", "a.geojson") == 0

    document = json.loads(Path("a.geojson").read_text(encoding="utf-8"))
    assert "crs" not in document
    assert len(document["features"]) == len(objects)
    for feature in document["features"]:
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert ring.shape[1] == 2
        assert shapely.LinearRing(ring).is_ccw


def test_csv_opens_as_a_sheet_with_centres_first(demo, objects):
    assert call("export", demo, "--format", "csv", "--wkt") == 0

    types = {"object_id": str}
    back = pd.read_csv("crowns.csv", dtype=types, float_precision="round_trip")
    back = by_id(back)
    assert list(back.columns[:3]) == ["object_id", "center_lon", "center_lat"]
    check_attributes(back, objects)
    shapes = gpd.GeoSeries.from_wkt(back["wkt"], crs=4326).to_crs(objects.crs)
    assert shapes.hausdorff_distance(objects.geometry).max() < 1e-3


def test_coco_holds_the_objects_in_pixels_of_their_image(demo, objects):
    assert call("export", demo, "--format", "coco", "--out", "a.json") == 0

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        coco = COCO("a.json")
    [image] = coco.dataset["images"]
    item = json.loads((demo / "run.json").read_text())["items"][0]
    with rasterio.open(item["bands"][0]["href"]) as file:
        assert (image["height"], image["width"]) == file.shape
        to_pixels = ~file.transform
    found = {a["object_id"]: a for a in coco.dataset["annotations"]}
    assert set(found) == set(objects["object_id"])
    expected = objects.geometry.affine_transform(to_pixels.to_shapely())
    whole = expected.within(shapely.box(0, 0, image["width"], image["height"]))
    assert 15 < whole.sum() < len(objects)
    for row, shape, is_whole in zip(objects.itertuples(), expected, whole, strict=True):
        entry = found[row.object_id]
        assert coco.loadCats(entry["category_id"])[0]["name"] == row.label
        left, top, width, height = entry["bbox"]
        assert left >= 0 <= top
        assert left + width <= image["width"]
        assert top + height <= image["height"]
        if is_whole:
            box = [left, top, left + width, top + height]
            np.testing.assert_allclose(box, shape.bounds, atol=2e-3)
            assert coco.annToMask(entry).sum() == pytest.approx(shape.area, rel=0.06)


def test_coco_tells_images_of_one_name_apart(tmp_path):
    """In a run of folders whose names hold what would end a link."""
    for number, name in enumerate(("a#1/tile.tif", "b?2/tile.tif", "b?2/more.tif")):
        path = tmp_path / "ground" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = (700_000.0 + 40 * number, 240_000.0)
        write_scene(path, draw_ground(140, 200, seed=number), origin=origin)
    recipe = tmp_path / "discs.toml"
    model = noisy_model(tmp_path / "model").folder
    recipe.write_text(f'kind = "census"\ntitle = "Discs"\nmodel = "{model}"\n')
    words = ("--catalog", tmp_path / "ground", "--cluster", "threads")
    assert call("run", recipe, *words, "--out", tmp_path / "run") == 0

    assert call("export", tmp_path / "run", "--out", "a.json") == 0

    images = json.loads(Path("a.json").read_text(encoding="utf-8"))["images"]
    names = {image["item_id"]: image["file_name"] for image in images}
    assert names == {
        "a#1__tile": "a#1/tile.tif",
        "b?2__tile": "b?2/tile.tif",
        "more": "b?2/more.tif",
    }


REMOTE = {
    "one": (["https://h/x/a%20b.tif?…"], ["a%20b.tif"]),
    "one folder": (["s3://b/x/a.tif", "s3://b/x/c.tif"], ["a.tif", "c.tif"]),
    "buckets": (["s3://b/x/a.tif", "s3://c/x/a.tif"], ["b/x/a.tif", "c/x/a.tif"]),
    "folders": (
        ["https://h/x/1/B4.tif?…", "https://h/x/1/s/B4.tif"],
        ["B4.tif", "s/B4.tif"],
    ),
}


@pytest.mark.parametrize("case", REMOTE)
def test_coco_names_remote_images_by_their_paths(demo, tmp_path, case):
    hrefs, names = REMOTE[case]
    run = copy_run(demo, tmp_path / "run")
    request = json.loads((run / "run.json").read_text())
    text = json.dumps(request["items"][0])
    request["items"] = [json.loads(text) for _ in hrefs]
    for item, href in zip(request["items"], hrefs, strict=True):
        item["id"] = href
        item["bands"][0]["href"] = href
    (run / "run.json").write_text(json.dumps(request))

    assert [image.file_name for image in images_of(open_run(run))] == names


def test_a_run_that_holds_a_table_of_its_own_is_exported_as_a_run(
    demo, objects, tmp_path
):
    run = copy_run(demo, tmp_path / "run")
    objects[["geometry"]].head(3).to_parquet(run / "cells.parquet")

    assert call("export", run, "--format", "coco", "--out", "a.json") == 0

    document = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert len(document["images"]) == 1
    assert len(document["annotations"]) == len(objects)


def test_a_folder_that_gdal_reads_is_exported(objects):
    objects[["object_id", "geometry"]].to_file("trees.gdb", driver="OpenFileGDB")

    assert call("export", "trees.gdb", "--out", "a.parquet") == 0
    assert call("summary", "trees.gdb", "--cells", 20, "--out", "cells.csv") == 0

    back = by_id(gpd.read_parquet("a.parquet"))
    assert back["object_id"].tolist() == objects["object_id"].tolist()
    assert pd.read_csv("cells.csv")["count"].sum() == len(objects)


def test_class_and_confidence_rasters_become_cogs(patchwork, capsys):
    assert call("export", patchwork, "--format", "cog") == 0
    assert call("export", patchwork, "--out", "top1.tif", "--raster", "top1") == 0

    group = zarr.open_group(patchwork / "rasters.zarr", mode="r")
    for path, name in (("run.tif", "label"), ("top1.tif", "top1")):
        source = patchwork.parent / "ground.tif"
        with rasterio.open(path) as file, rasterio.open(source) as ground:
            np.testing.assert_array_equal(file.read(1), group[name][:])
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.crs == ground.crs
            # Rasters of a run cover whole blocks: same pixels, another corner.
            offset = ~file.transform @ (ground.transform.c, ground.transform.f)
            np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
            assert file.transform.a == pytest.approx(ground.transform.a, rel=1e-9)
    with rasterio.open("run.tif") as file:
        assert file.nodata == 255
        colours = file.colormap(1)
    assert len({colours[number] for number in range(len(CLASSES))}) == len(CLASSES)
    entries = ET.parse("run.qml").getroot().iter("paletteEntry")
    assert [entry.get("label") for entry in entries] == list(CLASSES)
    assert "pixels as cog" in capsys.readouterr().out


def test_a_table_is_exported_like_a_run(demo, objects):
    assert call("export", demo / "objects", "--out", "a.gpkg") == 0
    assert call("export", "a.gpkg", "--out", "b.parquet") == 0

    check_attributes(by_id(gpd.read_parquet("b.parquet")), objects)


def test_overwriting_is_asked_for(demo, objects, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("precious")

    assert call("export", demo, "--out", "a.csv") == 2
    assert "a.csv exists" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_text() == "precious"
    assert call("export", demo, "--out", "a.csv", "--overwrite") == 0
    assert len(pd.read_csv("a.csv")) == len(objects)


def test_a_run_with_holes_is_exported_and_says_so(demo, tmp_path, capsys):
    run = copy_run(demo, tmp_path / "run")
    manifest = json.loads((demo / "manifest.json").read_text())
    hole = {"block": "000_000", "error": "item 'OSBS_029' cannot be read"}
    text = json.dumps(manifest | {"state": "PARTIAL", "holes": [hole]})
    (run / "manifest.json").write_text(text)

    assert call("export", run, "--format", "csv") == 0

    assert "PARTIAL: 1 of 2 blocks have no answer" in capsys.readouterr().err


BAD = {
    "unknown format": (["{demo}", "--format", "geopakage"], "did you mean"),
    "unknown suffix": (["{demo}", "--out", "a.shp"], "a.shp does not tell its format"),
    "another suffix": (
        ["{demo}", "--format", "gpkg", "--out", "a.geojson"],
        "a.geojson is called geojson and the format is gpkg; .* suffix .gpkg",
    ),
    "neither": (["{demo}"], "name a format .* or a file"),
    "nothing there": (["nowhere", "--format", "csv"], "there is no nowhere"),
    "no run": (["empty", "--format", "csv"], "empty is no run folder"),
    "unfinished run": (["stopped", "--format", "csv"], "stopped has not ended"),
    "damaged run": (["damaged", "--format", "csv"], "damaged is damaged"),
    "text": (["words.txt", "--format", "gpkg"], "cannot be read"),
    "file there": (["{demo}", "--out", "words.csv"], "words.csv exists"),
    "a folder": (["{demo}", "--out", "empty", "--format", "csv"], "is a folder"),
    "no rasters": (["{demo}", "--format", "cog"], "holds no rasters: .* objects alone"),
    "no such raster": (
        ["{patchwork}", "--format", "cog", "--raster", "entropy"],
        "no raster 'entropy'; this run has label, top1",
    ),
    "raster of a table": (
        ["words.csv", "--format", "cog"],
        "words.csv is no run folder",
    ),
    "style": (["{demo}", "--format", "gpkg", "--style", "colour"], "style is 'colour'"),
    "style of csv": (
        ["{demo}", "--format", "csv", "--style", "label"],
        "goes with --format gpkg",
    ),
    "wkt of gpkg": (["{demo}", "--format", "gpkg", "--wkt"], "goes with --format csv"),
    "raster of csv": (
        ["{demo}", "--format", "csv", "--raster", "label"],
        "goes with --format cog",
    ),
    "coco of a table": (["{demo}/objects", "--format", "coco"], "export a run"),
    "no folder": (["{demo}", "--out", "no/where/a.gpkg"], "no folder no/where; make"),
    "address": (["{demo}", "--out", "s3://bucket/a.gpkg"], "written to a local disk"),
}


@pytest.fixture
def places(demo, patchwork, tmp_path):
    (tmp_path / "empty").mkdir()
    unfinished_copy(demo, tmp_path / "stopped")
    (copy_run(demo, tmp_path / "damaged") / "manifest.json").write_text("{")
    (tmp_path / "words.txt").write_text("no table")
    (tmp_path / "words.csv").write_text("a\n1\n")
    return {"demo": demo, "patchwork": patchwork}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(places, tmp_path, capsys, case):
    words, says = BAD[case]
    given = ["export", *(word.format(**places) for word in words)]
    check_refused(given, says, tmp_path, capsys)
