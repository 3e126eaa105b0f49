"""`areca polygonize`: any class raster on disk to GeoParquet."""

import re

import geopandas as gpd
import numpy as np
import pytest
import rioxarray
import shapely
from class_rasters import drawn, raster, regions_by_other_tools, sorted_bytes

from areca_pipelines.cli import main
from areca_pipelines.polygonizing import split_classes

LABELS = drawn("11#11....", "11#11.22.", "1##1111..", "###111...", ".11#11.2.")


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.tif"
    raster(LABELS).rio.write_nodata(255).rio.to_raster(path)
    return path


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["polygonize", *map(str, words)])
    return ended.value.code


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_file_gives_the_polygons_that_other_tools_give(
    classes, tmp_path, capsys, connectivity
):
    out = tmp_path / "out.parquet"

    code = run(classes, "--out", out, "--connectivity", connectivity)

    assert code == 0
    affine = rioxarray.open_rasterio(classes).rio.transform()
    expected = regions_by_other_tools(LABELS, [255], connectivity, affine)
    order = ["label", "pixels", "geometry"]
    expected = expected.sort_values(order, ignore_index=True)
    assert sorted_bytes(gpd.read_parquet(out)).equals(expected)
    assert f"{len(expected)} regions" in capsys.readouterr().out


def test_classes_sizes_and_holes_are_options(classes, tmp_path):
    out = tmp_path / "out.parquet"

    code = run(classes, "--out", out, "--classes", "1,2", "--min-area", "0.2")

    table = gpd.read_parquet(out)
    assert code == 0
    every = regions_by_other_tools(LABELS, [0, 255], 4)
    expected = every.loc[every["pixels"] * 0.09 > 0.2, "pixels"]
    assert sorted(table["pixels"]) == sorted(expected)
    assert 0 < len(expected) < len(every)


def test_a_folder_is_written_part_by_part(classes, tmp_path):
    out = tmp_path / "parts.v1.2"

    assert run(classes, "--out", out, "--classes", "1") == 0

    assert {p.suffix for p in out.iterdir()} == {".parquet"}
    assert set(gpd.read_parquet(out)["label"]) == {1}


def test_the_name_follows_the_raster_where_none_is_given(
    classes, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    assert run(classes) == 0

    assert (tmp_path / "classes.polygons.parquet").is_file()


def test_a_zarr_group_is_read_in_its_whole_numbers(tmp_path, capsys):
    labels = raster(LABELS, chunks=(2, 4)).rio.write_nodata(255)
    store = tmp_path / "classes.zarr"
    labels.rename("label").to_dataset().to_zarr(store, consolidated=False)

    code = run(store, "--out", tmp_path / "out.parquet", "--regularize", 2)

    assert code == 0
    table = gpd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == len(regions_by_other_tools(LABELS, [255], 4))
    assert f"right angles fit {table['regularized'].sum()}" in capsys.readouterr().out


def test_simplified_borders_stay_shared(tmp_path):
    rows, cols = np.indices((90, 90))
    labels = (np.hypot(rows - 44, cols - 41) < 30).astype(np.uint8)
    raster(labels).rio.to_raster(tmp_path / "disc.tif")

    code = run(tmp_path / "disc.tif", "--simplify", 1, "--out", tmp_path / "o.parquet")

    assert code == 0
    shapes = gpd.read_parquet(tmp_path / "o.parquet").geometry.to_numpy()
    assert len(shapes) == 2
    assert shapely.area(shapely.intersection(*shapes)) < 1e-6
    assert shapely.area(shapes).sum() == pytest.approx(90 * 90 * 0.09)


def test_nothing_but_nodata_is_said_and_no_error(tmp_path, capsys):
    nothing = raster(np.full((5, 5), 255, np.uint8)).rio.write_nodata(255)
    nothing.rio.to_raster(tmp_path / "none.tif")

    code = run(tmp_path / "none.tif", "--out", tmp_path / "out.parquet")

    assert code == 0
    assert gpd.read_parquet(tmp_path / "out.parquet").empty
    assert "no pixel is of a class that is wanted" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["out.parquet", "parts"])
def test_what_is_there_is_replaced_only_if_asked(classes, tmp_path, name, capsys):
    out = tmp_path / name
    assert run(classes, "--out", out) == 0
    before = sorted_bytes(gpd.read_parquet(out))

    assert run(classes, "--out", out, "--classes", 2) == 2
    assert re.search(f"{name} exists.*--overwrite", capsys.readouterr().err)
    assert sorted_bytes(gpd.read_parquet(out)).equals(before)
    assert run(classes, "--out", out, "--classes", 2, "--overwrite") == 0

    assert set(gpd.read_parquet(out)["label"]) == {2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.tif", name]


def test_a_class_that_is_not_there_is_told_with_those_that_are(
    classes, tmp_path, capsys
):
    assert run(classes, "--classes", 9, "--out", tmp_path / "out.parquet") == 0

    holds = ", ".join(map(str, np.unique(LABELS)))
    assert f"the raster holds {holds}" in capsys.readouterr().out


def bad_inputs(folder):
    """Words and what the line of complaint must say, by what is wrong."""
    labels = raster(LABELS)
    labels.rio.to_raster(folder / "classes.tif")
    labels.astype("float32").rio.to_raster(folder / "floats.tif")
    labels.expand_dims(band=[1, 2]).rio.to_raster(folder / "two.tif")
    labels.rename("class").to_dataset().to_zarr(folder / "z.zarr", consolidated=False)
    (folder / "words.txt").write_text("no raster")
    (folder / "full").mkdir()
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text("{}")
    good, bare = folder / "classes.tif", folder / "bare.tif"
    labels.drop_vars("spatial_ref").rio.to_raster(bare)
    return {
        "no file": ([folder / "none.tif"], "there is no"),
        "text": ([folder / "words.txt"], "cannot be read as a raster"),
        "floats": ([folder / "floats.tif"], "classes are whole numbers"),
        "bands": ([folder / "two.tif"], "2 bands.*--band"),
        "band": ([good, "--band", 3], "bands 1 to 1, not 3"),
        "variable": ([folder / "z.zarr"], "no array 'label', only class"),
        "no zarr": ([folder / "full"], "cannot be read as a Zarr group"),
        "no rasters": ([folder / "run"], "has no rasters.zarr"),
        "connectivity": ([good, "--connectivity", 5], "connectivity=5"),
        "class": ([good, "--classes", "palm"], "names none"),
        "no CRS": ([bare], r"bare.tif has no CRS.*gdal_translate -a_srs"),
        "negative": ([good, "--min-area", -1], "--min-area=-1"),
        "options": ([good, "--simplify", 1, "--regularize", 1], "only one of the two"),
        "format": ([good, "--out", folder / "a.gpkg"], "GeoParquet.*areca export"),
        "target": ([good, "--out", folder / "words.txt"], "is a file already"),
    }


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, (words, message) in bad_inputs(tmp_path).items():
        code = run(*words)
        line = capsys.readouterr().err
        assert code == 2, name
        assert line.count("\n") == 1, name
        assert re.search(message, line), (name, line)
    assert not list(tmp_path.glob("*.parquet"))
    assert not (tmp_path / "a.gpkg").exists()


def test_classes_are_values_or_names():
    assert split_classes("1, -2,oil_palm,") == [1, -2, "oil_palm"]
    assert split_classes(None) is None
