"""`areca cube`: a catalogue to a Zarr cube, resumed, longer with later dates."""

import json

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
import zarr
from affine import Affine
from catalog_rasters import draw, make_item
from finished_runs import call
from rasterio.warp import transform_bounds

import areca
from areca.tiles import cube_geobox

WIDE = Affine(2, 0, 500_000, 0, -2, 5_000_000)


def write_scene(path, pixels, **options):
    profile = {
        "driver": "GTiff", "count": len(pixels), "height": pixels.shape[1],
        "width": pixels.shape[2], "dtype": pixels.dtype, "crs": "EPSG:32614",
        "transform": WIDE, "tiled": True, "compress": "deflate", **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    return path


@pytest.fixture
def catalog(tmp_path):
    """Write a catalogue of dated scenes with a quality band; returns its path."""

    def write(dates):
        items = []
        for number, when in enumerate(dates):
            pixels = draw(3, 60, 90, seed=number)
            pixels[2] = 4
            pixels[2, 10:20, 30:50] = 9  # clouds
            path = write_scene(tmp_path / f"{when}.tif", pixels, nodata=0)
            items.append(make_item(path, when=when, names=["red", "nir", "scl"]))
        for item in items:
            item.properties["eo:bands"] = item.assets["image"].extra_fields["eo:bands"]
        found = pystac.ItemCollection(items).to_dict()
        path = tmp_path / "items.json"
        path.write_text(json.dumps(found))
        return path

    return write


def test_a_crop_has_its_own_pixels_in_whole_shards(tmp_path, capsys):
    scene = write_scene(tmp_path / "a.tif", draw(3, 40, 5000))
    whole = areca.open_cube(areca.search(scene), bands=["red", "green", "blue"])
    box = whole.isel(x=slice(1500, 4500)).rio.transform_bounds("EPSG:4326")
    area = ",".join(map(str, box))

    out = tmp_path / "a.zarr"
    words = ["cube", scene, "--bands", "red,blue", "--aoi", area, "--out", out]
    assert call(*words) == 0

    cube = areca.read_cube(out)
    assert cube.chunksizes["x"][0] == 2048
    wanted = areca.open_cube(areca.search(scene), bands=["red"], aoi=area)
    assert cube_geobox(cube) == cube_geobox(wanted)
    same = whole.sel(band=["red", "blue"], x=cube.x)
    np.testing.assert_array_equal(cube, same)
    assert cube_geobox(cube).crs == cube_geobox(whole).crs
    assert "2 band x 40 y x" in capsys.readouterr().out
    assert [*zarr.open_group(out / "overviews").group_keys()]


def test_bands_of_files_that_tell_none_are_named(tmp_path, capsys):
    scene = write_scene(tmp_path / "a.tif", draw(4, 30, 50), photometric="minisblack")
    words = ["cube", scene, "--bands", "nir,red", "--out", tmp_path / "a.zarr"]

    assert call(*words, "--names", "blue,green,red,nir") == 0

    cube = areca.read_cube(tmp_path / "a.zarr")
    with rasterio.open(scene) as file:
        np.testing.assert_array_equal(cube, file.read([4, 3]))
    assert call(*words, "--names", "blue,red") == 2
    assert "'a' has 4 bands" in capsys.readouterr().err


def test_layers_a_day_without_clouds_become_more_with_later_dates(tmp_path, catalog):
    out = tmp_path / "c.zarr"
    words = ["--bands", "red,nir", "--time", "day", "--mask", "scl:cloud"]
    first = catalog(["2024-05-01", "2024-06-01"])
    assert call("cube", first, *words, "--out", out) == 0
    assert areca.read_cube(out).sizes["time"] == 2

    longer = catalog(["2024-05-01", "2024-06-01", "2024-07-01"])
    assert call("cube", longer, *words, "--out", out) == 0

    cube = areca.read_cube(out)
    wanted = areca.open_cube(
        areca.search(longer),
        bands=["red", "nir"],
        mask=areca.Mask("scl", drop=["cloud"]),
        options=areca.CubeOptions(time="day"),
    )
    assert cube.sizes["time"] == 3
    np.testing.assert_array_equal(cube, wanted)
    xr.testing.assert_equal(cube.time, wanted.time)
    assert (cube == cube.rio.nodata)[:, :, 10:20, 30:50].all()
    assert not (cube == cube.rio.nodata)[:, :, 30:, :].any()


@pytest.fixture
def shifted(tmp_path):
    """A catalogue of two dates whose grids are half a pixel apart."""
    items = []
    for when, shift in (("2024-05-01", 0.0), ("2024-06-01", 0.5)):
        transform = WIDE * Affine.translation(shift, shift)
        pixels = draw(2, 300, 400, seed=int(shift * 2))
        path = write_scene(
            tmp_path / f"{when}.tif", pixels, nodata=0, transform=transform
        )
        items.append(make_item(path, when=when, names=["red", "nir"]))
    path = tmp_path / "items.json"
    path.write_text(json.dumps(pystac.ItemCollection(items).to_dict()))
    return path


@pytest.mark.parametrize("crop", [False, True])
def test_a_later_date_of_another_grid_comes_to_that_of_the_store(
    tmp_path, shifted, capsys, crop
):
    out = tmp_path / "c.zarr"
    words = ["cube", shifted, "--bands", "red", "--time", "day", "--out", out]
    if crop:
        first = areca.open_cube(areca.search(shifted)[-1:], bands=["red"])
        part = first.isel(y=slice(50, 250), x=slice(30, 333))
        box = ",".join(map(str, part.rio.transform_bounds("EPSG:4326")))
        words += ["--aoi", box]
    assert call(*words, "--datetime", "2024-05") == 0
    grid = cube_geobox(areca.read_cube(out))

    assert call(*words, "--datetime", "2024-06") == 0

    cube = areca.read_cube(out)
    assert cube_geobox(cube) == grid
    wanted = areca.open_cube(
        areca.search(shifted),
        bands=["red"],
        geobox=grid,
        options=areca.CubeOptions(time="day"),
    )
    np.testing.assert_array_equal(cube, wanted)
    if crop:
        elsewhere = first.isel(y=slice(0, 90)).rio.transform_bounds("EPSG:4326")
        words[words.index(box)] = ",".join(map(str, elsewhere))
        assert call(*words, "--datetime", "2024-06") == 2
        assert "holds another cube" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--resolution", "-5"], "must be a positive number"),
        (["--bands", "red,swir"], "swir"),
        (["--time", "week"], "time='week' is none of mosaic, each, day"),
        (["--mask", "scl:"], "--mask 'scl:' names nothing to leave out"),
        (["--mask", "scl:fog"], "fog"),
        (["--mask", "nowhere.gpkg"], "nowhere.gpkg"),
        (["--aoi", "10,10,11,11"], "10"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, catalog, capsys, change, says):
    words = ["cube", catalog(["2024-05-01"]), "--bands", "red,nir"]
    assert call(*words, "--out", tmp_path / "c.zarr", *change) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert says in line
    assert not (tmp_path / "c.zarr").exists()


def test_another_cube_in_the_same_place_is_refused(tmp_path, catalog, capsys):
    path, out = catalog(["2024-05-01"]), tmp_path / "c.zarr"
    assert call("cube", path, "--bands", "red", "--out", out) == 0
    assert call("cube", path, "--bands", "nir", "--out", out) == 2
    assert "holds another cube (bands is" in capsys.readouterr().err


def test_a_mask_may_name_its_scheme_and_must_name_what_is_dropped(
    tmp_path, catalog, capsys
):
    out, found = tmp_path / "c.zarr", catalog(["2024-05-01"])
    words = ["cube", found, "--bands", "red", "--out", out, "--mask"]
    assert call(*words, "scl@oa_fmask:snow") == 0  # its 4, all but clouds
    seen = np.argwhere(areca.read_cube(out).values[0] != 0)
    assert len(seen) == 200
    by_value = tmp_path / "v.zarr"
    assert (
        call("cube", found, "--bands", "red", "--out", by_value, "--mask", "scl:4") == 0
    )
    np.testing.assert_array_equal(areca.read_cube(by_value), areca.read_cube(out))
    for wrong in ("scl", "image.b3"):
        assert call(*words, wrong) == 2
        assert f"write {wrong}:cloud,shadow" in " ".join(
            capsys.readouterr().err.split()
        )


def test_another_mask_is_another_cube(tmp_path, catalog, capsys):
    path, out = catalog(["2024-05-01"]), tmp_path / "c.zarr"
    words = ["cube", path, "--bands", "red", "--out", out]
    assert call(*words, "--mask", "scl:cloud") == 0
    assert call(*words, "--mask", "scl:cloud") == 0
    for other in ([], ["--mask", "scl:cloud,shadow"]):
        assert call(*words, *other) == 2
        assert "holds another cube (masks is" in capsys.readouterr().err


@pytest.mark.parametrize("beside", [False, True])
def test_imagery_beyond_a_store_is_not_cut_off(tmp_path, shifted, capsys, beside):
    """Neither a tile that the catalogue gains, nor dates of somewhere else."""
    out = tmp_path / "c.zarr"
    words = ["--bands", "red", "--time", "day", "--out", out]
    assert call("cube", shifted, *words, "--datetime", "2024-05") == 0
    transform = WIDE * Affine.translation(400 if beside else 9000, 0)
    path = write_scene(
        tmp_path / "b.tif", draw(2, 300, 400), nodata=0, transform=transform
    )
    when = "2024-05-01" if beside else "2024-07-01"
    item = make_item(path, when=when, names=["red", "nir"])
    found = pystac.ItemCollection.from_file(str(shifted)).items
    path = tmp_path / "more.json"
    pystac.ItemCollection([*(found if beside else []), item]).save_object(str(path))

    assert call("cube", path, *words) == 2

    assert "holds another cube" in capsys.readouterr().err
    assert areca.read_cube(out).sizes["time"] == 1


def test_a_store_whose_writer_was_killed_early_is_gone_on_with(tmp_path, shifted):
    out = tmp_path / "c.zarr"
    words = ["cube", shifted, "--bands", "red", "--out", out]
    assert call(*words) == 0
    whole = areca.read_cube(out).load()
    group = zarr.open_group(out, mode="r+")
    for name in ("band", "x", "y", "spatial_ref", "overviews"):
        if name in group:
            del group[name]

    assert call(*words) == 0

    np.testing.assert_array_equal(areca.read_cube(out), whole)


def test_a_later_date_of_another_zone_comes_to_the_grid_of_the_store(tmp_path):
    ground = 501_000, 4_990_000, 502_000, 4_991_000
    items = []
    for when, crs in (("2024-05-01", "EPSG:32614"), ("2024-06-01", "EPSG:32615")):
        left, _, _, top = transform_bounds("EPSG:32614", crs, *ground)
        transform = Affine(10, 0, round(left, -1) - 500, 0, -10, round(top, -1) + 500)
        path = tmp_path / f"{when}.tif"
        write_scene(path, draw(1, 250, 250), nodata=0, crs=crs, transform=transform)
        items.append(make_item(path, when=when, names=["red"]))
    found = tmp_path / "items.json"
    pystac.ItemCollection(items).save_object(str(found))
    box = ",".join(map(str, transform_bounds("EPSG:32614", "EPSG:4326", *ground)))
    out = tmp_path / "c.zarr"
    words = ["cube", found, "--bands", "red", "--time", "day", "--aoi", box]
    assert call(*words, "--out", out, "--datetime", "2024-05") == 0
    grid = cube_geobox(areca.read_cube(out))

    assert call(*words, "--out", out, "--datetime", "2024-06") == 0

    cube = areca.read_cube(out)
    assert cube_geobox(cube) == grid
    assert (cube.isel(time=1) != 0).mean() > 0.99
