import hashlib
import warnings
from xml.etree import ElementTree as ET

import numpy as np
import psutil
import pytest
import rasterio
import zarr
from pyproj import CRS
from rasterio.enums import ColorInterp
from rio_cogeo import cog_info, cog_validate

import areca
from areca.errors import InputError
from areca.exports import cog

CLASSES = ("ground", "tree crown", "water")


def write_store(
    folder, *, shape=(900, 1300), crs=32648, seed=1, layers=("label", "top1")
):
    """Write a store as a run does: Zarr v3 in shards, blobs of classes, some nodata."""
    rng = np.random.default_rng(seed)
    path = folder / "rasters.zarr"
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    coarse = rng.integers(0, len(CLASSES), (shape[0] // 50 + 1, shape[1] // 50 + 1))
    label = coarse.repeat(50, 0).repeat(50, 1)[: shape[0], : shape[1]].astype("uint8")
    label[:130, :] = label[:, 1210:] = 255
    values = {
        "label": label,
        "top1": np.where(label == 255, np.nan, rng.random(shape)).astype("float32"),
    }
    for name in layers:
        array = group.create_array(
            name,
            shape=shape,
            dtype=values[name].dtype,
            chunks=(64, 64),
            shards=(256, 256),
            dimension_names=("y", "x"),
            fill_value=255 if name == "label" else np.nan,
        )
        array[:] = values[name]
    if "label" in layers:
        words = " ".join(name.replace(" ", "_") for name in CLASSES)
        group["label"].attrs.update({"flag_values": [0, 1, 2], "flag_meanings": words})
    for name, length in (("y", shape[0]), ("x", shape[1])):
        group.create_array(name, shape=(length,), dtype="float64")
    place = group.create_array("spatial_ref", shape=(), dtype="int64")
    place.attrs.update(
        {
            "crs_wkt": CRS.from_epsg(crs).to_wkt(),
            "GeoTransform": "400000.0 0.5 0.0 2000.0 0.0 -0.5",
        }
    )
    return path, values


@pytest.mark.parametrize("name", ["label", "top1"])
def test_the_pixels_are_those_of_the_store(tmp_path, name):
    store, values = write_store(tmp_path)

    done = areca.export_raster(store, tmp_path / "a.tif", name=name)

    with rasterio.open(done.path) as file:
        np.testing.assert_array_equal(file.read(1), values[name])
        np.testing.assert_equal(file.nodata, 255 if name == "label" else np.nan)
        assert file.crs.to_epsg() == 32648
        assert tuple(file.transform)[:6] == (0.5, 0, 400_000, 0, -0.5, 2_000)
        assert file.descriptions == (name,)
        assert file.dtypes == (str(values[name].dtype),)
    assert done.count == 900 * 1300


@pytest.mark.parametrize("name", ["label", "top1"])
def test_it_is_a_valid_cog_with_overviews(tmp_path, name):
    store, _ = write_store(tmp_path)
    path = areca.export_raster(store, tmp_path / "a.tif", name=name).path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rio-cogeo's own making
        valid, errors, notes = cog_validate(path, strict=True)
        info = cog_info(path)

    assert valid, (errors, notes)
    assert info.Profile.Blocksize if hasattr(info.Profile, "Blocksize") else True
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4] or file.overviews(1) == [2]
        assert file.block_shapes == [(512, 512)]


def test_classes_have_colours_and_names(tmp_path):
    store, _ = write_store(tmp_path)
    path = areca.export_raster(store, tmp_path / "a.tif").path

    with rasterio.open(path) as file:
        colours = file.colormap(1)
        assert file.colorinterp == (ColorInterp.palette,)
        assert len({colours[n][:3] for n in range(3)}) == 3
        assert [file.tags(1)[f"class_{n}"] for n in range(3)] == list(CLASSES)
    entries = ET.parse(tmp_path / "a.qml").getroot().iter("paletteEntry")
    styled = {int(e.get("value")): (e.get("label"), e.get("color")) for e in entries}
    assert {n: label for n, (label, _) in styled.items()} == dict(enumerate(CLASSES))
    for number, (_, colour) in styled.items():
        assert colour == "#{:02x}{:02x}{:02x}".format(*colours[number][:3])


def test_overviews_have_no_classes_of_their_own(tmp_path):
    store, values = write_store(tmp_path)
    path = areca.export_raster(store, tmp_path / "a.tif").path

    with rasterio.open(path, overview_level=0) as file:
        small = file.read(1)
    assert set(np.unique(small)) <= {0, 1, 2, 255}
    for number in (0, 1, 2, 255):
        share = (values["label"] == number).mean()
        assert (small == number).mean() == pytest.approx(share, abs=0.01)


def test_the_only_raster_needs_no_name(tmp_path):
    store, values = write_store(tmp_path, layers=("top1",))
    path = areca.export_raster(store, tmp_path / "a.tif").path

    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), values["top1"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "rasters.zarr"]


def test_equal_rasters_give_equal_files(tmp_path):
    store, _ = write_store(tmp_path)
    digests = {
        hashlib.sha256(
            areca.export_raster(store, tmp_path / f"{n}.tif").path.read_bytes()
        ).hexdigest()
        for n in "ab"
    }
    assert len(digests) == 1


@pytest.mark.parametrize("shards", [(256, 256), (1024, 512), None])
def test_windows_cover_every_pixel_once(tmp_path, shards):
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=(1500, 1100),
        dtype="uint8",
        chunks=(256, 256) if shards is None else (128, 128),
        shards=shards,
        zarr_format=3,
    )
    seen = np.zeros(array.shape, int)
    for window in cog._windows(array):
        rows, cols = window.toslices()
        seen[rows, cols] += 1
    assert (seen == 1).all()


def test_large_shards_are_read_by_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(cog, "STREAM_PX", 200)
    store, values = write_store(tmp_path)
    path = areca.export_raster(store, tmp_path / "a.tif").path

    largest = max(
        w.width for w in cog._windows(zarr.open_array(store / "label", mode="r"))
    )
    assert largest == 192
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), values["label"])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_raster(tmp_path):
    """A raster of 256 million pixels needs far less than its own size."""
    store, _ = write_store(tmp_path, shape=(300, 300), layers=("label",))
    group = zarr.open_group(store, mode="r+")
    attributes = dict(group["label"].attrs)
    del group["label"]
    array = group.create_array(
        "label",
        shape=(16_000, 16_000),
        dtype="uint8",
        chunks=(512, 512),
        shards=(2048, 2048),
        fill_value=255,
    )
    array.attrs.update(attributes)
    array[4_000:8_000, 4_000:8_000] = np.tile(
        np.arange(4_000, dtype=np.uint8) % 3, (4_000, 1)
    )
    areca.export_raster(write_store(tmp_path / "warm")[0], tmp_path / "warm.tif")
    before = psutil.Process().memory_info().rss

    areca.export_raster(store, tmp_path / "a.tif")

    grown = psutil.Process().memory_info().rss - before
    assert grown < 200e6
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(
            file.read(1, window=((3_999, 8_001), (3_999, 8_001))),
            array[3_999:8_001, 3_999:8_001],
        )


def test_what_is_not_there_is_named(tmp_path):
    store, _ = write_store(tmp_path)
    with pytest.raises(
        InputError, match=r"no raster 'entropy'; this run has label, top1"
    ):
        areca.export_raster(store, tmp_path / "a.tif", name="entropy")
    with pytest.raises(InputError, match="holds no rasters"):
        areca.export_raster(tmp_path / "no run", tmp_path / "a.tif")
    two, _ = write_store(tmp_path / "two", layers=("top1",))
    group = zarr.open_group(two, mode="r+")
    group.create_array("margin", shape=(9, 9), dtype="float32")
    with pytest.raises(InputError, match="this run has margin, top1"):
        areca.export_raster(two, tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
