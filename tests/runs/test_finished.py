"""A run folder says all that was known when the run was planned."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from finished_runs import copy_run
from PIL import Image
from worlds import PIXEL, draw_ground, noisy_model, quiet, run_request, write_scene

import areca
from areca.catalog import Scene
from areca.errors import InputError
from areca.runs import FinishedRun, run_census
from areca.runtime import open_client


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two scenes side by side, with a gap in the corner that neither shows."""
    folder = tmp_path_factory.mktemp("scenes")
    pixels = draw_ground(200, 300, seed=2)
    write_scene(folder / "a.tif", pixels[:, :, :160])
    origin = (700_000 + 160 * PIXEL, 240_000 - 40 * PIXEL)
    write_scene(folder / "b.tif", pixels[:, 40:, 160:], origin=origin)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return noisy_model(tmp_path_factory.mktemp("model"))


def corner(scenes):
    """A part of the ground in the south-east, off the edges of pixels, in degrees."""
    with rasterio.open(scenes / "b.tif") as file:
        _, south, east, _ = file.bounds
        box = shapely.box(east - 14.1, south + 0.7, east - 0.7, south + 16.3)
        shapes = rasterio.warp.transform_geom(file.crs, "EPSG:4326", box)
    return shapely.geometry.shape(shapes)


@pytest.fixture(scope="module", params=["all imagery", "an area"])
def ended(request, scenes, model, tmp_path_factory):
    """What was asked, and the folder of the run."""
    aoi = corner(scenes) if request.param == "an area" else None
    asked = run_request(scenes, model, aoi=aoi, block_tiles=1)
    folder = tmp_path_factory.mktemp("ended") / "run"
    with open_client("threads") as client:
        run_census(asked, folder, client=client, progress=quiet)
    return asked, folder


def test_it_lies_where_it_was_planned(ended):
    asked, folder = ended

    run = FinishedRun.open(folder)

    plan = asked.plan
    assert run.layout.grid == plan.grid
    assert run.layout.shown == plan.layout.shown
    assert run.layout.step == plan.layout.step
    assert (run.layout.area is None) == (asked.aoi is None)
    assert run.holes == 0
    if asked.aoi is not None:  # written with 12 digits
        area = shapely.hausdorff_distance(run.layout.area.shape, plan.area.shape)
        assert area < 1e-3
        assert run.layout.shown.size < plan.grid.region.size / 3


def test_its_scenes_are_those_that_were_read(ended):
    asked, folder = ended
    assert FinishedRun.open(folder).scenes == tuple(asked.plan.scenes)
    for scene in asked.plan.scenes:
        assert Scene.of_dict(json.loads(json.dumps(scene.to_dict()))) == scene


def test_its_picture_is_the_imagery(ended, scenes, model):
    asked, folder = ended
    run = FinishedRun.open(folder)

    picture = run.layout.picture(run.folder)

    shown = run.layout.shown
    assert run.layout.step == 1
    assert picture.size == (shown.width, shown.height)
    cube = areca.open_cube(areca.search(scenes), bands=["red", "green", "blue"])
    lattice = run.layout.grid.lattice
    place = lattice.geobox(shown)
    at = {"x": place.coords["x"].values, "y": place.coords["y"].values}
    pixels = cube.sel(**at, method="nearest", tolerance=1e-3).values.astype(float)
    seen = np.isfinite(pixels).all(axis=0)
    found = np.moveaxis(np.asarray(picture, float), -1, 0)
    for band in range(3):
        mean, std = model.card.mean[band], model.card.std[band]
        grey = np.clip(120 + 55 * (pixels[band][seen] - mean) / std, 0, 255)
        assert np.abs(found[band][seen] - grey).max() <= 1
    assert (found[:, ~seen] == 225).all()
    assert seen.all() == (asked.aoi is not None)


def test_a_block_without_a_quick_look_stays_grey(ended, tmp_path):
    _, folder = ended
    run = FinishedRun.open(copy_run(folder, tmp_path / "run"))
    block = next(run.layout.grid.blocks(run.layout.shown))
    run.folder.quicklook(block).unlink()

    picture = run.layout.picture(run.folder)

    inside = block.window.intersection(run.layout.shown)
    rows, cols = inside.slices_in(run.layout.shown)
    assert (np.asarray(picture)[rows, cols] == 225).all()
    assert not (np.asarray(picture) == 225).all()
    assert isinstance(picture, Image.Image)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("manifest.json", None, "has not ended: it has no manifest.json"),
        ("run.json", None, "is no run folder: it has no run.json"),
        ("manifest.json", "{", "is damaged"),
        ("run.json", "{}", "is damaged .KeyError: 'items'"),
        ("run.json", '{"items": [{"id": 1}]}', "is damaged .KeyError: 'bands'"),
    ],
)
def test_a_folder_that_is_not_whole_is_named(ended, tmp_path, name, text, says):
    _, folder = ended
    run = copy_run(folder, tmp_path / "run")
    (run / name).unlink()
    if text is not None:
        (run / name).write_text(text)

    with pytest.raises(InputError, match=says):
        FinishedRun.open(run)


def test_holes_are_counted(ended, tmp_path):
    _, folder = ended
    run = copy_run(folder, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["holes"] = [{"block": "000_000", "error": "gone"}] * 2
    (run / "manifest.json").write_text(json.dumps(manifest))

    assert FinishedRun.open(run).holes == 2
