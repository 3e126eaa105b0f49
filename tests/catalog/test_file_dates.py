"""Dates that stand in the names of GeoTIFFs."""

from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from catalog_rasters import draw, make_item

import areca
from areca.catalog.file_dates import DateForm
from areca.errors import CatalogError
from areca_pipelines.census import Ground, prepare
from areca_pipelines.cli import main

FORM = "%Y%m%d"


class Named:
    """What stands for an item here: an id, and the date it is given."""

    datetime = None

    def __init__(self, name):
        self.id, self.properties = name, {}


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("m_4709963_se_14_1_20180716", FORM, (2018, 7, 16)),
        ("20180716", FORM, (2018, 7, 16)),
        ("a_2024-06-01T101112_x", "%Y-%m-%dT%H%M%S", (2024, 6, 1, 10, 11, 12)),
        ("orto2024152b", "%Y%j", (2024, 5, 31)),
        ("crop_2019", "%Y", (2019, 1, 1)),
        ("LC08_044034_20130330_20170310", "034_%Y%m%d", (2013, 3, 30)),
        ("20130330_99999999_1.5", FORM, (2013, 3, 30)),
        ("20240601_farm_20240601", FORM, (2024, 6, 1)),
        ("day(20240601)", "(%Y%m%d)", (2024, 6, 1)),
    ],
)
def test_a_name_tells_its_date(name, form, expected):
    item = DateForm(form).date(Named(name))

    assert item.datetime == datetime(*expected, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("farm", FORM, "no part of the name 'farm'"),
        ("farm_20241301", FORM, "no part of the name"),  # no such month
        ("120240601", FORM, "no part of the name"),  # a longer number
        (
            "034_20130330_20170310",
            FORM,
            r"2013-03-30, 2017-03-10; .*dates='034_%Y%m%d'",
        ),
        ("S2A_20240601_S2A_20230601", FORM, "several dates .* as well$"),
        ("50%_20240601_20230601", FORM, "several dates .* as well$"),
        (
            "a_202406011000_202406011100",
            "%Y%m%d%H%M",
            "2024-06-01 10:00:00, 2024-06-01 11",
        ),
        ("a_2023366", "%Y%j", "no part of the name"),  # no such day
        ("farm_20240601", "%Y%M%d", "no form of dates"),  # minutes
        ("farm_2024_15", "%Y_%d", "no form of dates"),
        ("20230101_100", "%Y%m%d_%j", "no form of dates"),
        ("2023 10", "%Y %H", "no form of dates"),
        ("farm_240601", "%y%m%d", "no form of dates"),
        ("farm", "%m%d", "no form of dates"),
        ("farm", "%Y%Y", "no form of dates"),
        ("farm", "100%", "no form of dates"),
        ("farm", "", "no form of dates"),
    ],
)
def test_names_without_one_date_and_other_forms_are_refused(name, form, says):
    with pytest.raises(CatalogError, match=says):
        DateForm(form).date(Named(name))


@pytest.fixture
def folder(write_tiff, tmp_path):
    """Three images that differ; by name the first is the newest."""
    for number, name in enumerate(["a_20240601", "b_20220601", "c_20230601"]):
        write_tiff(f"in/{name}.tif", draw(3, 40, 50, seed=number), pixel=0.1)
    return tmp_path / "in"


def pixels(path):
    with rasterio.open(path) as file:
        return file.read()


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_items_have_it_and_can_be_asked_for_by_it(folder):
    found = areca.search(folder, dates=FORM)

    assert [item.id[0] for item in found] == ["a", "c", "b"]
    some = areca.search(folder, dates=FORM, datetime="2022-01-01/2023-12-31")
    assert [item.id[0] for item in some] == ["c", "b"]
    with pytest.raises(CatalogError, match=r"tell how dates stand in their names"):
        areca.search(folder, datetime="2023")


def test_the_day_that_stands_for_none_may_be_a_date(write_tiff, tmp_path):
    for number, year in enumerate([1969, 1970, 1971]):
        write_tiff(f"in/a_{year}.tif", draw(1, 20, 20, seed=number))
    items = areca.search(tmp_path / "in", names=["grey"], dates="%Y")

    each = areca.CubeOptions(time="each")
    cube = areca.open_cube(items, bands=["grey"], options=each)

    assert [str(time)[:4] for time in cube.time.values] == ["1969", "1970", "1971"]


def test_a_date_without_a_time_is_that_day_on_both_sides_of_greenwich(
    write_tiff, tmp_path
):
    for number, day in enumerate(["20240601", "20240602"]):
        for side, x in (("west", 283_784.0), ("east", 291_784.0)):
            pixels = draw(1, 40, 40, seed=number)
            path = f"in/{side}_{day}.tif"
            write_tiff(
                path, pixels, origin=(x, 5_709_000.0), pixel=200.0, crs="EPSG:32631"
            )
    items = areca.search(tmp_path / "in", names=["grey"], dates=FORM)
    assert min(item.bbox[0] for item in items) < 0 < max(item.bbox[2] for item in items)

    day = areca.CubeOptions(time="day")
    cube = areca.open_cube(items, bands=["grey"], options=day)

    assert [str(time)[:10] for time in cube.time.values] == ["2024-06-01", "2024-06-02"]
    assert not np.isnan(cube.values).any()


def test_a_wrong_form_is_told_before_a_file_is_opened(tmp_path):
    with pytest.raises(CatalogError, match="no form of dates"):
        areca.search(tmp_path / "none.tif", dates="%q")
    with pytest.raises(CatalogError, match="is not there; check the path"):
        areca.search(tmp_path / "none", dates=FORM)


def test_what_tells_dates_itself_takes_none(folder, tmp_path):
    item = make_item(folder / "a_20240601.tif")
    item.save_object(dest_href=str(tmp_path / "item.json"))

    with pytest.raises(CatalogError, match="with dates of its own; leave dates out"):
        areca.search(tmp_path / "item.json", dates=FORM)


def test_a_cube_of_a_folder_has_a_layer_a_date(folder, tmp_path):
    words = ["cube", folder, "--names", "red,green,nir", "--bands", "red,nir"]
    words += ["--time", "each", "--out", tmp_path / "farm.zarr"]
    assert call(*words) == 2
    assert call(*words, "--dates", FORM) == 0

    cube = areca.read_cube(tmp_path / "farm.zarr")
    assert [str(time)[:4] for time in cube.time.values] == ["2022", "2023", "2024"]
    for layer, name in zip(cube.values, ["b_2022", "c_2023", "a_2024"], strict=True):
        stored = pixels(folder / f"{name}0601.tif")[[0, 2]]
        np.testing.assert_array_equal(layer, stored)


def test_features_show_the_date_that_is_asked_for(folder, tmp_path):
    words = ["features", folder, "--bands", "red", "--dates", FORM]
    assert call(*words, "--datetime", "2023", "--out", tmp_path / "f.tif") == 0

    np.testing.assert_array_equal(
        pixels(tmp_path / "f.tif")[0], pixels(folder / "c_20230601.tif")[0]
    )


def test_a_run_knows_the_dates_of_its_imagery(folder):
    settings = {"dates": FORM}

    plan = prepare("tree_crown_demo", Ground(catalog=folder), settings).plan

    assert {scene.start[:10] for scene in plan.scenes} == {
        "2022-06-01", "2023-06-01", "2024-06-01",
    }  # fmt: skip
    newest = plan.imagery.read(plan.grid.region).pixels
    np.testing.assert_array_equal(newest, pixels(folder / "a_20240601.tif"))
