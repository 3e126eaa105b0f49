"""A run over a Zarr cube finds what a run over its imagery finds."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
from worlds import draw_ground, noisy_model, quiet, run_request, write_scene

import areca
from areca.runs import run_census
from areca.runtime import open_client
from areca_pipelines.cli import main

RGB = ["red", "green", "blue"]
SAME = ["object_id", "geometry", "label", "score", "tile"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A scene as GeoTIFF and as cube, and one of two dates."""
    folder = tmp_path_factory.mktemp("cube")
    pixels = draw_ground(180, 230)
    write_scene(folder / "scene.tif", pixels)
    cube = areca.open_cube(areca.search(folder / "scene.tif"), bands=RGB)
    areca.write_cube(cube, folder / "farm.zarr", chunk_px=64, shard_px=128)
    dated = cube.expand_dims(time=np.array(["2023-05-01", "2024-05-01"], "M8[ns]"))
    late = dated.astype("float32").where(
        (dated.time < dated.time[1]) | (dated.x < 700_020)
    )
    late = late.transpose("time", "band", "y", "x").rio.write_crs(cube.rio.crs)
    late.attrs = {}
    areca.write_cube(late, folder / "dated.zarr", chunk_px=64, shard_px=128)
    return folder, noisy_model(folder / "model")


def by_id(folder):
    return areca.read_objects(folder).sort_values("object_id", ignore_index=True)


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    folder, model = world
    out = tmp_path_factory.mktemp("runs")
    with open_client("threads") as client:
        for name in ("scene.tif", "farm.zarr", "dated.zarr"):
            request = run_request(folder / name, model, block_tiles=1)
            run_census(request, out / name, client=client, progress=quiet)
    return {name.name: by_id(name / "objects") for name in out.iterdir()}


def test_the_objects_are_the_same_and_of_the_cube(runs):
    assert len(runs["farm.zarr"]) > 50
    pd.testing.assert_frame_equal(runs["farm.zarr"][SAME], runs["scene.tif"][SAME])
    assert set(runs["farm.zarr"]["item_id"]) == {"farm"}
    assert runs["farm.zarr"]["datetime"].isna().all()


def test_each_object_has_the_date_that_shows_it(runs):
    found = runs["dated.zarr"]
    pd.testing.assert_frame_equal(found[SAME], runs["scene.tif"][SAME])
    new = found["center_x"] < 700_020
    assert set(found["item_id"][new]) == {"dated_20240501T000000"}
    assert set(found["item_id"][~new]) == {"dated_20230501T000000"}
    assert (found["datetime"].dt.year == np.where(new, 2024, 2023)).all()


def test_predict_on_the_cube_finds_the_same(world, runs):
    folder, model = world
    lazy = areca.predict(areca.read_cube(folder / "farm.zarr"), model)
    found = lazy.objects.compute().sort_values("object_id", ignore_index=True)
    assert found["object_id"].tolist() == runs["farm.zarr"]["object_id"].tolist()


def test_features_and_plan_take_a_cube(world, tmp_path, capsys):
    folder, _ = world
    bands = "red,std(green, 5)"
    for name in ("scene.tif", "farm.zarr"):
        out = tmp_path / f"{name}.tif"
        with pytest.raises(SystemExit) as ended:
            main(["features", str(folder / name), "--bands", bands, "--out", str(out)])
        assert ended.value.code == 0
    one, other = (
        rasterio.open(tmp_path / f"{name}.tif").read()
        for name in ("scene.tif", "farm.zarr")
    )
    np.testing.assert_array_equal(one, other)
    recipe = tmp_path / "any.toml"
    place = json.dumps(str(folder / "model"))
    recipe.write_text(f'kind = "census"\ntitle = "Any"\nmodel = {place}\n')
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(recipe), "--catalog", str(folder / "dated.zarr"),
              "--datetime", "2023"])  # fmt: skip
    assert ended.value.code == 0
    assert "1 (dated_20230501T000000)" in " ".join(capsys.readouterr().out.split())
