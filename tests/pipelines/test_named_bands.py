"""GeoTIFFs that tell no names of their bands: a run takes those that the user gives."""

import numpy as np
import pytest
import rasterio
from bright_model import write_bright_recipe
from catalog_rasters import make_item
from worlds import draw_ground, write_scene

from areca.errors import ArecaError
from areca_pipelines.census import Ground, prepare
from areca_pipelines.cli import main

TURNED = "blue,green,red"
"""What the bands are; without names they are taken as red, green, blue."""


@pytest.fixture
def scene(tmp_path):
    write_bright_recipe(tmp_path)
    write_scene(tmp_path / "scene.tif", draw_ground(80, 90))
    with rasterio.open(tmp_path / "scene.tif") as file:
        profile, pixels = file.profile, file.read()
    with rasterio.open(tmp_path / "scene.tif", "w", **profile) as file:
        file.write(pixels)
    return tmp_path / "scene.tif"


def request_of(scene, *, recipe="any.toml", ground=None, **settings):
    ground = Ground(catalog=scene) if ground is None else ground
    return prepare(str(scene.parent / recipe), ground, settings)


def pixels_of(request):
    plan = request.plan
    return plan.imagery.read(plan.grid.region).pixels


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_a_run_reads_the_bands_by_these_names(scene):
    plain, named = request_of(scene), request_of(scene, names=TURNED)

    with rasterio.open(scene) as file:
        stored = file.read()
    np.testing.assert_array_equal(pixels_of(plain), stored)
    np.testing.assert_array_equal(pixels_of(named), stored[::-1])
    assert "--set names=" in plain.notes[0]
    assert not named.notes
    assert plain.digest != named.digest


def test_a_recipe_gives_them_as_a_list(scene):
    text = (scene.parent / "any.toml").read_text()
    recipe, names = scene.parent / "named.toml", TURNED.split(",")
    recipe.write_text(text.replace("[options]", f"names = {names}\n[options]"))

    items = request_of(scene, recipe="named.toml").to_dict()["items"]

    assert items == request_of(scene, names=TURNED).to_dict()["items"]
    recipe.write_text(text.replace("[options]", f'names = "{TURNED}"\n[options]'))
    with pytest.raises(ArecaError, match="not a list; write names = "):
        request_of(scene, recipe="named.toml")


def test_names_hold_for_a_part_of_the_scene_too(scene):
    with rasterio.open(scene) as file:
        left, bottom, right, top = rasterio.warp.transform_bounds(
            file.crs, "EPSG:4326", *file.bounds
        )
    aoi = f"{left},{bottom},{(left + right) / 2},{(bottom + top) / 2}"
    ground = Ground(catalog=scene, aoi=aoi)

    plain, named = (
        request_of(scene, ground=ground, **more) for more in ({}, {"names": TURNED})
    )

    assert named.aoi is not None
    np.testing.assert_array_equal(pixels_of(named), pixels_of(plain)[::-1])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("red,green", "are 2, and 'scene' has 3 bands"),
        ("red,red,blue", "different names"),
        ("red,green,nir", "blue"),
    ],
)
def test_names_that_do_not_fit_are_refused(scene, names, says):
    with pytest.raises(ArecaError, match=says):
        _ = request_of(scene, names=names).plan


def test_a_catalogue_has_names_of_its_own(scene):
    item = make_item(scene, names=["red", "green", "blue"])
    item.save_object(dest_href=str(scene.parent / "item.json"))

    with pytest.raises(ArecaError, match="names of its own; leave names out"):
        request_of(
            scene, ground=Ground(catalog=scene.parent / "item.json"), names=TURNED
        )


def test_a_run_of_other_names_is_not_resumed(scene, capsys):
    words = ["run", scene.parent / "any.toml", "--catalog", scene]
    words += ["--out", scene.parent / "run", "--cluster", "threads"]
    assert call(*words) == 0

    assert call(*words, "--set", f"names={TURNED}") == 2
    assert "holds a run of another request" in capsys.readouterr().err
    assert call(*words) == 0
