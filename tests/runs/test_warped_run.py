"""Runs over imagery of several pixel grids: warped by fixed cells, counted once."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from bright_model import write_bright_recipe
from catalog_rasters import make_item
from pyproj import Transformer
from rasterio.warp import transform_bounds
from worlds import quiet

import areca
from areca.catalog import (
    Imagery,
    acquisitions_of,
    normalise_acquisitions,
    set_origin,
    target_grid,
)
from areca.models.handle import load_model
from areca.runs import FinishedRun, run_census
from areca.runtime import open_client
from areca.tiles import Lattice, Window, cube_geobox, with_nan
from areca_pipelines.census import Ground, prepare
from areca_pipelines.cli import main

EAST, WEST = "EPSG:32648", "EPSG:32647"
LEFT, TOP = 166_000.0, 240_000.0
"""Near the border of the two zones, metres of the eastern one."""
RADIUS = 1.6
CENTRES = [(LEFT + 5 + 6.3 * i, TOP - 4 - 6.1 * j) for i in range(12) for j in range(6)]
"""Of all discs; the western image ends within the fifth column of them."""


def draw(path, crs, pixel, bounds, *, bands=3):
    """Write the discs as one grid shows them; bounds are in metres of the east."""
    left, bottom, right, top = transform_bounds(EAST, crs, *bounds)
    left, top = round(left, 1), round(top, 1)
    width, height = int((right - left) / pixel), int((top - bottom) / pixel)
    transform = Affine(pixel, 0, left, 0, -pixel, top)
    col, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    back = Transformer.from_crs(crs, EAST, always_xy=True)
    x, y = back.transform(*(transform * (col, row)))
    rng = np.random.default_rng(len(crs + path.name))  # a shift would show
    pixels = rng.integers(50, 75, (bands, height, width)).astype(np.uint8)
    for east, north in CENTRES:
        pixels[:, (x - east) ** 2 + (y - north) ** 2 < RADIUS**2] = 220
    profile = {
        "driver": "GTiff", "count": bands, "height": height, "width": width,
        "dtype": "uint8", "crs": crs, "transform": transform, "nodata": 0,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "blue")[:bands]
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two images of two zones and pixel sizes that overlap, and a simple model."""
    folder = tmp_path_factory.mktemp("zones")
    (folder / "scenes").mkdir()
    ground = LEFT, TOP - 40, LEFT + 33.1, TOP
    draw(folder / "scenes" / "west.tif", WEST, 0.25, ground)
    ground = LEFT + 24, TOP - 40, LEFT + 80, TOP
    draw(folder / "scenes" / "east.tif", EAST, 0.2, ground)
    write_bright_recipe(folder)
    return folder


@pytest.fixture(scope="module")
def client():
    with open_client("threads") as client:
        yield client


def request_of(world, **settings):
    return prepare(str(world / "any.toml"), Ground(catalog=world / "scenes"), settings)


@pytest.fixture(scope="module")
def small(world, client, tmp_path_factory):
    """The run in blocks of one tile."""
    out = tmp_path_factory.mktemp("runs") / "small"
    return run_census(
        request_of(world, block_tiles=1), out, client=client, progress=quiet
    )


def by_id(folder):
    return areca.read_objects(folder).sort_values("object_id", ignore_index=True)


def test_each_object_is_counted_once_at_its_place(small):
    objects = by_id(small.folder.objects).to_crs(EAST)
    # The finest pixel, and the zone in which the middle of both lies.
    assert FinishedRun.open(small.folder.path).layout.grid.lattice.pixel_x == 0.2
    tree = shapely.STRtree(objects.geometry)
    hits = [tree.query(shapely.Point(c), "intersects") for c in CENTRES]
    assert [len(hit) for hit in hits] == [1] * len(CENTRES)
    assert len(objects) == len(CENTRES)
    order = np.concatenate(hits)
    off = shapely.distance(objects.centroid.to_numpy()[order], shapely.points(CENTRES))
    assert off.max() < 0.15
    assert abs(objects["area_m2"].to_numpy() / (np.pi * RADIUS**2) - 1).max() < 0.1
    items = objects["item_id"].to_numpy()[order].reshape(12, 6)
    # Bare files have no dates: the first by id is on top.
    assert (items[:3] == "west").all()
    assert (items[4:] == "east").all()
    picture = small.folder.report.read_text(encoding="utf-8")
    assert "west" in picture
    assert "east" in picture


@pytest.mark.parametrize("block_tiles", [2, 7])
def test_the_size_of_blocks_changes_no_object(
    world, client, small, tmp_path, block_tiles
):
    request = request_of(world, block_tiles=block_tiles)
    other = run_census(request, tmp_path / "run", client=client, progress=quiet)
    assert len(other.blocks) < len(small.blocks)
    pd.testing.assert_frame_equal(
        by_id(other.folder.objects), by_id(small.folder.objects)
    )


def test_a_run_that_was_stopped_goes_on(world, client, tmp_path):
    request = request_of(world, block_tiles=2)
    first = run_census(request, tmp_path / "run", client=client, progress=quiet)
    before = {p.name: p.read_bytes() for p in first.folder.objects.iterdir()}
    (tmp_path / "run" / "manifest.json").unlink()
    next((tmp_path / "run" / "blocks").rglob("done.json")).unlink()

    again = run_census(
        request_of(world, block_tiles=2), tmp_path / "run",
        client=client, progress=quiet,
    )  # fmt: skip

    assert again.resumed == len(first.blocks) - 1
    assert {p.name: p.read_bytes() for p in again.folder.objects.iterdir()} == before


def test_the_objects_are_those_of_predict_on_the_cube(world, small):
    cube = areca.open_cube(
        areca.search(world / "scenes"), bands=["red", "green", "blue"]
    )
    options = areca.PredictOptions(trust=True)
    found = areca.predict(cube, load_model(str(world / "model")), options=options)
    expected = found.objects.compute().sort_values("object_id", ignore_index=True)
    objects = by_id(small.folder.objects)
    assert objects["object_id"].tolist() == expected["object_id"].tolist()
    assert (objects.geometry == expected.geometry).all()


def windows(whole: Window):
    yield Window(whole.row0 - 9, whole.col0 - 5, whole.row0 + 90, whole.col0 + 200)
    yield Window(whole.row0 + 40, whole.col0 + 110, whole.row0 + 170, whole.col0 + 260)


def two_sizes(folder):
    """An item with two bands of 0.2 m and one of 0.4 m, and one of another zone."""
    ground = LEFT, TOP - 40, LEFT + 33, TOP
    fine = make_item(draw(folder / "fine.tif", WEST, 0.2, ground, bands=2))
    coarse = make_item(
        draw(folder / "coarse.tif", WEST, 0.4, ground, bands=1), names=["blue"]
    )
    asset = coarse.assets["image"]
    asset.extra_fields |= {
        k: v for k, v in coarse.properties.items() if k.startswith("proj:")
    }
    fine.add_asset("coarse", asset)
    ground = LEFT + 20, TOP - 40, LEFT + 70, TOP
    east = make_item(draw(folder / "east.tif", EAST, 0.25, ground))
    return set_origin([fine, east], folder)


def test_what_is_read_equals_the_cube_bit_for_bit(tmp_path):
    items, bands = two_sizes(tmp_path), ["red", "blue"]
    found = normalise_acquisitions(items, catalog_href=tmp_path, bands=bands)
    assert [len(one.parts) for one in found] == [1, 2]
    scenes = [part for one in found for part in one.parts]
    assert acquisitions_of(scenes) == found
    grid = target_grid([one.parts[0] for one in found])
    imagery = Imagery.of(found, bands, grid)
    whole = areca.open_cube(items, bands=bands).compute()
    assert cube_geobox(whole) == grid
    everything = Lattice.of(grid, core_px=512).window(grid)
    for window in windows(everything):
        seen = imagery.read(window)
        inner = window.intersection(everything)
        part = with_nan(seen.pixels, seen.valid)[:, *inner.slices_in(window)]
        expected = whole.values[:, *inner.slices_in(everything)].astype("float32")
        if whole.rio.nodata is not None and not np.isnan(whole.rio.nodata):
            expected[expected == whole.rio.nodata] = np.nan
        np.testing.assert_array_equal(part, expected)
        assert (
            (seen.source < 0) == np.isnan(with_nan(seen.pixels, seen.valid)).all(0)
        ).all()


def test_cells_of_a_block_would_give_other_pixels(tmp_path):
    """The mutation: cells as large as the window and not of the grid."""
    items, bands = two_sizes(tmp_path), ["red", "blue"]
    found = normalise_acquisitions(items, catalog_href=tmp_path, bands=bands)
    grid = target_grid([one.parts[0] for one in found])
    imagery = Imagery.of(found, bands, grid)
    window = list(windows(Lattice.of(grid, core_px=512).window(grid)))[1]
    lattice = replace(imagery.lattice, core_px=31)
    other = replace(imagery, reader=replace(imagery.reader, lattice=lattice))
    assert (imagery.read(window).pixels != other.read(window).pixels).any()


def call(capfd, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    shown = capfd.readouterr()
    return ended.value.code, shown.out, shown.err.strip()


def test_the_command_takes_the_grid_that_it_is_given(world, capfd):
    given = [world / "any.toml", "--catalog", world / "scenes"]
    code, _, shown = call(capfd, "plan", *given)
    assert code == 0
    assert "warped to EPSG:32647 with pixels of 0.2 " in shown
    asked = ["--set", "crs=32648", "--set", "resolution=0.25"]
    code, _, shown = call(capfd, "plan", *given, *asked)
    assert code == 0
    assert "warped to EPSG:32648 with pixels of 0.25 " in shown
    request = request_of(world, crs="EPSG:32648", resolution=0.25)
    asked = json.loads(json.dumps(request.to_dict()))
    assert asked["grid"]["transform"][0] == 0.25
    one = [given[0], "--catalog", world / "scenes" / "east.tif"]
    _, _, shown = call(capfd, "plan", *one)
    assert "warped" not in shown


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """Two images of zones 18 degrees apart."""
    folder = tmp_path_factory.mktemp("far")
    draw(folder / "a.tif", EAST, 0.2, (LEFT, TOP - 20, LEFT + 20, TOP))
    with rasterio.open(folder / "a.tif") as file:
        pixels, profile = file.read(), file.profile
    with rasterio.open(folder / "b.tif", "w", **profile | {"crs": "EPSG:32651"}) as f:
        f.write(pixels)
        f.descriptions = ("red", "green", "blue")
    return folder


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "--set crs=EPSG:… --set resolution=…"),
        (["--set", "crs=EPSG:4326"], "not in true metres there; give resolution"),
        (["--set", "crs=EPSG:99"], "unknown CRS 'EPSG:99'"),
        (["--set", "resolution=0"], "resolution is 0"),
        (["--set", "crs=EPSG:6933", "--set", "resolution=3"], "trained at 0.2 m"),
        (["--set", "crs=EPSG:6933", "--set", "resolution=0.1"], "resolution=0.2"),
    ],
)
def test_zones_that_are_far_apart_need_one_crs_for_all(
    world, far, tmp_path, capfd, asked, told
):
    """One line says what to do; nothing is read."""
    given = [world / "any.toml", "--catalog", far, "--out", tmp_path / "run"]
    code, _, error = call(capfd, "run", *given, "--cluster", "threads", *asked)
    assert code == 2
    assert len(error.splitlines()) == 1
    assert told in error
    assert not (tmp_path / "run").exists()


def test_one_crs_for_all_counts_both(world, far, client, tmp_path):
    """Most of the ground between them has no imagery: no block, no hole."""
    asked = prepare(str(world / "any.toml"), Ground(catalog=far), {"crs": "EPSG:3857"})
    result = run_census(asked, tmp_path / "run", client=client, progress=quiet)
    shown = sum(LEFT + 2 < x < LEFT + 18 and y > TOP - 18 for x, y in CENTRES)
    assert result.state == "DONE"
    objects = areca.read_objects(result.folder.objects)
    assert set(objects["item_id"]) == {"a", "b"}
    assert (objects["item_id"] == "a").sum() == (objects["item_id"] == "b").sum()
    assert (objects["area_m2"] > 7).sum() >= 2 * shown
