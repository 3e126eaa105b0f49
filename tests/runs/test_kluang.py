"""The census of a piece of a real plantation, cut and run in many ways."""

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.windows import Window as RasterWindow
from worlds import MUTATIONS, mutate

import areca
from areca.catalog import normalise_items
from areca.models.card_file import write_card
from areca.models.handle import Model
from areca.runs import RunRequest, block_task, run_census
from areca.runtime import open_client

PIECE = RasterWindow(col_off=1500, row_off=1400, width=1733, height=1733)
"""3.0 million pixels in the middle of the west block."""
TILE = 320
"""Smaller tiles than the model's own, for more borders: 9 x 9 tiles of 192 px or so."""


@pytest.fixture(scope="module")
def piece(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("piece")
    source = shared_data / "kluang_oil_palm" / "kluang_west.tif"
    with rasterio.open(source) as file:
        pixels = file.read(window=PIECE)
        profile = {
            "driver": "GTiff", "crs": file.crs, "count": 3, "dtype": "uint8",
            "transform": file.window_transform(PIECE), "photometric": "rgb",
            "height": PIECE.height, "width": PIECE.width,
            "tiled": True, "compress": "deflate",
        }  # fmt: skip
    with rasterio.open(folder / "piece.tif", "w", **profile) as file:
        file.write(pixels)
    return folder / "piece.tif"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The oil palm model on smaller tiles."""
    trained = areca.load_model("oil-palm")
    folder = tmp_path_factory.mktemp("model")
    card = replace(trained.card, tile_px=TILE)
    (folder / card.weights).write_bytes(trained.weights_path.read_bytes())
    write_card(card, folder / "model.json")
    return Model(card, folder)


@pytest.fixture(scope="module", params=["threads", "1 process", "2 processes"])
def client(request):
    if request.param == "threads":
        with open_client("threads", threads=2) as client:
            yield client
    else:
        with open_client("local", workers=int(request.param[0])) as client:
            yield client


def request_of(piece: Path, model: Model, block_tiles: int, aoi=None):
    return RunRequest(
        recipe="test",
        title="Test",
        command="",
        scenes=tuple(normalise_items(areca.search(piece), catalog_href=piece)),
        model=model,
        options=areca.PredictOptions(block_tiles=block_tiles),
        aoi=aoi,
    )


def count(request, out, client):
    run_census(request, out, client=client, progress=lambda *_a, **_k: None)
    return by_id(areca.read_objects(out / "objects"))


def by_id(objects):
    return objects.sort_values("object_id", ignore_index=True)


@pytest.fixture(scope="module")
def whole(piece, model, tmp_path_factory):
    """One block, one process, one pass: nothing to put together."""
    request = request_of(piece, model, block_tiles=100)
    assert len(request.plan.blocks) == 1
    with open_client("threads", threads=1) as client:
        return count(request, tmp_path_factory.mktemp("whole") / "run", client)


def test_palms_stand_on_the_borders_and_corners(whole, piece, model):
    """What makes the tests below worth something."""
    plan = request_of(piece, model, block_tiles=3).plan
    lattice, (rows, cols) = plan.predictor.lattice, plan.grid.shape
    x0, y0, x1, y1 = whole.bounds.to_numpy().T
    left, top = lattice.to_pixels(x0, y1)
    right, bottom = lattice.to_pixels(x1, y0)
    edge = 3 * lattice.core_px
    across, down = right // edge - left // edge == 1, bottom // edge - top // edge == 1

    assert min(rows, cols) >= 3
    assert len(whole) > 800
    assert set(right[across] // edge) >= set(np.arange(1, cols) + left.min() // edge)
    assert set(bottom[down] // edge) >= set(np.arange(1, rows) + top.min() // edge)
    assert (across & down).any()


@pytest.mark.slow
@pytest.mark.parametrize("block_tiles", [1, 2, 3])
def test_blocks_workers_and_processes_give_the_same_bits(
    piece, model, whole, client, tmp_path, block_tiles
):
    request = request_of(piece, model, block_tiles)
    assert min(request.plan.grid.shape) >= 3

    found = count(request, tmp_path / "run", client)

    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert whole["object_id"].is_unique


@pytest.mark.slow
@pytest.mark.parametrize("block_tiles", [1, 2])
def test_an_area_gives_the_same_objects(
    piece, model, whole, client, tmp_path, block_tiles
):
    west, south, east, north = whole.total_bounds
    area = shapely.Polygon(
        [
            (west + 0.2 * (east - west), south + 0.35 * (north - south)),
            (west + 0.75 * (east - west), south + 0.15 * (north - south)),
            (west + 0.6 * (east - west), south + 0.8 * (north - south)),
        ]
    )
    found = count(request_of(piece, model, block_tiles, area), tmp_path / "run", client)

    inside = shapely.intersects_xy(area, whole["center_lon"], whole["center_lat"])
    expected = whole[inside].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert 100 < len(found) < len(whole) / 2


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_noticed(piece, model, whole, tmp_path, monkeypatch, mutation):
    mutate(monkeypatch, mutation, block_task)
    with open_client("threads", threads=1) as client:
        wrong = count(request_of(piece, model, 2), tmp_path / "run", client)

    assert not wrong.equals(whole)


def test_the_census_agrees_with_the_labels(piece, whole, shared_data):
    """Not a score (that is in the card): a guard against palms in the wrong place."""
    labels = gpd.read_parquet(
        shared_data / "kluang_oil_palm" / "kluang_west_boxes.parquet"
    ).to_crs("EPSG:32648")
    with rasterio.open(piece) as file:
        ground = gpd.GeoSeries([shapely.box(*file.bounds)], crs=file.crs)
    inner = ground.to_crs("EPSG:32648")[0].buffer(-10)
    sure = labels[(labels["agreement"] == 1) & labels.centroid.within(inner)]
    tree = shapely.STRtree(whole.to_crs("EPSG:32648").centroid)

    _, distance = tree.query_nearest(sure.centroid, return_distance=True)

    assert len(sure) > 300
    assert (distance < 2.5).mean() > 0.9
    assert whole["radius_m"].between(2, 9).all()
    assert whole["area_m2"].to_numpy() == pytest.approx(
        np.pi * whole["radius_m"].to_numpy() ** 2
    )
