"""A sheet of bands: each with its own range, what is missing seen as missing."""

import numpy as np
import pytest
import xarray as xr
from feature_cubes import counted, drawn_cube
from PIL import Image

import areca
from areca.errors import GridError, InputError
from areca.exports import sheet as sheets
from areca.exports.sheet import GAP_PX, HEAD_PX, TEXT_PX, band_sheet


def tile_of(path, number, columns, tile):
    """The pixels of a tile of a sheet, zoomed back: shape (height, width, 3)."""
    height, width, zoom = tile
    row, col = divmod(number, columns)
    across = max(TEXT_PX, width * zoom) + GAP_PX
    down = height * zoom + HEAD_PX + GAP_PX
    left, top = GAP_PX + col * across, GAP_PX + row * down + HEAD_PX
    picture = np.asarray(Image.open(path))
    return picture[top : top + height * zoom : zoom, left : left + width * zoom : zoom]


@pytest.mark.parametrize("chunks", [None, {"y": 17, "x": 70}])
def test_each_band_is_drawn_between_its_own_percentiles(tmp_path, chunks):
    cube = drawn_cube(floats=False)
    cube = areca.stack_features(cube, ["red", "ndvi"])
    cube = cube if chunks is None else cube.chunk(chunks)
    path = band_sheet(cube, tmp_path / "a.png")

    for number, band in enumerate(cube.values):
        drawn = tile_of(path, number, 2, (60, 70, 4))
        there = np.isfinite(band)
        low, high = np.percentile(band[there].astype(float), [2, 98])
        grey = np.rint(((band - low) / (high - low)).clip(0, 1) * 255)
        for channel in range(3):
            np.testing.assert_array_equal(drawn[there][:, channel], grey[there])
        missing = drawn[~there].astype(int)
        assert len(missing) > 60
        assert (missing[:, 0] > missing[:, 1] + 30).all()  # red, as no band is


def test_nodata_of_integers_and_range_are_of_all_pixels_that_are_there(tmp_path):
    cube = drawn_cube(700, 650)
    cube[0, 1, 1] = 255  # between the rows and columns that are shown
    cube[1] = 0
    red, nir = list_of_bands(cube)
    assert (red.low, red.high) == (cube[0].values[cube[0] != 0].min(), 255)
    assert red.share == pytest.approx((cube[0] != 0).values.mean())
    assert sheets._words(red)[1].startswith(f"{red.low:g} to 255, ")
    assert (nir.known, sheets._words(nir)) == (0, ["nir", "nothing known"])
    band_sheet(cube, tmp_path / "a.png")
    assert tile_of(tmp_path / "a.png", 1, 2, (234, 217, 1))[..., 0].min() > 200


def list_of_bands(cube):
    cube, _, look = sheets._look(cube, 320)
    return list(sheets._bands(cube, look))


def test_classes_have_colours_and_names_and_ids_differ(tmp_path):
    classes = drawn_cube(40, 40, holes=False).isel(band=0, drop=True) % 3
    classes = classes.rename("class").assign_attrs(
        flag_values=[0, 1, 2], flag_meanings="bare palm water"
    )
    ids = (classes.astype(np.int64) * 1000 - 7).rename("segment")
    del ids.attrs["flag_values"], ids.attrs["flag_meanings"]
    path = band_sheet([classes, ids], tmp_path / "a.png")
    for number in (0, 1):
        drawn = tile_of(path, number, 2, (40, 40, 8))
        colours = {
            tuple(colour)
            for value in (0, 1, 2)
            for colour in np.unique(drawn[classes.values == value], axis=0)
        }
        assert len(colours) == 3
    (band,) = list_of_bands(classes)
    assert sheets._words(band)[1].startswith("3 classes")


@pytest.mark.parametrize("told", [[0, 1, 2], "[0, 1, 2]"])
def test_classes_are_told_by_a_list_or_by_the_text_that_a_geotiff_keeps(told):
    classes = drawn_cube(40, 40, holes=False).isel(band=[0]) % 3
    classes = classes.assign_attrs(flag_values=told, flag_meanings="bare palm water")
    (band,) = list_of_bands(classes)
    assert band.classes == ((0, "bare"), (1, "palm"), (2, "water"))


def test_a_cube_is_read_once(tmp_path):
    watched, reads = counted(drawn_cube().chunk(y=20, x=35))
    stack = areca.stack_features(watched, ["red", "ndvi", "std(nir, 5)"])
    band_sheet([watched, stack], tmp_path / "a.png")
    assert len(reads) == 6


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_a_level_band_is_drawn(tmp_path, value):
    cube = drawn_cube(20, 20, floats=True, holes=False)
    cube[:] = value
    cube[0, 3, 3] = value + 1
    assert band_sheet(cube, tmp_path / "a.png").is_file()


def test_what_cannot_be_drawn_is_refused(tmp_path):
    cube = drawn_cube()
    with pytest.raises(InputError, match="no PNG by its name"):
        band_sheet(cube, tmp_path / "a.tif")
    with pytest.raises(InputError, match="no folder"):
        band_sheet(cube, tmp_path / "none" / "a.png")
    with pytest.raises(InputError, match="no band"):
        band_sheet([], tmp_path / "a.png")
    with pytest.raises(InputError, match="tile_px must be 32"):
        band_sheet(cube, tmp_path / "a.png", tile_px=5)
    with pytest.raises(GridError, match="choose one time"):
        band_sheet(xr.concat([cube, cube], "time"), tmp_path / "a.png")
