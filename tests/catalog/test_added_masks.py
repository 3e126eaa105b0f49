"""Files that a user adds to the items of GeoTIFFs: dates and masks of their own."""

import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from catalog_rasters import draw
from rasterio.errors import NotGeoreferencedWarning

import areca
from areca.catalog import headers
from areca.errors import BandError, CatalogError, InputError, ReadError

NAMES = ["red", "green", "blue", "nir"]
DATES = ["20220601", "20230601", "20240601"]
SHAPE = (46, 60)


pytestmark = pytest.mark.usefixtures("scenes")


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """Three images of four bands and a folder of masks, in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    for folder in ("scenes", "masks"):
        (tmp_path / folder).mkdir()
    for number, day in enumerate(DATES):
        write(f"scenes/farm_{day}.tif", draw(4, *SHAPE, seed=number))


def write(path, pixels, *, pixel=10.0, move=(0, 0), descriptions=None):
    left, top = 5e5 + 10 * move[0], 5e6 - 10 * move[1]
    profile = {
        "driver": "GTiff", "count": len(pixels), "dtype": pixels.dtype,
        "height": pixels.shape[1], "width": pixels.shape[2],
    }  # fmt: skip
    if pixel:
        profile["crs"] = "EPSG:32633"
        profile["transform"] = Affine(pixel, 0, left, 0, -pixel, top)
    with warnings.catch_warnings():  # without pixel size the file is to have no place
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
            if descriptions:
                file.descriptions = descriptions


def masks(shape, count=1):
    rng = np.random.default_rng(3)
    return {day: rng.integers(0, 2, (count, *shape)).astype(np.uint8) for day in DATES}


def masked(items):
    """As the README does it."""
    folder = Path("masks").resolve()
    for item in items:
        item.add_asset("clouds", pystac.Asset(f"{folder}/{item.id}.tif"))
    return items


def opened(name="clouds"):
    items = masked(areca.search("scenes/*.tif", names=NAMES, dates="%Y%m%d"))
    return areca.open_cube(
        items, bands=["red", "nir"],
        mask=areca.Mask(name, drop=[1]), options=areca.CubeOptions(time="each"),
    )  # fmt: skip


def missing(cube):
    gone = np.isnan(cube.values)
    assert (gone == gone[:, :1]).all()
    return gone[:, 0]


@pytest.mark.parametrize("times", [1, 2])
def test_a_mask_hides_what_it_covers_on_whatever_pixels(times):
    drawn = masks((SHAPE[0] // times, SHAPE[1] // times))
    for day, mask in drawn.items():
        write(f"masks/farm_{day}.tif", mask, pixel=10.0 * times)

    cube = opened()

    hidden = np.stack([mask[0] for mask in drawn.values()]).astype(bool)
    hidden = hidden.repeat(times, 1).repeat(times, 2)
    np.testing.assert_array_equal(missing(cube), hidden)
    expected = [f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in DATES]
    assert [str(time)[:10] for time in cube.time.values] == expected
    for day, layer, gone in zip(DATES, cube.values, hidden, strict=True):
        with rasterio.open(f"scenes/farm_{day}.tif") as file:
            stored = file.read([1, 4])
        np.testing.assert_array_equal(layer[:, ~gone], stored[:, ~gone])


@pytest.mark.parametrize("move", [(7, 0), (0, -5)])
def test_a_mask_that_lies_elsewhere_counts_where_it_lies(move):
    drawn = masks(SHAPE)
    for day, mask in drawn.items():
        write(f"masks/farm_{day}.tif", mask, move=move)

    found = missing(opened())

    cols, rows = move
    for mask, gone in zip(drawn.values(), found, strict=True):
        known = np.full(SHAPE, True)  # beyond the mask nothing is known
        inside = np.s_[max(rows, 0) : SHAPE[0] + min(rows, 0), max(cols, 0) :]
        from_ = np.s_[max(-rows, 0) : SHAPE[0] - max(rows, 0), : SHAPE[1] - cols]
        known[inside] = mask[0][from_]
        np.testing.assert_array_equal(gone, known)


def test_bands_of_a_mask_file_of_several_are_told():
    for day, mask in masks(SHAPE, 2).items():
        write(f"masks/farm_{day}.tif", mask, descriptions=("cloud_mask", "share"))

    with pytest.raises(BandError, match=r"no band \['clouds'\].*'cloud_mask', 'share'"):
        opened()
    assert missing(opened("cloud_mask")).any()


@pytest.mark.parametrize("pixel", [5.0, 10.0 + 1e-11])
def test_of_a_finer_mask_the_nearest_pixel_counts(pixel):
    """Nearest of four equally near ones is the lower right; float noise is no shift."""
    drawn, rng = masks(SHAPE), np.random.default_rng(6)
    for day, mask in drawn.items():
        fine = mask
        if pixel == 5.0:
            fine = rng.integers(0, 2, (1, 2 * SHAPE[0], 2 * SHAPE[1])).astype(np.uint8)
            fine[:, 1::2, 1::2] = mask
        write(f"masks/farm_{day}.tif", fine, pixel=pixel)

    np.testing.assert_array_equal(
        missing(opened()), [m[0] == 1 for m in drawn.values()]
    )


def test_a_mask_without_a_place_is_refused():
    for day, mask in masks(SHAPE).items():
        write(f"masks/farm_{day}.tif", mask, pixel=0)

    with pytest.raises(
        CatalogError, match=r"'clouds' .* write CRS and transform to the"
    ):
        opened()


def test_a_mask_on_other_pixels_hides_dates_of_a_cube():
    names = areca.search("scenes/*.tif", names=NAMES, dates="%Y%m%d")
    each = areca.CubeOptions(time="each")
    areca.write_cube(areca.open_cube(names, bands=["red"], options=each), "farm.zarr")
    drawn = masks((SHAPE[0] // 2, SHAPE[1] // 2))
    for day, mask in drawn.items():
        write(f"masks/farm_{day}.tif", mask, pixel=20.0)

    items = areca.search("farm.zarr")
    for item in items:
        day = f"{item.datetime:%Y%m%d}"
        path = Path(f"masks/farm_{day}.tif").resolve()
        item.add_asset("clouds", pystac.Asset(str(path)))
    cube = areca.open_cube(
        items, bands=["red"], mask=areca.Mask("clouds", drop=[1]), options=each
    )

    hidden = np.stack([mask[0] for mask in drawn.values()]).astype(bool)
    np.testing.assert_array_equal(missing(cube), hidden.repeat(2, 1).repeat(2, 2))


def test_an_item_that_a_user_changes_is_still_told_what_it_has():
    (item,) = areca.search("scenes/farm_20240601.tif", names=None)
    item.assets["ortho"] = item.assets.pop("image")

    with pytest.raises(BandError, match=r"no band \['swir'\]: it has"):
        areca.open_cube([item], bands=["swir"])


def test_days_are_not_made_of_images_without_a_date():
    items = areca.search("scenes/*.tif", names=NAMES)
    day = areca.CubeOptions(time="day")

    with pytest.raises(InputError, match=r"3 items, farm_20220601 .*item\.datetime"):
        areca.open_cube(items, bands=["red"], options=day)
    assert areca.open_cube(items[:1], bands=["red"], options=day).sizes["time"] == 1
    items[0].datetime = items[1].datetime = datetime(2024, 6, 1, tzinfo=UTC)
    assert areca.open_cube(items, bands=["red"], options=day).sizes["time"] == 2


def test_the_example_has_as_many_names_as_the_file_bands():
    write("scenes/farm_20240601.tif", draw(6, *SHAPE))
    found = areca.search("scenes/farm_20240601.tif")
    with pytest.raises(BandError, match=r"name all 6 .* --names red,green,blue,nir,…,"):
        areca.open_cube(found, bands=["swir"])

    named = areca.search("scenes/farm_20230601.tif", names=NAMES)
    with pytest.raises(BandError) as told:
        areca.open_cube(named, bands=["swir"])
    assert "--names" not in str(told.value)


@pytest.mark.parametrize(
    ("pixel", "move", "says"),
    [
        (10.0, (3, 0), "lies 3 pixel from"),
        (20.0, (0, 0), r"transform \(20, 0, 500000, 0, -20, 5000000\), its item says"),
    ],
)
def test_a_file_that_is_not_where_its_item_says_tells_in_what(pixel, move, says):
    item = areca.search("scenes/farm_20240601.tif")[0]
    (scene,) = areca.catalog.normalise_items([item], catalog_href="scenes")
    write("other.tif", draw(4, *SHAPE), pixel=pixel, move=move)

    with (
        rasterio.open("other.tif") as file,
        pytest.raises(
            ReadError, match=f"{says}.*proj:transform, which an asset on oth"
        ),
    ):
        headers.check_file(file, scene)
