"""Every family of models through the one command, on a real scene, on the CPU."""

import json

import geopandas as gpd
import pytest
import xarray as xr
from model_families import DETECTORS, SEGMENTERS, drawn_network, family_card

from areca.models.contracts import FAMILIES
from areca.models.weights import save_model
from areca_pipelines.cli import main

COLUMNS = {
    "object_id", "geometry", "label", "score", "tile", "item_id", "datetime", "model",
    "radius_method", "area_m2", "perimeter_m", "center_x", "center_y", "center_lon",
    "center_lat", "radius_m", "width_m", "length_m", "orientation_deg",
}  # fmt: skip
METHOD = {
    "heatmap": "model",
    "boxes": "ellipse_of_box",
    "masks": "mask",
    "logits": "mask",
}
RECIPE = """
kind = "census"
title = "Any model"
model = "{model}"

[options]
block_tiles = 8
confidence = ["{layer}"]
"""


@pytest.mark.parametrize("name", [*DETECTORS, *SEGMENTERS])
def test_a_family_runs_on_a_real_scene(name, shared_data, tmp_path):
    scene = shared_data / "neon_tree_crowns" / "OSBS_029.tif"
    bands = ("red", "green", "blue")
    card = family_card(
        name, bands=bands, resolution_m=0.1, mean=(110.0,) * 3, std=(60.0,) * 3
    )
    save_model(drawn_network(card), card, tmp_path / "model")
    dense = card.contract == "logits"
    layer = "top1" if dense else "score"
    recipe = tmp_path / "any.toml"
    recipe.write_text(RECIPE.format(model=tmp_path / "model", layer=layer))

    with pytest.raises(SystemExit) as ended:
        main(
            ["run", str(recipe), "--catalog", str(scene), "--out",
             str(tmp_path / "run"), "--cluster", "threads"]
        )  # fmt: skip

    assert ended.value.code == 0
    (table,) = (tmp_path / "run" / "objects").glob("*.parquet")
    objects = gpd.read_parquet(table)
    assert set(objects.columns) >= COLUMNS
    assert set(objects["radius_method"]) <= {METHOD[card.contract]}
    assert set(objects["label"]) <= set(card.labels)
    assert objects["object_id"].is_unique
    assert objects.is_valid.all()
    assert ((objects["score"] >= 0) & (objects["score"] <= 1)).all()
    assert (objects["area_m2"] > 0).all()
    rasters = xr.open_zarr(
        tmp_path / "run" / "rasters.zarr", decode_coords="all", mask_and_scale=False
    )
    assert set(rasters.data_vars) == ({"label", "top1"} if dense else {"score"})
    assert rasters.rio.crs.to_epsg() == objects.crs.to_epsg()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["state"] == "DONE"
    assert manifest["objects"] == len(objects)


def test_no_family_is_left_out():
    built_in, in_a_file = {"centre-radius"}, {"file"}
    assert FAMILIES.keys() == {*DETECTORS, *SEGMENTERS} | built_in | in_a_file
