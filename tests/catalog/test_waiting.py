import threading
from contextvars import ContextVar

import numpy as np
import pystac
import pytest
from catalog_rasters import draw, make_item

from areca.catalog import grid_of, normalise_items, read_mosaic
from areca.catalog.waiting import all_at_once
from areca.errors import ReadError

BANDS = ("red", "green", "nir")
told = ContextVar("told", default="nothing")


def test_all_wait_at_once_and_answers_keep_their_order():
    together = threading.Barrier(3)

    def work(number):
        together.wait(timeout=10)
        return 10 * number

    assert all_at_once(work, [1, 2, 3]) == [10, 20, 30]


def test_the_context_of_the_caller_is_that_of_the_work():
    token = told.set("signer")
    try:
        assert all_at_once(lambda _: told.get(), [1, 2]) == ["signer", "signer"]
    finally:
        told.reset(token)


def test_a_failure_comes_after_all_have_ended():
    ended = threading.Event()

    def work(name):
        if name == "good":
            threading.Event().wait(0.1)
            ended.set()
            return
        raise OSError(name)

    with pytest.raises(OSError, match="bad"):
        all_at_once(work, ["good", "bad"])
    assert ended.is_set()


def remote_item(write_tiff, server):
    """An item of three files of one band."""
    pixels = draw(3, 70, 90)
    paths = [
        write_tiff(f"{n}.tif", p[None]) for n, p in zip(BANDS, pixels, strict=True)
    ]
    items = [
        make_item(path, names=[name], href=f"{server.url}/{name}.tif")
        for name, path in zip(BANDS, paths, strict=True)
    ]
    whole = pystac.Item.from_dict(items[0].to_dict())
    whole.assets = {
        name: asset
        for name, item in zip(BANDS, items, strict=True)
        for asset in item.assets.values()
    }
    return whole, pixels


def test_bands_of_several_remote_files_are_read_each_into_its_place(
    write_tiff, file_server
):
    item, pixels = remote_item(write_tiff, file_server)
    scenes = normalise_items([item], catalog_href=file_server.url)
    found = read_mosaic(scenes, BANDS[::-1], grid_of(scenes)[10:60, 20:80])
    np.testing.assert_array_equal(found.pixels, pixels[::-1, 10:60, 20:80])


def test_one_band_that_cannot_be_read_is_named(write_tiff, file_server, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    item, _ = remote_item(write_tiff, file_server)
    scenes = normalise_items([item], catalog_href=file_server.url)
    (file_server.folder / "green.tif").unlink()
    with pytest.raises(ReadError, match=r"band green, .*green\.tif"):
        read_mosaic(scenes, BANDS, grid_of(scenes))
