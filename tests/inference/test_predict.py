from dataclasses import replace

import dask
import dask_geopandas as dgpd
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from torchvision.ops import batched_nms
from worlds import MUTATIONS, PIXEL, draw_ground, mutate, noisy_model, write_scene

import areca
from areca.errors import BandError, GridError, InputError, ModelError
from areca.inference import Predictor, detect, lazy_block, predict_block
from areca.models.adapter import load_network
from areca.models.handle import Model
from areca.tiles import Lattice, cube_geobox

BANDS = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A drawn scene of 3 x 4 blocks of 2 x 2 tiles, and a model that sees too much."""
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(330, 470))
    model = noisy_model(folder / "model")
    cube = areca.open_cube(areca.search(scene), bands=BANDS)
    return cube, model


def found(cube, model, **options):
    aoi = options.pop("aoi", None)
    out = areca.predict(cube, model, aoi=aoi, options=areca.PredictOptions(**options))
    with dask.config.set(scheduler="threads"):
        return by_id(out.objects.compute())


def by_id(objects):
    return objects.sort_values("object_id", ignore_index=True)


def plain_loop(cube, model):
    """The same answer by another way: one tile after the other, then one NMS."""
    card = model.card
    pixels = cube.to_numpy().astype(np.float32)
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    network = load_network(model)
    rows = []
    for tile in lattice.tiles(window):
        core = lattice.core(tile)
        top, left = core.row0 - card.halo_px, core.col0 - card.halo_px
        image = np.zeros((3, card.tile_px, card.tile_px), np.float32)
        for y in range(card.tile_px):
            row = top + y - window.row0
            if not 0 <= row < pixels.shape[1]:
                continue
            for x0, x1 in [
                (max(0, window.col0 - left), min(card.tile_px, window.col1 - left))
            ]:
                values = pixels[
                    :, row, left + x0 - window.col0 : left + x1 - window.col0
                ]
                image[:, y, x0:x1] = (values - 110.0) / 60.0
        seen = network.decode(network.forward(image[None]), card.score_threshold)[0]
        for x, y, r, s in zip(seen.x, seen.y, seen.radius, seen.score, strict=True):
            col, line = left + float(x), top + float(y)
            in_tile = (
                core.col0 - 4 <= col < core.col1 + 4
                and core.row0 - 4 <= line < core.row1 + 4
            )
            in_image = (
                window.col0 <= col < window.col1 and window.row0 <= line < window.row1
            )
            if in_tile and in_image and 2 * r <= card.max_object_px:
                rows.append((col, line, float(r), float(s)))
    # Equal scores: the order of the contract is score, y, x, tile; torch keeps it.
    rows.sort(key=lambda row: (-row[3], row[1], row[0]))
    table = torch.tensor(rows, dtype=torch.float64)
    x, y, r, s = table.T
    boxes = torch.stack([x - r, y - r, x + r, y + r], 1)
    keep = batched_nms(boxes, s, torch.zeros(len(s), dtype=torch.int64), card.nms_iou)
    return lattice, table[keep].numpy()


def test_it_finds_what_a_plain_loop_over_all_tiles_finds(world):
    cube, model = world
    lattice, expected = plain_loop(cube, model)

    objects = found(cube, model, block_tiles=2)

    centres = shapely.centroid(objects.geometry.to_numpy())
    x, y = lattice.to_crs(expected[:, 0], expected[:, 1])
    ours = np.column_stack([shapely.get_x(centres), shapely.get_y(centres)])
    theirs = np.column_stack([x, y])
    assert len(ours) == len(theirs) > 300
    np.testing.assert_allclose(
        ours[np.lexsort(np.round(ours, 4).T)],
        theirs[np.lexsort(np.round(theirs, 4).T)],
        atol=1e-6,
    )
    area = np.sort(objects.area)
    np.testing.assert_allclose(area, np.sort(np.pi * (expected[:, 2] * PIXEL) ** 2))


@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        ({"y": 90, "x": 111}, {"block_tiles": 1}),
        ({"y": 1000, "x": 50}, {"block_tiles": 2, "batch_size": 3}),
        ({"y": 77, "x": 1000}, {"block_tiles": 3, "torch_threads": 2}),
    ],
)
def test_chunks_and_blocks_never_change_the_answer(world, chunks, options):
    cube, model = world
    whole = found(cube.chunk(y=-1, x=-1), model, block_tiles=20)

    pd.testing.assert_frame_equal(found(cube.chunk(chunks), model, **options), whole)
    assert whole["object_id"].is_unique


def test_every_border_and_corner_has_objects(world):
    """What makes the test above worth something."""
    cube, model = world
    lattice = Lattice.of(cube_geobox(cube), core_px=model.card.core_px)
    objects = found(cube, model, block_tiles=1)
    x0, y0, x1, y1 = objects.bounds.to_numpy().T
    left, top = lattice.to_pixels(x0, y1)
    right, bottom = lattice.to_pixels(x1, y0)
    over_line = left // 64 != right // 64
    over_row = top // 64 != bottom // 64

    lines = {int(n) for n in (right[over_line] // 64)}
    rows = {int(n) for n in (bottom[over_row] // 64)}
    assert len(lines) >= 6
    assert len(rows) >= 4
    assert (over_line & over_row).sum() >= 10


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_changes_the_answer(world, monkeypatch, mutation):
    """Without ownership, halo or the seam step the invariance would be lost."""
    cube, model = world
    right = found(cube, model, block_tiles=2)
    mutate(monkeypatch, mutation, lazy_block)

    wrong = found(cube, model, block_tiles=2)

    assert not wrong.equals(right)


def test_an_area_selects_objects_by_centre_and_changes_none(world):
    cube, model = world
    every = found(cube, model, block_tiles=2)
    to_degrees = every.to_crs("EPSG:4326")
    west, south, east, north = to_degrees.total_bounds
    area = shapely.box(
        west + 0.3 * (east - west), south + 0.2 * (north - south),
        west + 0.71 * (east - west), south + 0.77 * (north - south),
    )  # fmt: skip

    part = found(cube, model, block_tiles=1, aoi=area)

    lon_lat = every.geometry.centroid.to_crs("EPSG:4326")
    expected = every[lon_lat.within(area)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert 0 < len(part) < len(every)


def test_a_cube_that_was_cropped_to_an_area_is_warned_about(world):
    cube, model = world
    with pytest.warns(UserWarning, match="give the area to predict"):
        areca.predict(cube.assign_attrs(cropped_to_area=True), model)


@pytest.mark.usefixtures("no_compute")
def test_predict_stays_lazy_and_shares_one_graph(world):
    cube, model = world

    out = areca.predict(cube, model, options=areca.PredictOptions(block_tiles=2))
    measured = areca.measure(out.objects)

    assert isinstance(out.objects, dgpd.GeoDataFrame)
    assert out.objects.crs == "EPSG:32648"
    assert {"area_m2", "radius_m"} <= set(measured.columns)
    blocks = [key for key in out.objects.dask if str(key).startswith("areca-predict-")]
    assert len(blocks) == out.objects.npartitions >= 9
    assert list(out.rasters.data_vars) == []
    assert out.rasters.spatial_ref == cube.spatial_ref


@pytest.mark.usefixtures("no_compute")
def test_a_graph_holds_its_predictor_once_and_equal_calls_name_equal_tasks(world):
    """Dask would walk through it in every task: most of the cost of a graph."""
    cube, model = world
    tasks = [
        {str(key) for key in found.objects.dask if str(key).startswith("areca-pred")}
        for found in (
            areca.predict(cube, model, options=areca.PredictOptions(block_tiles=2)),
            areca.predict(cube, model, options=areca.PredictOptions(block_tiles=2)),
            areca.predict(
                cube,
                model,
                options=areca.PredictOptions(block_tiles=2, threshold=0.9),
            ),
        )
    ]

    assert sum(key.startswith("areca-predictor-") for key in tasks[0]) == 1
    assert tasks[0] == tasks[1]
    assert tasks[0].isdisjoint(tasks[2])


def test_what_was_never_seen_has_no_objects(world):
    cube, model = world
    marked = cube.compute().astype("float32")
    marked[:, 100:200, :] = np.nan
    marked = marked.rio.write_nodata(np.nan)

    objects = found(marked.chunk(y=100, x=100), model, block_tiles=2)

    rows = (240_000.0 - objects.geometry.centroid.y) / PIXEL
    assert not ((rows > 100) & (rows < 200)).any()
    assert (rows < 100).any()
    assert (rows > 200).any()


def test_an_infinite_pixel_costs_no_more_than_a_missing_one(world):
    """In float32, what replaces infinity must not swamp the tile."""
    cube, model = world
    broken = cube.compute().astype("float32")
    broken[:, 150, 200] = np.inf
    missing = broken.where(np.isfinite(broken))

    one = found(broken.chunk(y=100, x=100), model, block_tiles=2)
    other = found(missing.chunk(y=100, x=100), model, block_tiles=2)

    pd.testing.assert_frame_equal(one, other)
    assert len(one) > 300


def test_what_is_larger_than_the_halo_allows_is_listed_and_not_cut(world, monkeypatch):
    cube, model = world
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube)).grow(-120)
    window = lattice.core(next(iter(lattice.tiles(window))))
    predictor = Predictor(model=model, lattice=lattice, options=areca.PredictOptions())
    rows, cols = window.grow(card.halo_px).slices_in(lattice.window(cube_geobox(cube)))
    pixels = cube.isel(y=rows, x=cols).compute().astype("float32")
    tiles = list(lattice.tiles(window))
    normal = predict_block(pixels, window, tiles, predictor)
    monkeypatch.setattr(
        detect, "larger_than", lambda c, _px: c["x_max"] - c["x_min"] > 14
    )

    strict = predict_block(pixels, window, tiles, predictor)

    assert len(normal.oversize) == 0
    sizes = strict.oversize["x_max"] - strict.oversize["x_min"]
    assert len(sizes) > 0
    assert (sizes > 14).all()
    assert len(strict.candidates) > 0


def test_a_model_that_does_not_fit_is_named_before_any_read(world):
    cube, model = world
    with pytest.raises(
        BandError,
        match=r"noisy wants the bands red, green, blue, .*no band or index 'blue'",
    ):
        areca.predict(cube.sel(band=["red", "green"]), model)
    coarse = cube.isel(y=slice(None, None, 4), x=slice(None, None, 4))
    coarse = coarse.rio.write_transform(coarse.rio.transform(recalc=True))
    with pytest.raises(GridError, match=r"trained at 0\.2 m"):
        areca.predict(coarse, model)
    peaks = Model(replace(model.card, resolve="peaks"), model.folder)
    with pytest.raises(ModelError, match="resolves duplicates by 'peaks'"):
        areca.predict(cube, peaks)
    with pytest.raises(InputError, match="options is a dict"):
        areca.predict(cube, model, options={"threshold": 0.6})
    with pytest.raises(InputError, match=r"threshold is 1\.5"):
        areca.PredictOptions(threshold=1.5)
    with pytest.raises(InputError, match="block_tiles is 0"):
        areca.PredictOptions(block_tiles=0)
