"""A training recipe and a data folder become a model; a wrong recipe is named."""

import hashlib

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from areca.errors import LabelError, RecipeError
from areca.models.handle import load_model
from areca_pipelines.recipe import RECIPES, read_recipe
from areca_pipelines.train import train
from areca_pipelines.train_data import load_check, load_image
from areca_pipelines.train_recipe import TrainRecipe

RECIPE = """
kind = "train"
title = "Discs"
about = "Drawn discs"
match_m = 2
threshold_recall = 0.9
[card]
name = "disc"
version = "1"
created = "2026-01-01T00:00:00Z"
bands = ["red", "green", "blue"]
labels = ["disc"]
resolution_m = 0.5
tile_px = 128
context_px = 8
max_object_px = 24
nms_iou = 0.3
description = "discs"
data = "drawn here"
license = "CC0-1.0"
[split]
block_m = 24
validation = 0.2
test = 0.2
guard_m = 2
[network]
width = 8
deep_width = 8
deep_blocks = 1
[fit]
steps = 3
batch = 2
threads = 1
[sample]
size_px = 64
[complete]
steps = 2
[[images]]
image = "discs.tif"
labels = "discs.parquet"
sure_column = "agreement"
hold_out = "window.geojson"
hold_out_buffer_m = 4
[[checks]]
name = "by eye"
image = "discs.tif"
labels = "discs.parquet"
area = "window.geojson"
match_m = 2
overlap = true
"""
SIZE = 256
WEST, NORTH = 500_000.0, 200_000.0


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(3)
    pixels = rng.integers(20, 80, (3, SIZE, SIZE)).astype(np.uint8)
    at = np.arange(14, SIZE, 28)
    col, row = (values.ravel() for values in np.meshgrid(at, at))
    rows, cols = np.ogrid[:SIZE, :SIZE]
    for x, y in zip(col, row, strict=True):
        pixels[:, np.hypot(cols - x, rows - y) < 8] = 200
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "width": SIZE,
        "height": SIZE,
        "crs": "EPSG:32648",
        "transform": from_origin(WEST, NORTH, 0.5, 0.5),
    }
    with rasterio.open(tmp_path / "discs.tif", "w", **profile) as file:
        file.write(pixels)
    east, north = WEST + (col + 0.5) / 2, NORTH - (row + 0.5) / 2
    boxes = shapely.box(east - 4, north - 4, east + 4, north + 4)
    agreement = np.ones(len(boxes))
    agreement[::5] = 0.5
    frame = gpd.GeoDataFrame({"agreement": agreement}, geometry=boxes, crs=32648)
    frame.to_parquet(tmp_path / "discs.parquet")
    window = shapely.box(WEST + 20, NORTH - 40, WEST + 40, NORTH - 20)
    gpd.GeoDataFrame(geometry=[window], crs=32648).to_file(tmp_path / "window.geojson")
    (tmp_path / "discs.toml").write_text(RECIPE)
    return tmp_path


def test_a_recipe_becomes_a_model_folder_with_scores(data):
    seen = []
    model = train(
        str(data / "discs.toml"),
        data=data,
        out=data / "model",
        progress=lambda *step: seen.append(step[:2]),
    )
    assert seen == [
        *[("complete 1 of 2", step) for step in (1, 2)],
        *[("complete 2 of 2", step) for step in (1, 2)],
        *[("fit", step) for step in (1, 2, 3)],
    ]
    card = load_model(data / "model").card
    assert card == model.card
    assert card.name == "disc"
    assert card.architecture_options["width"] == 8
    assert card.training["recipe"] == "discs"
    assert card.training["completed"]["discs.tif"].keys() == {"added", "doubtful"}
    assert card.scores["by eye"]["n_true"] > 0
    assert "boxes at IoU 0.4" in card.scores["by eye"]
    west, south, east, north = card.footprint
    assert 104.9 < west < east < 105.1
    assert 1.7 < south < north < 1.9
    model.verify()


def test_the_held_out_window_is_blank_to_training_and_whole_to_the_check(data):
    recipe = read_recipe(str(data / "discs.toml"), TrainRecipe)
    image = load_image(data, recipe.images[0], recipe)
    # 20..40 m from the corner is 40..80 px; 4 m of buffer are 8 px
    assert not image.valid[34:86, 42:78].any()
    assert image.valid[:31].all()
    assert not (image.scene(0).trained & ~image.valid).any()
    assert np.isnan(image.as_float()[:, 60, 60]).all()
    assert image.sure.mean() == pytest.approx(0.8, abs=0.02)
    check = load_check(data, recipe.checks[0], recipe)
    assert check.image.usable.sum() == 40 * 40
    assert check.image.valid.all()
    np.testing.assert_allclose(check.boxes[:, 2] - check.boxes[:, 0], 16, atol=1e-6)
    np.testing.assert_allclose(check.boxes[0], [6.5, 6.5, 22.5, 22.5], atol=1e-6)


def test_an_image_of_another_pixel_is_brought_to_the_pixel_of_the_card(data):
    text = RECIPE.replace("resolution_m = 0.5", "resolution_m = 0.25")
    (data / "fine.toml").write_text(text)
    recipe = read_recipe(str(data / "fine.toml"), TrainRecipe)
    image = load_image(data, recipe.images[0], recipe)
    assert image.pixels.shape == (3, 512, 512)
    assert image.resolution_m == pytest.approx(0.25, rel=1e-3)
    np.testing.assert_allclose(image.circles.radius, 16, rtol=1e-3)
    x, y = image.circles.xy[0].astype(int)
    assert image.pixels[0, y, x] == 200


def test_an_image_that_teaches_shapes_keeps_its_pixels(data):
    text = RECIPE.replace("resolution_m = 0.5", "resolution_m = 0.25")
    (data / "any.toml").write_text(
        text.replace('image = "discs.tif"', 'image = "discs.tif"\nany_scale = true', 1)
    )
    recipe = read_recipe(str(data / "any.toml"), TrainRecipe)
    image = load_image(data, recipe.images[0], recipe)
    assert image.pixels.shape == (3, 256, 256)
    np.testing.assert_allclose(image.circles.radius, 8, rtol=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps = 3", "step = 3", "step"),
        ("threshold_recall = 0.9", "threshold_recall = 1.9", "threshold_recall"),
        ('kind = "train"', 'kind = "census"', "kind"),
        ("[network]", "[netwerk]", "netwerk.*network"),
        (
            'image = "discs.tif"\nlabels',
            'picture = "discs.tif"\nlabels',
            "picture|image",
        ),
    ],
)
def test_a_wrong_recipe_is_named_before_anything_is_read(tmp_path, old, new, said):
    (tmp_path / "bad.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(RecipeError, match=rf"bad\.toml.*({said})"):
        train(str(tmp_path / "bad.toml"), data=tmp_path, out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('image = "discs.tif"', 'image = "gone.tif"', r"gone\.tif"),
        ('sure_column = "agreement"', 'sure_column = "quality"', "quality.*agreement"),
        ("block_m = 24", "block_m = 128", "blocks of"),
    ],
)
def test_data_that_does_not_fit_the_recipe_is_named(data, old, new, said):
    (data / "bad.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(LabelError, match=said):
        train(str(data / "bad.toml"), data=data, out=data / "model")


@pytest.mark.parametrize("name", ["train_oil_palm", "train_tree_crown"])
def test_the_recipe_of_a_built_in_model_is_the_one_its_card_names(name):
    recipe = read_recipe(name, TrainRecipe)
    card = load_model(recipe.card.name).card
    digest = hashlib.sha256((RECIPES / f"{name}.toml").read_bytes()).hexdigest()
    assert card.training["recipe_sha256"] == digest
    assert card.bands == recipe.card.bands
    assert card.version == recipe.card.version
