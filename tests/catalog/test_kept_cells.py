"""Cells of warps are made once for the windows that share them."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from catalog_rasters import draw, make_item

from areca.catalog import (
    Imagery,
    acquisitions_of,
    close_idle,
    imagery,
    kept_cells,
    normalise_items,
    open_cube,
    set_origin,
    target_grid,
    warp,
)
from areca.catalog.kept_cells import KeptCells
from areca.tiles import Lattice, with_nan

CELL = 64
UTM15 = "EPSG:32615"


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    close_idle()
    monkeypatch.setattr(imagery, "CELL_PX", CELL)


@pytest.fixture
def warped(monkeypatch):
    """Every warp of a cell, by its place and what it is made of."""
    found, real = Counter(), warp.reproject

    def counting(source, cell, **how):
        found[how["src_transform"], how["dst_transform"], cell.shape] += 1
        return real(source, cell, **how)

    monkeypatch.setattr(warp, "reproject", counting)
    return found


def scene_of(path):
    items = set_origin([make_item(path)], ".")
    return items, normalise_items(items, catalog_href=".")


def imagery_of(path):
    _, scenes = scene_of(path)
    found = acquisitions_of(scenes)
    grid = target_grid(scenes, crs=UTM15, resolution=10)
    return Imagery.of(found, ["red", "nir"], grid), grid


def blocks(whole, edge):
    lattice = Lattice.of(whole, core_px=edge)
    return [lattice.core(tile) for tile in lattice.tiles(lattice.window(whole))]


def as_floats(mosaic):
    return with_nan(mosaic.pixels, mosaic.valid)


@pytest.mark.parametrize(("edge", "halo"), [(100, 0), (100, 16), (128, 16), (30, 40)])
def test_blocks_warp_each_cell_once_and_get_the_same_bits(
    write_tiff, warped, edge, halo
):
    path = write_tiff("a.tif", draw(4, 260, 330), pixel=10.0, nodata=0)
    seen, grid = imagery_of(path)
    windows = [window.grow(halo) for window in blocks(grid, edge)]

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(seen.read, windows))

    assert len(warped) > 25
    assert set(warped.values()) == {1}
    close_idle()
    whole = seen.lattice.window(grid).grow(halo + edge)
    pixels = as_floats(seen.read(whole))
    for window, mosaic in zip(windows, found, strict=True):
        expected = pixels[:, *window.slices_in(whole)]
        np.testing.assert_array_equal(as_floats(mosaic), expected)


def test_where_cells_are_not_kept_they_are_warped_more_than_once(
    write_tiff, warped, monkeypatch
):
    """The mutation: the cells of a block are all that there is room for."""
    monkeypatch.setattr(warp, "CELLS", KeptCells(0))
    path = write_tiff("a.tif", draw(4, 260, 330), pixel=10.0, nodata=0)
    seen, grid = imagery_of(path)
    for window in blocks(grid, 100):
        seen.read(window.grow(16))
    assert sum(warped.values()) > 2 * len(warped)


def test_a_cube_keeps_no_cells_for_it_wants_each_once(write_tiff, monkeypatch):
    monkeypatch.setattr(KeptCells, "get", lambda *_: 1 / 0)
    path = write_tiff("a.tif", draw(4, 100, 100), pixel=10.0, nodata=0)
    items, _ = scene_of(path)
    cube = open_cube(items, bands=["red"], crs=UTM15, resolution=10)
    assert cube.compute().shape == cube.shape


def test_a_file_that_was_replaced_is_warped_anew(write_tiff, warped):
    pixels = draw(4, 90, 90)
    seen, grid = imagery_of(write_tiff("a.tif", pixels, pixel=10.0, nodata=0))
    window = seen.lattice.window(grid)
    first, again = as_floats(seen.read(window)), as_floats(seen.read(window))
    before = warped.total()
    np.testing.assert_array_equal(first, again)

    write_tiff("a.tif", pixels[:, ::-1].copy(), pixel=10.0, nodata=0)

    assert not np.array_equal(as_floats(seen.read(window)), first, equal_nan=True)
    assert warped.total() == 2 * before


def test_a_strip_of_blocks_is_as_wide_as_what_is_kept(write_tiff, monkeypatch):
    path = write_tiff("a.tif", draw(4, 90, 90), pixel=10.0, nodata=0)
    seen, _ = imagery_of(path)
    monkeypatch.setattr(imagery, "KEPT_BYTES", 2 * 4 * 450 * (128 + CELL))
    assert seen.strip_px(128) == 3 * 128
    assert seen.strip_px(512) == 512  # at least a block
    _, scenes = scene_of(path)
    assert Imagery.of(seen.found, ["red"], target_grid(scenes)).strip_px(128) is None


def test_of_two_threads_one_makes_the_cell(monkeypatch):
    cells, asked, made = KeptCells(10**6), threading.Event(), []
    monkeypatch.setattr(
        kept_cells.Future, "result",
        lambda self, real=kept_cells.Future.result: (asked.set(), real(self))[1],
    )  # fmt: skip

    def make():
        made.append(1)
        assert asked.wait(10)  # until the other one waits for this
        return np.zeros(3, "float32")

    with ThreadPoolExecutor(2) as threads:
        one, other = [threads.submit(cells.get, "a", make) for _ in range(2)]
    assert made == [1]
    assert one._result is other._result


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    cells, made = KeptCells(1000), []

    def get(name, count=100):
        def make():
            made.append(name)
            return np.zeros(count, "float32")

        return cells.get(name, make)

    for name in "abacab":
        get(name)
    assert made == list("abcb")
    get("d", 251)  # too large to be kept, and nothing else fits beside it
    get("d", 251)
    get("a")
    assert made == list("abcbdda")
    cells.forget()
    get("a")
    assert made == list("abcbddaa")


def test_a_fault_is_not_kept():
    cells = KeptCells(5000)
    with pytest.raises(ZeroDivisionError):
        cells.get("a", lambda: 1 / 0)
    assert cells.get("a", lambda: None) is None
    assert cells.get("a", lambda: 1 / 0) is None


def test_what_is_made_while_all_is_forgotten_is_not_kept():
    """It may be of a file that has been replaced meanwhile."""
    cells, made = KeptCells(2**20), []

    def make():
        made.append(1)
        if len(made) == 1:
            cells.forget()
        return np.full((4, 4), len(made), np.float32)

    assert cells.get("a", make)[0, 0] == 1
    assert cells.get("a", make)[0, 0] == 2
    assert cells.get("a", make)[0, 0] == 2
