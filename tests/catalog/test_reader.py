import dataclasses
import logging
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from catalog_rasters import draw, make_item
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from areca.catalog import (
    gdal,
    grid_of,
    handles,
    normalise_items,
    read_mosaic,
    read_scenes,
    read_scenes_native,
    reader,
    search,
)
from areca.catalog.pixels import estimate_bytes
from areca.errors import GridError, ReadError

RGB = ("red", "green", "blue")


def scenes_of(*items, href="."):
    return normalise_items(items, catalog_href=href)


def around(grid, row0, row1, col0, col1):
    """A window of a grid, also beyond it."""
    affine = grid.affine * Affine.translation(col0, row0)
    return GeoBox((row1 - row0, col1 - col0), affine, grid.crs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tiled": False, "blockysize": 7},
        {"interleave": "band"},
        {"compress": "lzw", "predictor": 2},
        {"compress": None, "BIGTIFF": "YES"},
    ],
    ids=["tiled", "strips", "band-interleaved", "lzw", "big"],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_any_window_equals_rasterio_bit_for_bit(write_tiff, dtype, options):
    if options.get("tiled") is False:
        options = options | {"blockxsize": None}
    path = write_tiff("a.tif", draw(3, 150, 170, dtype=dtype), **options)
    scenes = scenes_of(make_item(path))
    grid = grid_of(scenes)
    with rasterio.open(path) as file:
        for row0, row1, col0, col1 in [
            (0, 150, 0, 170),
            (3, 71, 60, 130),
            (149, 150, 0, 1),
        ]:
            window = around(grid, row0, row1, col0, col1)
            expected = file.read(window=Window(col0, row0, col1 - col0, row1 - row0))
            np.testing.assert_array_equal(read_scenes(scenes, RGB, window), expected)
            native = read_scenes_native(scenes, RGB, window, dtype=dtype, fill=0)
            assert native.dtype == dtype
            np.testing.assert_array_equal(native, expected)


@pytest.mark.parametrize(
    "window",
    [(-5, 40, -9, 60), (90, 130, 100, 150), (-300, -200, 0, 50), (-10, 110, -10, 130)],
)
def test_ground_outside_all_scenes_is_nan(write_tiff, window):
    pixels = draw(3, 100, 120)
    scenes = scenes_of(make_item(write_tiff("a.tif", pixels)))
    row0, row1, col0, col1 = window
    padded = np.full((3, 700, 720), np.nan, np.float32)
    padded[:, 300:400, 300:420] = pixels
    expected = padded[:, 300 + row0 : 300 + row1, 300 + col0 : 300 + col1]
    found = read_scenes(scenes, RGB, around(grid_of(scenes), *window))
    np.testing.assert_array_equal(found, expected)


def test_bands_come_in_the_order_asked_and_by_alias(write_tiff):
    pixels = draw(4, 20, 20)
    scenes = scenes_of(make_item(write_tiff("a.tif", pixels)))
    found = read_scenes(scenes, ["nir", "image.red"], grid_of(scenes))
    np.testing.assert_array_equal(found, pixels[[3, 0]])


def test_all_bands_of_a_file_are_one_read(write_tiff, monkeypatch):
    reads = []
    real = rasterio.io.DatasetReader.read
    scenes = scenes_of(make_item(write_tiff("a.tif", draw(4, 64, 64))))

    class Counting:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def read(self, indexes, **options):
            reads.append(indexes)
            return real(self.file, indexes, **options)

    lend = reader.lend

    @contextmanager
    def counting(href, **options):
        with lend(href, **options) as file:
            yield Counting(file)

    monkeypatch.setattr(reader, "lend", counting)
    read_scenes(scenes, ["blue", "red", "nir"], grid_of(scenes))
    assert reads == [[3, 1, 4]]


def mosaic(write_tiff, *, nodata=0):
    """Two overlapping scenes; the newer has a hole of nodata and one band at nodata."""
    old, new = draw(3, 60, 60, seed=1), draw(3, 60, 60, seed=2)
    new[:, 30:40, 30:40] = nodata
    new[0, 50, 50] = nodata
    paths = [
        write_tiff("old.tif", old, nodata=nodata),
        write_tiff("new.tif", new, nodata=nodata, origin=(500_040.0, 4_999_960.0)),
    ]
    items = [
        make_item(paths[0], when="2020-01-01"),
        make_item(paths[1], when="2021-01-01"),
    ]
    expected = np.full((3, 80, 80), np.nan, np.float32)
    expected[:, :60, :60] = old
    hole = np.all(new == nodata, axis=0)
    there = expected[:, 20:80, 20:80]
    np.copyto(there, np.where(new == nodata, np.nan, new), where=~hole)
    return items, expected


def test_the_newest_valid_pixel_wins_and_scenes_are_never_mixed(
    write_tiff,
):
    items, expected = mosaic(write_tiff)
    for order in (items, items[::-1]):
        scenes = scenes_of(*order)
        grid = grid_of(scenes)
        found = read_scenes(scenes, RGB, grid)
        np.testing.assert_array_equal(found, expected)
        shuffled = read_scenes(scenes[::-1], RGB, grid)
        np.testing.assert_array_equal(shuffled, expected)
    assert np.isnan(expected[0, 70, 70])
    assert not np.isnan(expected[1, 70, 70])


def test_every_pixel_knows_its_scene(write_tiff):
    items, expected = mosaic(write_tiff)
    scenes = scenes_of(*items)
    grid = grid_of(scenes)

    found = read_mosaic(scenes[::-1], RGB, grid)
    source = found.source
    assert found.pixels.dtype == np.uint8  # as the files have them
    pixels = np.where(found.valid, found.pixels, np.float32(np.nan))

    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(source < 0, np.isnan(expected).all(axis=0))
    for position, scene in enumerate(scenes[::-1]):
        mine = source == position
        assert mine.any()
        alone = read_scenes([scene], RGB, grid)
        np.testing.assert_array_equal(pixels[:, mine], alone[:, mine])


def test_windows_put_together_equal_the_whole(write_tiff):
    items, expected = mosaic(write_tiff)
    scenes = scenes_of(*items)
    grid = grid_of(scenes)
    found = np.empty_like(expected)
    for row in range(0, 80, 17):
        for col in range(0, 80, 23):
            part = grid[row : min(row + 17, 80), col : min(col + 23, 80)]
            found[:, row : row + 17, col : col + 23] = read_scenes(scenes, RGB, part)
    np.testing.assert_array_equal(found, expected)


def test_equal_dates_go_by_id(write_tiff):
    paths = [
        write_tiff(f"{name}.tif", draw(3, 8, 8, seed=k)) for k, name in enumerate("ba")
    ]
    scenes = scenes_of(*(make_item(path) for path in paths))
    found = read_scenes(scenes, RGB, grid_of(scenes))
    np.testing.assert_array_equal(found, draw(3, 8, 8, seed=1))


def test_a_mask_inside_the_file_is_honoured(write_tiff):
    pixels = draw(3, 50, 50)
    mask = np.full((50, 50), 255, np.uint8)
    mask[10:20, :30] = 0
    path = write_tiff("a.tif", pixels)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    scenes = scenes_of(make_item(path))
    found = read_scenes(scenes, RGB, grid_of(scenes))
    np.testing.assert_array_equal(found, np.where(mask, pixels, np.float32(np.nan)))


def test_an_alpha_band_is_a_mask_unless_the_item_describes_it_as_data(write_tiff):
    pixels = draw(4, 30, 30)
    pixels[3, :10] = 0
    path = write_tiff("a.tif", pixels, photometric="RGB", alpha="YES")
    as_data = scenes_of(make_item(path))
    grid = grid_of(as_data)
    found = read_scenes(as_data, [*RGB, "nir"], grid)
    np.testing.assert_array_equal(found, pixels)
    for names in ([*RGB, "alpha"], list(RGB)):
        as_mask = scenes_of(make_item(path, names=names))
        found = read_scenes(as_mask, RGB, grid)
        assert np.isnan(found[:, :10]).all()
        np.testing.assert_array_equal(found[:, 10:], pixels[:3, 10:])


def test_nodata_that_only_the_file_knows_is_nan(write_tiff):
    pixels = draw(3, 30, 30, dtype="uint16")
    pixels[:, :5] = 65535
    path = write_tiff("a.tif", pixels, nodata=65535)
    item = make_item(path, **{"raster:bands": [{"data_type": "uint16"}] * 3})
    scenes = scenes_of(item)
    found = read_scenes(scenes, RGB, grid_of(scenes))
    assert np.isnan(found[:, :5]).all()
    np.testing.assert_array_equal(found[:, 5:], pixels[:, 5:])


def test_scale_and_offset_are_applied_once(write_tiff):
    pixels = draw(1, 9, 9, dtype="uint16")
    band = {"data_type": "uint16", "scale": 2.75e-05, "offset": -0.2, "nodata": 0}
    scenes = scenes_of(
        make_item(write_tiff("a.tif", pixels), **{"raster:bands": [band]})
    )
    found = read_scenes(scenes, ["red"], grid_of(scenes))
    np.testing.assert_allclose(found, pixels * 2.75e-05 - 0.2, rtol=1e-6)


def test_threads_have_their_own_handles_and_agree(write_tiff):
    pixels = draw(3, 200, 200)
    scenes = scenes_of(make_item(write_tiff("a.tif", pixels)))
    grid, wrong = grid_of(scenes), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            row, col = rng.integers(0, 150, 2).tolist()
            found = read_scenes(scenes, RGB, grid[row : row + 50, col : col + 50])
            if not np.array_equal(found, pixels[:, row : row + 50, col : col + 50]):
                wrong.append((seed, row, col))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_replaced_file_is_opened_again(write_tiff):
    first, second = draw(3, 20, 20, seed=1), draw(3, 20, 20, seed=2)
    scenes = scenes_of(make_item(write_tiff("a.tif", first)))
    read_scenes(scenes, RGB, grid_of(scenes))
    write_tiff("a.tif", second, compress=None)
    np.testing.assert_array_equal(read_scenes(scenes, RGB, grid_of(scenes)), second)


def test_a_window_of_another_grid_is_refused_before_any_read(write_tiff):
    path = write_tiff("a.tif", draw(3, 20, 20))
    scenes = scenes_of(make_item(path))
    path.unlink()
    grid = grid_of(scenes)
    shifted = GeoBox(grid.shape, grid.affine * Affine.translation(0.5, 0), grid.crs)
    with pytest.raises(GridError, match=r"0\.5 pixel"):
        read_scenes(scenes, RGB, shifted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": "EPSG:32615"}, "the file is in EPSG:32614, its item says EPSG:32615"),
        ({"shape": (20, 21)}, r"the file has \(20, 20\) pixels, its item says"),
        ({"transform": (2.0, 0.0, 500_100.0, 0.0, -2.0, 5e6)}, "50 pixel from where"),
    ],
)
def test_a_file_that_is_not_what_its_item_says_is_refused(write_tiff, change, message):
    scenes = scenes_of(make_item(write_tiff("a.tif", draw(3, 20, 20))))
    scenes = [dataclasses.replace(scenes[0], **change)]
    with pytest.raises(ReadError, match=message):
        read_scenes(scenes, RGB, grid_of(scenes))


def test_a_renamed_vrt_is_never_opened(write_tiff):
    path = write_tiff("a.tif", draw(3, 20, 20))
    scenes = scenes_of(make_item(path))
    secret = write_tiff("secret.tif", draw(3, 20, 20, seed=7))
    path.write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Byte" '
        f'band="1"><SimpleSource><SourceFilename>{secret}</SourceFilename>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(ReadError, match="not recognized"):
        read_scenes(scenes, RGB, grid_of(scenes))


def remote_scenes(write_tiff, server, pixels, name="a.tif", **options):
    path = write_tiff(name, pixels, **options)
    item = make_item(path, href=f"{server.url}/{name}?sig=SECRET")
    return scenes_of(item, href=server.url)


def test_a_remote_file_reads_as_a_local_one_by_ranges(write_tiff, file_server):
    pixels = draw(3, 512, 512)
    scenes = remote_scenes(write_tiff, file_server, pixels)
    found = read_scenes(scenes, RGB, grid_of(scenes)[100:200, 300:400])
    np.testing.assert_array_equal(found, pixels[:, 100:200, 300:400])
    size = (file_server.folder / "a.tif").stat().st_size
    asked = [
        part.removeprefix("bytes=").split("-") for *_, part in file_server.requests
    ]
    fetched = sum(int(b) - int(a) + 1 for a, b in (p for p in asked if len(p) == 2))
    assert 0 < fetched < size / 2


def test_normalising_a_remote_item_asks_nothing_of_its_server(write_tiff, file_server):
    remote_scenes(write_tiff, file_server, draw(3, 20, 20))
    assert file_server.requests == []


@pytest.mark.parametrize(
    "fault", ["404", "403", "503", "html", "truncate", "drop", "late"]
)
def test_a_fault_is_a_read_error_that_names_item_band_and_no_secret(
    write_tiff, file_server, fault, monkeypatch, caplog, capfd
):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    caplog.set_level(logging.DEBUG)
    scenes = remote_scenes(write_tiff, file_server, draw(3, 700, 700))
    file_server.faults["a.tif"] = fault
    with pytest.raises(ReadError, match=r"item 'a', band red, green, blue") as err:
        read_scenes(scenes, RGB, grid_of(scenes)[500:600, 500:600])
    assert "SECRET" not in str(err.value)
    assert "\n" not in str(err.value)
    assert f"{file_server.url}/a.tif?…" in str(err.value)
    seen = caplog.text + "".join(capfd.readouterr())
    assert "SECRET" not in seen


def test_a_fault_in_another_thread_shows_no_secret(
    write_tiff, file_server, capfd, monkeypatch
):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    scenes = remote_scenes(write_tiff, file_server, draw(3, 700, 700))
    file_server.faults["a.tif"] = "late"
    messages = []

    def work():
        try:
            read_scenes(scenes, RGB, grid_of(scenes)[500:600, 500:600])
        except ReadError as err:
            messages.append(str(err))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(messages) == 1
    assert "SECRET" not in messages[0] + "".join(capfd.readouterr())


def test_passing_faults_are_ridden_out(write_tiff, file_server, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    pixels = draw(3, 300, 300)
    scenes = remote_scenes(write_tiff, file_server, pixels)
    file_server.faults["a.tif"] = "flaky"
    np.testing.assert_array_equal(read_scenes(scenes, RGB, grid_of(scenes)), pixels)


def test_after_a_fault_the_next_read_asks_again(write_tiff, file_server):
    pixels = draw(3, 300, 300)
    scenes = remote_scenes(write_tiff, file_server, pixels)
    file_server.faults["a.tif"] = "404"
    with pytest.raises(ReadError):
        read_scenes(scenes, RGB, grid_of(scenes))
    file_server.faults.clear()
    np.testing.assert_array_equal(read_scenes(scenes, RGB, grid_of(scenes)), pixels)


def test_the_estimate_counts_decoded_and_stored_bytes(write_tiff):
    path = write_tiff("a.tif", draw(3, 100, 100, dtype="uint16"))
    scenes = scenes_of(make_item(path))
    grid = grid_of(scenes)
    whole = estimate_bytes(scenes, grid)
    assert whole == (3 * 100 * 100 * 2, path.stat().st_size)
    part = estimate_bytes(scenes, around(grid, -50, 50, 0, 100), ["red"])
    assert part == (50 * 100 * 2, round(path.stat().st_size / 2))


def test_kluang_reads_as_rasterio_does(shared_data):
    items = search(shared_data / "stac_catalog", collections=["kluang-oil-palm"])
    scenes = scenes_of(*items, href=shared_data)
    grid = grid_of(scenes)
    path = shared_data / "kluang_oil_palm" / "kluang_west.tif"
    with rasterio.open(path) as file:
        expected = file.read(window=Window(3000, 2000, 700, 600))
    found = read_scenes(scenes, RGB, grid[2000:2600, 3000:3700])
    np.testing.assert_array_equal(found, expected)


def test_mixed_numbers_and_scaled_bands_are_read_as_floats(write_tiff):
    pixels = draw(3, 20, 20)
    small = make_item(write_tiff("a.tif", pixels), when="2020-01-01")
    wide = make_item(
        write_tiff("b.tif", pixels.astype(np.uint16) * 200, origin=(500_020.0, 5e6)),
        when="2021-01-01",
    )
    scenes = sorted(scenes_of(small, wide), key=lambda scene: scene.id)
    assert read_mosaic(scenes[:1], RGB, grid_of(scenes[:1])).pixels.dtype == np.uint8
    assert read_mosaic(scenes[1:], RGB, grid_of(scenes[1:])).pixels.dtype == np.uint16
    both = read_mosaic(scenes, RGB, grid_of(scenes))
    assert both.pixels.dtype == np.float32
    assert both.valid is None or both.valid.any()

    band = dataclasses.replace(scenes[0].bands[0], scale=0.5, offset=-3.0)
    scaled = dataclasses.replace(scenes[0], bands=(band, *scenes[0].bands[1:]))
    found = read_mosaic([scaled], RGB, grid_of([scaled])).pixels
    np.testing.assert_array_equal(found[0], pixels[0] * np.float32(0.5) - 3)
    np.testing.assert_array_equal(found[1:], pixels[1:])


def test_an_item_that_names_other_numbers_than_its_file_is_read_all_the_same(
    write_tiff,
):
    pixels = draw(3, 20, 20).astype(np.uint16) * 200
    scene = scenes_of(make_item(write_tiff("a.tif", pixels)))[0]
    told = tuple(dataclasses.replace(band, dtype="uint8") for band in scene.bands)
    wrong = dataclasses.replace(scene, bands=told)

    mosaic = read_mosaic([wrong], RGB, grid_of([wrong]))

    np.testing.assert_array_equal(mosaic.pixels, pixels.astype(np.float32))
    with pytest.raises(ReadError, match="the file holds uint16, its item says uint8"):
        read_scenes_native([wrong], RGB, grid_of([wrong]), dtype="uint8", fill=0)


def test_threads_share_the_decoded_tiles_of_a_file(write_tiff, monkeypatch):
    """One handle for all threads, never two of them in it at once."""
    monkeypatch.setattr(handles, "READERS", 1)
    scenes = scenes_of(make_item(write_tiff("a.tif", draw(3, 200, 200))))
    grid = grid_of(scenes)
    open_raster, opened, inside = handles.open_raster, [], []
    overlaps = []
    lend = handles.lend

    def counting(href, **options):
        opened.append(href)
        return open_raster(href, **options)

    @contextmanager
    def watched(href, **options):
        with lend(href, **options) as file:
            inside.append(file)
            overlaps.append(len(inside))
            yield file
            inside.pop()

    monkeypatch.setattr(handles, "open_raster", counting)
    monkeypatch.setattr(reader, "lend", watched)
    threads = [
        threading.Thread(target=read_scenes, args=(scenes, RGB, grid[r : r + 40, :]))
        for r in range(0, 200, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 1
    assert len(overlaps) == 20
    assert max(overlaps) == 1


def test_a_thread_gets_the_handle_that_was_read_nearest(write_tiff, monkeypatch):
    monkeypatch.setattr(handles, "READERS", 2)
    href = str(write_tiff("a.tif", draw(3, 200, 200)))
    with (
        handles.lend(href, allow_private=True, row=0) as low,
        handles.lend(href, allow_private=True, row=150) as high,
    ):
        assert low is not high
    with handles.lend(href, allow_private=True, row=140) as file:
        assert file is high
    with handles.lend(href, allow_private=True, row=20) as file:
        assert file is low
    with (
        pytest.raises(ZeroDivisionError),
        handles.lend(href, allow_private=True, row=20) as file,
    ):
        _ = 1 / 0
    assert low.closed


def test_no_chunk_of_a_cube_waits_for_another(write_tiff, monkeypatch):
    monkeypatch.setattr(handles, "READERS", 1)
    href = str(write_tiff("a.tif", draw(3, 200, 200)))
    with (
        handles.lend(href, allow_private=True, every_thread=True) as one,
        handles.lend(href, allow_private=True, every_thread=True) as other,
    ):
        assert one is not other


@pytest.mark.parametrize("nodata", [0, 7, 255, 0.5, -1, 300])
def test_integers_are_missing_where_they_are_nodata(write_tiff, nodata):
    """What no pixel of the type can be is nowhere missing."""
    pixels = draw(3, 40, 40)
    pixels[:, :4] = np.array([0, 7, 255, 7], np.uint8)[:, None]
    item = make_item(write_tiff("a.tif", pixels))
    for asset in item.assets.values():
        for band in asset.extra_fields["raster:bands"]:
            band["nodata"] = nodata
    scenes = scenes_of(item)
    found = read_mosaic(scenes, RGB, grid_of(scenes))
    valid = np.ones(pixels.shape, bool) if found.valid is None else found.valid
    np.testing.assert_array_equal(valid, pixels != nodata)


def test_messages_of_gdal_leave_no_file():
    """They hold whole links, and CPL_LOG takes the name of a file, also "OFF"."""
    assert Path(gdal.SETTINGS["CPL_LOG"]).is_char_device()


def test_a_failed_read_closes_what_was_opened_with_the_same_link(write_tiff):
    """A link that has expired must not answer the next tries from the shelf."""
    href = str(write_tiff("a.tif", draw(3, 20, 20)))
    handles_there = [handles._Handle(("stale", True), None) for _ in range(3)]
    key = handles.file_key(href, allow_private=True)
    for one in handles_there:
        one.key, one.file = key, rasterio.open(href)
        assert handles._shelf.take(key, 0, None) is None
    for one in handles_there:
        handles._shelf.put(one)

    with (
        pytest.raises(OSError, match="expired"),
        handles.lend(href, allow_private=True),
    ):
        raise OSError("expired")

    assert all(one.file.closed for one in handles_there)
    with handles.lend(href, allow_private=True) as file:
        assert not file.closed


def test_a_place_without_scenes_is_missing_everywhere(write_tiff):
    scenes = scenes_of(make_item(write_tiff("a.tif", draw(3, 20, 20))))
    grid = around(grid_of(scenes), 100, 110, 100, 110)
    found = read_mosaic(scenes, RGB, grid)
    assert not found.valid.any()
    assert (found.source == -1).all()
    assert np.isnan(read_scenes(scenes, RGB, grid)).all()
