import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from catalog_rasters import make_item
from worlds import PIXEL, draw_ground, noisy_model, quiet, run_request, write_scene

import areca
from areca.catalog import normalise_items
from areca.errors import InputError, RunError
from areca.inference import Predictor
from areca.models.card_file import write_card
from areca.models.handle import Model
from areca.objects import disc_candidates
from areca.runs import run, run_census
from areca.runs.chains import blocks_to_add
from areca.runs.folder import differences
from areca.runtime import open_client
from areca.tiles import Tile

HEIGHT, WIDTH = 330, 470
COLUMNS = [
    "object_id", "geometry", "label", "score", "tile", "item_id", "datetime",
    "start_datetime", "end_datetime", "model", "radius_method", "area_m2",
    "perimeter_m", "center_x", "center_y", "center_lon", "center_lat", "radius_m",
    "width_m", "length_m", "orientation_deg",
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One scene in four files that abut, and a model that sees too much."""
    folder = tmp_path_factory.mktemp("world")
    pixels = draw_ground(HEIGHT, WIDTH)
    (folder / "scenes").mkdir()
    for name, row, col in [("a", 0, 0), ("b", 0, 250), ("c", 200, 0), ("d", 200, 250)]:
        part = pixels[
            :, row : (200 if row == 0 else None), col : (250 if col == 0 else None)
        ]
        corner = (700_000 + col * PIXEL, 240_000 - row * PIXEL)
        write_scene(folder / "scenes" / f"{name}.tif", part, origin=corner)
    write_scene(folder / "whole.tif", pixels)
    return folder, noisy_model(folder / "model")


@pytest.fixture(scope="module")
def client():
    with open_client("threads") as client:
        yield client


def request_of(world, *, source="scenes", aoi=None, **options):
    folder, model = world
    return run_request(folder / source, model, aoi=aoi, **{"block_tiles": 2, **options})


def by_id(objects):
    return objects.sort_values("object_id", ignore_index=True)


def without_source(objects):
    return by_id(objects).drop(columns=["item_id", "datetime"])


def parquet_bytes(folder: Path):
    return {p.name: p.read_bytes() for p in sorted((folder / "objects").iterdir())}


@pytest.fixture(scope="module")
def clean(world, client, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "clean"
    return run_census(request_of(world), out, client=client, progress=quiet)


def test_a_run_finds_what_predict_finds_and_measures_it(world, clean):
    folder, model = world
    cube = areca.open_cube(
        areca.search(folder / "whole.tif"), bands=["red", "green", "blue"]
    )
    expected = areca.measure(areca.predict(cube, model).objects).compute()

    objects = areca.read_objects(clean.folder.objects)

    assert sorted(objects.columns) == sorted(COLUMNS)
    pd.testing.assert_frame_equal(
        without_source(objects)[COLUMNS[:5]],
        without_source(expected)[COLUMNS[:5]],
        check_dtype=False,
    )
    assert clean.state == "DONE"
    assert clean.summary.count == len(objects) > 300


def test_an_object_knows_the_image_at_its_centre(clean):
    objects = areca.read_objects(clean.folder.objects)
    right = objects["center_x"] >= 700_000 + 250 * PIXEL
    below = objects["center_y"] <= 240_000 - 200 * PIXEL
    expected = pd.Series("a", index=objects.index)
    expected[right & ~below], expected[~right & below] = "b", "c"
    expected[right & below] = "d"

    assert objects["item_id"].astype(object).equals(expected.astype(object))


def test_an_object_under_a_nodata_collar_belongs_to_the_image_below(
    world, client, tmp_path
):
    """The footprints of both images cover it; only one of them shows it."""
    pixels = draw_ground(HEIGHT, WIDTH)
    (tmp_path / "two").mkdir()
    newer = pixels.copy()
    newer[:, :, 235:] = 0
    for name, layer in [("a_on_top", newer), ("b_below", pixels.clip(1))]:
        write_scene(tmp_path / "two" / f"{name}.tif", layer, nodata=0)
        os.utime(tmp_path / "two" / f"{name}.tif", (1.7e9, 1.7e9))

    request = request_of((tmp_path, world[1]), source="two")
    run_census(request, tmp_path / "run", client=client, progress=quiet)

    objects = areca.read_objects(tmp_path / "run" / "objects")
    col = (objects["center_x"] - 700_000) / PIXEL
    assert set(objects.loc[col > 236, "item_id"]) == {"b_below"}
    # Black is nodata in the image on top, so the one below shines through a little.
    assert (objects.loc[col < 234, "item_id"] == "a_on_top").mean() > 0.9


def test_the_folder_says_what_was_done(clean):
    folder = clean.folder.path
    request = json.loads((folder / "run.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())

    assert [item["id"] for item in request["items"]] == sorted("abcd")
    assert manifest["state"] == "DONE"
    assert manifest["objects"] == clean.summary.count
    assert set(manifest["files"]) >= {"run.json", "report.html", "holes.geojson"}
    assert json.loads((folder / "holes.geojson").read_text())["features"] == []
    assert not list(folder.rglob("*.partial"))


def test_the_same_call_again_repeats_no_block_and_gives_the_same_bytes(
    world, client, clean
):
    before = parquet_bytes(clean.folder.path)
    clean.folder.manifest.unlink()
    stamps = {p: p.stat().st_mtime_ns for p in clean.folder.path.rglob("done.json")}
    lost = sorted(stamps)[3]
    lost.unlink()

    again = run_census(
        request_of(world), clean.folder.path, client=client, progress=quiet
    )

    assert again.resumed == len(stamps) - 1
    assert parquet_bytes(clean.folder.path) == before
    kept = {p: p.stat().st_mtime_ns for p in stamps if p != lost}
    assert kept == {p: s for p, s in stamps.items() if p != lost}


def test_a_finished_run_is_left_as_it_is(world, client, clean, monkeypatch):
    """Also when the second call is killed at once, and when the imagery is gone."""
    monkeypatch.setattr(run, "publish", lambda *_: pytest.fail("published again"))
    before = {p: p.read_bytes() for p in clean.folder.path.rglob("*") if p.is_file()}

    again = run_census(
        request_of(world), clean.folder.path, client=client, progress=quiet
    )

    assert again.state == "DONE"
    assert again.summary == clean.summary
    assert again.resumed == len(clean.blocks)
    after = {p: p.read_bytes() for p in clean.folder.path.rglob("*") if p.is_file()}
    assert after == before


def test_a_damaged_table_is_published_again(world, client, tmp_path):
    run_census(request_of(world), tmp_path, client=client, progress=quiet)
    before = parquet_bytes(tmp_path)
    (tmp_path / "objects" / "part-00000.parquet").write_bytes(b"half")

    again = run_census(request_of(world), tmp_path, client=client, progress=quiet)

    assert again.resumed == len(again.blocks)
    assert parquet_bytes(tmp_path) == before


def test_what_is_too_large_is_listed_once_and_not_counted(world, client, tmp_path):
    folder, model = world
    small = replace(model.card, max_object_px=12, context_px=22)
    (tmp_path / "model").mkdir()
    shutil.copy(model.weights_path, tmp_path / "model")
    write_card(small, tmp_path / "model" / "model.json")
    handle = Model(small, tmp_path / "model")
    request = request_of((folder, handle))

    result = run_census(request, tmp_path / "run", client=client, progress=quiet)

    listed = gpd.read_file(tmp_path / "run" / "oversize.geojson").to_crs("EPSG:32648")
    counted = areca.read_objects(tmp_path / "run" / "objects")
    assert len(listed) == result.oversize > 10
    assert (listed.area > np.pi * (6 * PIXEL) ** 2).all()
    assert (counted["radius_m"] <= 6.01 * PIXEL).all()
    apart = shapely.STRtree(listed.centroid).query(listed.centroid.buffer(2 * PIXEL))
    assert (apart[0] == apart[1]).all()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "oversize.geojson" in page


def test_the_searched_ground_is_what_an_image_shows(world, client, tmp_path):
    pixels = draw_ground(200, 300).clip(1)
    pixels[:, :, 100:] = 0
    (tmp_path / "one").mkdir()
    write_scene(tmp_path / "one" / "a.tif", pixels, nodata=0)
    request = request_of((tmp_path, world[1]), source="one")

    result = run_census(request, tmp_path / "run", client=client, progress=quiet)

    assert sum(block.seen_px for block in result.blocks) == 200 * 100


def test_a_half_written_start_does_not_block_the_folder(world, client, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.123.partial").write_text("{")
    run_census(request_of(world), tmp_path / "run", client=client, progress=quiet)


def test_two_items_of_one_name_keep_their_own_dates(world, client, tmp_path):
    pixels = draw_ground(200, 300).clip(1)
    scenes = []
    for year, left in (("2019", 0), ("2024", 150)):
        corner = (700_000 + left * PIXEL, 240_000.0)
        path = write_scene(
            tmp_path / f"{year}.tif", pixels[:, :, left : left + 150], origin=corner
        )
        item = make_item(path, item_id="same", when=f"{year}-05-01")
        item.collection_id = f"year-{year}"
        scenes += normalise_items([item], catalog_href=tmp_path)
    request = replace(request_of(world), scenes=tuple(scenes))

    run_census(request, tmp_path / "run", client=client, progress=quiet)

    objects = areca.read_objects(tmp_path / "run" / "objects")
    right = objects["center_x"] > 700_000 + 150 * PIXEL
    assert set(objects["datetime"].dt.year[right]) == {2024}
    assert set(objects["datetime"].dt.year[~right]) == {2019}


def test_a_marker_that_a_fault_has_cut_does_not_count(world, client, tmp_path):
    first = run_census(request_of(world), tmp_path, client=client, progress=quiet)
    before = parquet_bytes(tmp_path)
    (tmp_path / "manifest.json").unlink()
    markers = sorted(tmp_path.rglob("done.json"))
    markers[0].write_text(markers[0].read_text()[:40])
    other = json.loads(markers[1].read_text()) | {"key": "of another request"}
    markers[1].write_text(json.dumps(other))

    again = run_census(request_of(world), tmp_path, client=client, progress=quiet)

    assert again.resumed == len(first.blocks) - 2
    assert parquet_bytes(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"threshold": 0.6}, r"options\.threshold was None, now 0\.6"),
        ({"source": "whole.tif"}, "items"),
        ({"aoi": shapely.box(106.79, 2.16, 106.80, 2.18)}, "aoi was None"),
    ],
)
def test_another_request_into_the_same_folder_is_refused(
    world, client, clean, change, named
):
    if "aoi" in change:
        bounds = (
            areca.read_objects(clean.folder.objects).to_crs("EPSG:4326").total_bounds
        )
        change = {"aoi": shapely.box(*bounds)}
    with pytest.raises(InputError, match=named):
        run_census(
            request_of(world, **change),
            clean.folder.path,
            client=client,
            progress=quiet,
        )


def test_a_file_is_no_run_folder(world, client, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="file"):
            run_census(request_of(world), out, client=client, progress=quiet)


def test_a_folder_with_other_things_is_not_written_to(world, client, tmp_path):
    (tmp_path / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="not empty"):
        run_census(request_of(world), tmp_path, client=client, progress=quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_missing_file_is_a_hole_and_nothing_else_changes(
    world, client, clean, tmp_path
):
    folder, _ = world
    request = request_of(world)
    lost = folder / "scenes" / "d.tif"
    lost.rename(folder / "d.gone")
    try:
        out = run_census(request, tmp_path / "run", client=client, progress=quiet)
    finally:
        (folder / "d.gone").rename(lost)

    holes = gpd.read_file(tmp_path / "run" / "holes.geojson").to_crs("EPSG:32648")
    assert out.state == "PARTIAL"
    assert holes["error"].str.contains("item 'd'").all()
    ground = holes.union_all()
    expected = areca.read_objects(clean.folder.objects)
    found = areca.read_objects(tmp_path / "run" / "objects")

    def outside(objects):
        centres = shapely.points(objects["center_x"], objects["center_y"])
        return by_id(objects[~shapely.within(centres, ground)])

    pd.testing.assert_frame_equal(outside(found), outside(expected))
    assert 0 < len(outside(expected)) < len(expected)
    # What is hidden is the missing image and its surroundings, not everything.
    image = shapely.box(*[
        700_000 + 250 * PIXEL, 240_000 - HEIGHT * PIXEL,
        700_000 + WIDTH * PIXEL, 240_000 - 200 * PIXEL,
    ])  # fmt: skip
    assert ground.buffer(0.01).covers(image)
    assert ground.area < 0.9 * HEIGHT * WIDTH * PIXEL**2

    healed = run_census(request, tmp_path / "run", client=client, progress=quiet)
    assert healed.state == "DONE"
    assert parquet_bytes(tmp_path / "run") == parquet_bytes(clean.folder.path)


def test_when_all_blocks_fail_the_run_fails(world, client, tmp_path):
    request = request_of(world, source="whole.tif")
    whole = world[0] / "whole.tif"
    whole.rename(world[0] / "whole.gone")
    try:
        with pytest.raises(RunError, match="all 15 blocks failed"):
            run_census(request, tmp_path / "run", client=client, progress=quiet)
    finally:
        (world[0] / "whole.gone").rename(whole)
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("block_tiles", [1, 3])
def test_block_sizes_and_an_area_give_the_same_objects(
    world, client, clean, tmp_path, block_tiles
):
    every = by_id(areca.read_objects(clean.folder.objects))
    west, south, east, north = every.to_crs("EPSG:4326").total_bounds
    area = shapely.box(
        west + 0.31 * (east - west), south + 0.2 * (north - south),
        west + 0.55 * (east - west), south + 0.6 * (north - south),
    )  # fmt: skip
    request = request_of(world, aoi=area, block_tiles=block_tiles)
    assert len(request.plan.blocks) < len(list(request.plan.grid.blocks()))

    run_census(request, tmp_path / "run", client=client, progress=quiet)

    part = by_id(areca.read_objects(tmp_path / "run" / "objects"))
    inside = shapely.within(
        shapely.points(every["center_lon"], every["center_lat"]), area
    )
    expected = every[inside].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert 20 < len(part) < len(every) / 2


def test_a_chain_of_rivals_that_leaves_the_area_is_followed(world):
    plan = request_of(world, block_tiles=1).plan
    blocks = list(plan.grid.blocks())
    window = blocks[0].window
    links = [
        (window.col0 + 20 + step * 5.0, window.row0 + 30.0, 9.0) for step in range(5)
    ]
    seams = disc_candidates(
        pd.DataFrame(links).to_numpy(float),
        pd.Series([0.9, 0.8, 0.7, 0.6, 0.55]).to_numpy("float32"),
        pd.Series([0] * 5).to_numpy("int32"),
        Tile(0, 0),
    )
    x, y = plan.predictor.lattice.to_crs(links[0][0], links[0][1])
    at = gpd.GeoSeries([shapely.Point(x, y)], crs="EPSG:32648").to_crs("EPSG:4326")
    near = request_of(world, block_tiles=1, aoi=at[0].buffer(1e-6)).plan
    near.blocks = blocks[:1]

    more = blocks_to_add(near, seams)

    assert [b.name for b in more] == ["000_001"]
    assert blocks_to_add(near, seams.iloc[:1]) == []


@pytest.mark.parametrize("follow", [True, False])
def test_an_area_whose_chains_leave_it_equals_the_whole(
    world, client, clean, tmp_path, monkeypatch, follow
):
    """With the first ring of blocks left out, only following the chains can save it."""
    monkeypatch.setattr(Predictor, "influence_px", property(lambda _self: 0))
    if not follow:
        monkeypatch.setattr(run, "blocks_to_add", lambda *_: [])
    every = by_id(areca.read_objects(clean.folder.objects))
    plan = request_of(world, block_tiles=1).plan
    window = next(b for b in plan.grid.blocks() if b.name == "002_003").window
    x0, y0 = plan.predictor.lattice.to_crs(window.col0 + 1.0, window.row1 - 1.0)
    x1, y1 = plan.predictor.lattice.to_crs(window.col1 - 1.0, window.row0 + 1.0)
    area = gpd.GeoSeries([shapely.box(x0, y0, x1, y1)], crs="EPSG:32648")
    area = area.to_crs("EPSG:4326")[0]

    request = request_of(world, aoi=area, block_tiles=1)
    run_census(request, tmp_path / "run", client=client, progress=quiet)

    part = by_id(areca.read_objects(tmp_path / "run" / "objects"))
    inside = shapely.intersects_xy(area, every["center_lon"], every["center_lat"])
    assert part.equals(every[inside].reset_index(drop=True)) == follow


def test_differences_name_the_path_of_keys():
    before = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert differences(before, {"a": {"b": 1, "c": [2]}, "d": 2}) == [
        "a.c was [1], now [2]"
    ]
    assert differences(before, before) == []


SCRIPT = """
import sys
from areca_pipelines.census import run
if __name__ == "__main__":
    run(sys.argv[1], out=sys.argv[2], catalog=sys.argv[3])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_gives_the_same_bytes(
    world, clean, tmp_path
):
    folder, _ = world
    recipe = tmp_path / "census.toml"
    recipe.write_text(
        f'kind = "census"\ntitle = "Test"\nabout = ""\nmodel = "{folder / "model"}"\n'
        "workers = 2\n[options]\nblock_tiles = 2\n"
    )
    script, out = tmp_path / "script.py", tmp_path / "run"
    script.write_text(SCRIPT)
    words = [sys.executable, str(script), str(recipe), str(out), str(folder / "scenes")]

    first = subprocess.Popen(words, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(out.rglob("done.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    done = {p: p.stat().st_mtime_ns for p in out.rglob("done.json")}
    assert 4 <= len(done) < len(clean.blocks)
    assert not (out / "manifest.json").exists()

    subprocess.run(words, check=True, timeout=120)

    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert parquet_bytes(out) == parquet_bytes(clean.folder.path)
