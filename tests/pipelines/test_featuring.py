"""`areca features`: imagery on disk to one named GeoTIFF, block by block."""

from collections import Counter
from shutil import copy

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from feature_cubes import drawn_cube

import areca
from areca.catalog import Imagery, warp
from areca.catalog import cube as cube_module
from areca.catalog import imagery as imagery_module
from areca.catalog.kept_cells import KeptCells
from areca_pipelines import feature_work, featuring
from areca_pipelines.cli import main
from areca_pipelines.feature_words import split_features

WANTED = "red,nir,ndvi,ratio = nir / red,std(nir, 7),mean(ndvi, 5)"


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.tif"
    cube = drawn_cube(300, 420)
    cube.attrs["long_name"] = ("red", "nir")
    cube.rio.to_raster(path, tiled=True, blockxsize=128, blockysize=128)
    return path


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["features", *map(str, words)])
    return ended.value.code


def test_the_file_equals_the_lazy_stack_and_is_a_cog(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_work, "BLOCK_PX", 128)
    out = tmp_path / "out.tif"

    code = run(scene, "--bands", WANTED, "--out", out)

    cube = areca.open_cube(areca.search(scene), bands=["red", "nir"])
    expected = areca.stack_features(cube, split_features([WANTED]))
    assert code == 0
    with rasterio.open(out) as file:
        assert file.descriptions == tuple(expected.band.values)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.crs == cube.rio.crs
        assert file.transform == cube.rio.transform()
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(file.read(), expected.values)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "scene.tif"]


def test_the_origin_is_that_of_the_file_to_the_last_digit(tmp_path):
    """Of a grid that lies anywhere, not at a round part of a pixel."""
    transform = Affine(10.0013, 0, 465181.0522318204, 0, -10.0013, 5093245.31118)
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=60, height=50, count=2,
        dtype="uint8", crs="EPSG:32633", transform=transform,
    ) as file:  # fmt: skip
        file.write(np.ones((2, 50, 60), np.uint8))
        file.descriptions = ("B04", "Red")

    assert (
        run(tmp_path / "a.tif", "--bands", "B04,red", "--out", tmp_path / "o.tif") == 0
    )

    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.transform == transform
        assert file.descriptions == ("B04", "red")


def test_indices_for_reflectance_of_stored_numbers_are_told(scene, tmp_path, capsys):
    assert run(scene, "--bands", "savi,ndvi", "--out", tmp_path / "out.tif") == 0
    assert "numbers savi want reflectance" in capsys.readouterr().out
    with rasterio.open(scene, "r+") as file:
        file.scales = [0.004] * file.count
    assert run(scene, "--bands", "savi,ndvi", "--out", tmp_path / "two.tif") == 0
    assert "want reflectance" not in capsys.readouterr().out


def test_undated_files_over_each_other_are_told(scene, tmp_path, capsys):
    copy(scene, tmp_path / "another.tif")
    assert run(tmp_path, "--bands", "red", "--out", tmp_path / "out.tif") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "undated 2 items lie over each other by name, another on top" in told
    assert run(scene, "--bands", "red", "--out", tmp_path / "one.tif") == 0
    assert "items lie over each other" not in capsys.readouterr().out


def test_terrain_of_a_file_of_heights_needs_no_name(tmp_path):
    path, out = tmp_path / "dem.tif", tmp_path / "out.tif"
    dem = drawn_cube(holes=False, floats=True).sel(band=["nir"])
    dem.drop_vars("band").rio.to_raster(path)

    assert run(path, "--bands", "slope,hillshade", "--out", out) == 0

    with rasterio.open(out) as file:
        assert file.descriptions == ("slope", "hillshade")
        expected = areca.terrain(dem, ["slope", "hillshade"])
        np.testing.assert_array_equal(file.read(), expected.values)


def test_bands_of_a_file_can_be_named(tmp_path):
    path, out = tmp_path / "scene.tif", tmp_path / "out.tif"
    cube = drawn_cube()
    cube.drop_vars("band").rio.to_raster(path)

    assert run(path, "--bands", "ndvi", "--names", "red,nir", "--out", out) == 0

    with rasterio.open(out) as file:
        expected = areca.stack_features(cube, ["ndvi"])
        np.testing.assert_array_equal(file.read(), expected.values)


def test_only_the_bands_that_are_needed_are_read_and_each_block_once(
    scene, tmp_path, monkeypatch
):
    monkeypatch.setattr(feature_work, "BLOCK_PX", 128)
    reads, real = [], Imagery.read

    def counted(imagery, window):
        reads.append((imagery.bands, (window.height, window.width)))
        return real(imagery, window)

    monkeypatch.setattr(Imagery, "read", counted)
    run(scene, "--bands", "std(nir, 5),mean(nir, 5),sobel(nir)", "--out",
        tmp_path / "out.tif")  # fmt: skip
    assert len(reads) == 3 * 4
    assert {bands for bands, _ in reads} == {("nir",)}
    assert reads[0][1] == (132, 132)


@pytest.fixture
def two_sizes(tmp_path, monkeypatch):
    """Two images of two pixel sizes, both warped in cells of 64 px."""
    for module in (cube_module, imagery_module):
        monkeypatch.setattr(module, "CELL_PX", 64)
    monkeypatch.setattr(feature_work, "BLOCK_PX", 128)
    folder = tmp_path / "two"
    folder.mkdir()
    for name, pixel, left in (("a", 10.0, 3.0), ("b", 12.5, 3004.0)):
        cube = drawn_cube(500, 400)
        cube.attrs["long_name"] = ("red", "nir")
        place = Affine(pixel, 0, 500_000 + left, 0, -pixel, 5_000_004)
        cube = cube.drop_vars(["x", "y"]).rio.write_transform(place)
        cube.rio.to_raster(folder / f"{name}.tif")
    return folder


def warps_of(monkeypatch, *words):
    """Return how often each cell was warped by the command."""
    found, real = Counter(), warp.reproject

    def counting(source, cell, **how):
        found[how["src_transform"], how["dst_transform"]] += 1
        return real(source, cell, **how)

    with monkeypatch.context() as patch:
        patch.setattr(warp, "reproject", counting)
        assert run(*words) == 0
    return found


@pytest.mark.parametrize("bands", ["ndvi", "mean(nir, 9),red"])
def test_a_cell_of_a_warp_is_warped_once_for_all_blocks(
    two_sizes, tmp_path, monkeypatch, bands
):
    out = tmp_path / "out.tif"
    found = warps_of(monkeypatch, two_sizes, "--bands", bands, "--out", out)
    assert len(found) > 100
    assert set(found.values()) == {1}
    cube = areca.open_cube(areca.search(two_sizes), bands=["red", "nir"])
    expected = areca.stack_features(cube, split_features([bands]))
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.read(), expected.values)


def test_blocks_go_in_strips_whose_cells_are_kept(two_sizes, tmp_path, monkeypatch):
    """A row of all blocks would push out of memory what the next row wants."""
    room = 2 * 4 * (128 + 64) * (4 * 128 + 64)
    monkeypatch.setattr(imagery_module, "KEPT_BYTES", room)
    monkeypatch.setattr(featuring, "THREADS", 1)
    counts = []
    for strip in (Imagery.strip_px, lambda *_: None):
        monkeypatch.setattr(warp, "CELLS", KeptCells(room))
        monkeypatch.setattr(Imagery, "strip_px", strip)
        words = (two_sizes, "--bands", "std(nir, 9),red", "--overwrite", "--out")
        found = warps_of(monkeypatch, *words, tmp_path / "out.tif")
        counts.append(found.total() / len(found))
    assert counts[0] < 1.2 < counts[1]


def test_what_there_is_is_listed_a_line_each(capsys):
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.strip().startswith("std(band, window=5)") for line in lines)
    assert any(line.strip().startswith("ndvi ") for line in lines)
    assert len(lines) > 250


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bands", "ndvj"], "did you mean 'ndvi'"),
        (["--bands", "ndvi", "--names", "red"], "--names has 1 names"),
        (["--bands", "evi"], "no ['blue']"),
        (["--bands", "evi"], "--names red,green,blue,nir"),
        ([], "needs imagery, --bands and --out"),
        (["--bands", "red,red"], "different names"),
    ],
)
def test_bad_input_is_one_line_and_code_2(scene, tmp_path, capsys, words, message):
    assert run(scene, *words, "--out", tmp_path / "out.tif") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.tif").exists()


def test_a_file_is_not_replaced_unasked(scene, tmp_path, capsys):
    out = tmp_path / "out.tif"
    out.write_bytes(b"mine")
    assert run(scene, "--bands", "red", "--out", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert run(scene, "--bands", "red", "--out", out, "--overwrite") == 0


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_no_other_file_of_the_folder_is_touched(scene, tmp_path, monkeypatch, words):
    names = [f"out.{word}.tif{end}" for word in ("plain", "partial", "done")
             for end in ("", ".ovr", ".aux.xml")]  # fmt: skip
    for name in names:
        (tmp_path / name).write_text("mine")

    assert run(scene, "--bands", "red", "--out", tmp_path / "out.tif", *words) == 0

    assert {(tmp_path / name).read_text() for name in names} == {"mine"}
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {*names, "scene.tif", "out.tif"}

    monkeypatch.setattr(featuring, "copy_as_cog", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        featuring.write_features(scene, tmp_path / "again.tif", ["red"])
    assert {path.name for path in tmp_path.iterdir()} == there


def test_a_folder_that_takes_no_file_is_one_line(scene, monkeypatch, capsys):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(featuring, "TemporaryDirectory", refuse)
    assert run(scene, "--bands", "red", "--out", scene.with_name("out.tif")) == 2
    assert "(Permission denied); give another --out" in capsys.readouterr().err


def test_commas_in_brackets_do_not_cut():
    assert split_features(["red, std(nir, 7)", "a = max(red, nir)"]) == [
        "red", "std(nir, 7)", "a = max(red, nir)",
    ]  # fmt: skip


def test_a_sheet_shows_the_bands_of_the_file(scene, tmp_path):
    out, sheet, again = (tmp_path / name for name in ("o.tif", "s.png", "a.png"))
    words = [scene, "--bands", "red,ndvi", "--out", out, "--sheet"]

    assert run(*words, tmp_path / "s.tif") == 2
    assert not out.exists()
    assert run(*words, sheet) == 0

    cube = areca.open_cube(areca.search(scene), bands=["red", "nir"])
    areca.band_sheet(areca.stack_features(cube, ["red", "ndvi"]), again)
    assert sheet.read_bytes() == again.read_bytes()
    assert run(*words, sheet) == 2


def test_dates_are_told_and_chosen_and_an_area_is_part_of_the_whole(
    tmp_path, capsys, monkeypatch
):
    """`--aoi` gives the pixels of the whole, neighbours beyond the rim included."""
    monkeypatch.setattr(feature_work, "BLOCK_PX", 128)
    source = tmp_path / "dated.zarr"
    times = np.array(["2024-05-01", "2024-06-01"], "datetime64[ns]")
    layers = [drawn_cube(90, 120), drawn_cube(90, 120) + 1]
    cube = xr.concat(layers, xr.DataArray(times, dims="time", name="time"))
    areca.write_cube(cube, source)
    words = (source, "--bands", "std(nir, 7)", "--out")

    assert run(*words, tmp_path / "new.tif") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2024-06-01, 2024-05-01 (2); the newest is on top" in said
    assert run(*words, tmp_path / "old.tif", "--datetime", "2024-05") == 0
    assert "on top" not in capsys.readouterr().out
    part = cube.isel(x=slice(30, 70), y=slice(20, 61))
    box = part.rio.transform_bounds("EPSG:4326")
    area = ("--aoi", ",".join(map(str, box)), "--datetime", "2024-05")
    assert run(*words, tmp_path / "part.tif", *area) == 0

    with rasterio.open(tmp_path / "old.tif") as file:
        whole = file.read()
        expected = areca.stack_features(cube.isel(time=0), ["std(nir, 7)"])
        np.testing.assert_array_equal(whole, expected.values)
    with rasterio.open(tmp_path / "part.tif") as file:
        assert file.height < 60
        col, row = ~cube.rio.transform() * (file.bounds.left, file.bounds.top)
        rows = slice(round(row), round(row) + file.height)
        cols = slice(round(col), round(col) + file.width)
        np.testing.assert_array_equal(file.read(), whole[:, rows, cols])
    assert run(*words, tmp_path / "no.tif", "--collections", "other") == 2
