"""Bands of several rasters in one cube, each with where it comes from."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from catalog_rasters import draw, make_item
from feature_cubes import drawn_cube
from rasterio import open as open_raster

import areca
from areca.catalog import CubeOptions, set_origin
from areca.errors import BandError, GridError


@pytest.fixture
def items(tmp_path):
    """Two dates of red and nir on two grids, scaled, and one of them of another key."""
    made = []
    for number, (name, pixel) in enumerate([("old", 10.0), ("new", 20.0)]):
        path = tmp_path / f"{name}.tif"
        edge = round(1200 / pixel)
        profile = {
            "driver": "GTiff", "width": edge, "height": edge, "count": 2,
            "dtype": "uint16", "crs": "EPSG:32631", "nodata": 0,
            "transform": Affine(pixel, 0, 5e5, 0, -pixel, 5e6),
        }  # fmt: skip
        with open_raster(path, "w", **profile) as file:
            file.write(draw(2, edge, edge, dtype="uint16", seed=number))
        item = make_item(path, names=["red", "nir"], when=f"202{number}-05-01")
        for band in item.assets["image"].extra_fields["raster:bands"]:
            band |= {"scale": 1e-4, "offset": -0.1 * number}
        made.append(item)
    return set_origin(made, ".")


@pytest.mark.usefixtures("no_compute")
def test_a_stack_tells_asset_scale_offset_resampling_and_formula(items):
    cube = areca.open_cube(items, bands=["red", "nir"])
    stack = areca.stack_features(
        cube, ["nir", "ndvi", "bright = (red + nir) / 2", "std(red, 5)"]
    )
    nir = {
        "sources": [
            {"asset": "image.b2", "scale": 1e-4, "offset": -0.1,
             "resampling": "bilinear", "items": ["new"]},
            {"asset": "image.b2", "scale": 1e-4, "offset": 0.0,
             "resampling": None, "items": ["old"]},
        ]
    }  # fmt: skip
    told = areca.lineage(stack)
    assert list(told) == ["nir", "ndvi", "bright", "std(red, 5)"]
    assert told["nir"] == nir
    assert told["ndvi"]["formula"] == "(nir - red) / (nir + red)"
    assert told["ndvi"]["of"]["nir"] == nir
    assert set(told["ndvi"]["of"]) == {"nir", "red"}
    assert told["bright"]["formula"] == "(red + nir) / 2"
    assert told["std(red, 5)"]["formula"] == "std(red, window=5)"


@pytest.mark.usefixtures("no_compute")
def test_what_is_made_of_what_was_made_is_told_to_the_end(items):
    cube = areca.open_cube(items[:1], bands=["red", "nir"])
    smooth = areca.enhance(cube, "gaussian", sigma=2)
    again = areca.stack_features(smooth, ["red", "x = red - nir"])
    told = areca.lineage(again)
    assert told["red"]["formula"] == "gaussian(red, sigma=2)"
    assert told["red"]["of"]["red"]["sources"][0]["items"] == ["old"]
    assert told["x"]["formula"] == "red - nir"
    assert told["x"]["of"]["red"] == told["red"]
    shifted = areca.mean_shift(again, spectral_radius=3)
    assert areca.lineage(shifted)["x"]["of"]["x"] == told["x"]


def test_scales_classes_and_segments_tell_it_too(items):
    cube = areca.open_cube(items[:1], bands=["red", "nir"])
    scale = areca.fit_statistics(cube)
    z = areca.normalize(cube, scale)
    said = areca.lineage(z)["red"]["formula"]
    one = scale["red"]
    assert said == f"zscore(red, mean={one.mean:g}, std={one.std:g})"
    signature = areca.fit_clusters(z, areca.ClusterOptions(classes=2))
    classes = areca.classify(z, signature)
    assert areca.lineage(classes)["class"]["formula"] == "classify(red, nir)"
    assert areca.lineage(classes)["class"]["of"]["red"]["formula"] == said
    part = z.isel(x=slice(20), y=slice(20))
    segments = areca.fit_segments(part, areca.SegmentOptions(spectral_radius=1))
    ids = areca.segment(part, segments)
    assert areca.lineage(ids)["segment"]["of"] == areca.lineage(z)
    series = areca.open_cube(items, bands=["red"], options=CubeOptions(time="each"))
    median = areca.lineage(areca.composite(series, "median"))["red"]["sources"]
    assert [one["composite"] for one in median] == ["median", "median"]


def test_two_dates_in_one_stack_keep_their_own_files(items):
    old, new = (
        areca.stack_features(
            areca.open_cube([item], bands=["red", "nir"], resolution=20),
            [f"ndvi_{item.id} = ndvi", f"red_{item.id} = red"],
        )
        for item in items
    )
    both = areca.stack_bands([old, new])
    change = areca.stack_features(both, ["change = ndvi_new - ndvi_old", "red_old"])
    told = areca.lineage(change)
    assert told["change"]["formula"] == "ndvi_new - ndvi_old"
    for name in ("old", "new"):
        of = told["change"]["of"][f"ndvi_{name}"]
        assert of["formula"] == "(nir - red) / (nir + red)"
        assert [s["items"] for s in of["of"]["red"]["sources"]] == [[name]]
    assert told["red_old"]["formula"] == "red"
    assert [one["id"] for one in both.attrs["items"]] == ["old", "new"]


def layer(dtype, name="height", nodata=None, **drawn):
    cube = drawn_cube(holes=False, **drawn).isel(band=0, drop=True).astype(dtype)
    cube = cube.rename(name)
    cube.attrs = {}
    if nodata is not None:
        cube[3, 4] = nodata
        cube.attrs = {"nodata": nodata, "_FillValue": nodata}
    return cube


@pytest.mark.parametrize(
    ("one", "other", "dtype", "nodata"),
    [
        (("uint8", 0), ("uint8", 0), "uint8", 0),
        (("uint8", None), ("uint16", None), "uint16", None),
        (("uint8", None), ("int16", None), "int16", None),
        (("uint8", 0), ("uint8", 255), "float32", np.nan),
        (("uint8", 0), ("float32", None), "float32", np.nan),
        (("uint8", 0), ("int64", -1), "float64", np.nan),
        (("uint64", None), ("int8", None), "float64", np.nan),
    ],
)
@pytest.mark.parametrize("chunks", [None, {"y": 13, "x": 70}])
def test_numbers_are_held_by_the_type_of_the_stack(one, other, dtype, nodata, chunks):
    first, second = layer(one[0], "a", one[1]), layer(other[0], "b", other[1])
    if chunks:
        second = second.chunk(chunks)
    both = areca.stack_bands([first, second])
    assert both.dtype == dtype
    np.testing.assert_equal(both.attrs.get("nodata"), nodata)
    for band, source, (_, missing) in zip(
        both, (first, second), (one, other), strict=True
    ):
        expected = source.values.astype(dtype)
        if missing is not None and nodata is not None and np.isnan(nodata):
            expected[3, 4] = np.nan
        np.testing.assert_array_equal(band.values, expected)


def moved(cube, cols=0.0, rows=0.0):
    affine = cube.rio.transform()
    cube = cube.assign_coords(x=cube.x + affine.a * cols, y=cube.y + affine.e * rows)
    return cube.rio.write_transform(affine * Affine.translation(cols, rows))


@pytest.mark.usefixtures("no_compute")
def test_pixels_that_are_not_the_same_are_refused():
    cube, height = drawn_cube(), layer("float32")
    assert areca.stack_bands([cube, height]).sizes["band"] == 3
    with pytest.raises(
        GridError, match=r"raster 2 and the first: .*off by 0.500 pixel"
    ):
        areca.stack_bands([cube, moved(height, 0.5)])
    with pytest.raises(GridError, match="from row 0, column 1 of the first"):
        areca.stack_bands([cube, moved(height, 1)])
    with pytest.raises(GridError, match="59 x 70 pixels from row 1, column 0"):
        areca.stack_bands([cube, height[1:]])
    with pytest.raises(GridError, match="differ in CRS"):
        areca.stack_bands([cube, height.rio.write_crs(32632)])
    with pytest.raises(GridError, match="choose one time"):
        areca.stack_bands([cube, xr.concat([cube, cube], "time")])
    with pytest.raises(BandError, match="several bands are called nir, red"):
        areca.stack_bands([cube, cube])
    with pytest.raises(BandError, match="raster 1 has no name"):
        areca.stack_bands([height.rename(None)])
    with pytest.raises(BandError, match="no bands to stack"):
        areca.stack_bands([])
    # What xarray does of the same: a larger grid with holes, in silence.
    half = moved(height, 0.5).expand_dims(band=["height"])
    assert xr.concat([cube, half], "band", join="outer").sizes["x"] == 140


def test_a_stored_cube_keeps_where_it_comes_from(items, tmp_path):
    cube = areca.open_cube(items, bands=["red", "nir"])
    stack = areca.stack_features(cube, ["nir", "ndvi"])
    areca.write_cube(stack, tmp_path / "stack.zarr")
    stored = areca.read_cube(tmp_path / "stack.zarr")
    assert areca.lineage(stored) == areca.lineage(stack)
