"""Reflectances that come out negative are told of when a cube is looked at."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from catalog_rasters import make_item
from feature_cubes import counted

import areca
from areca.catalog import CubeOptions, set_origin
from areca.features.statistics import Statistics


def scenes(tmp_path, offset, count=1):
    """Items of red (a third of it below 1000) and nir (all of it above)."""
    rng = np.random.default_rng(1)
    red = rng.integers(1000, 1300, (90, 80))
    red[:30] = rng.integers(300, 900, (30, 80))
    pixels = np.stack([red, rng.integers(2500, 4000, (90, 80))]).astype("uint16")
    items = []
    for number in range(count):
        path = tmp_path / f"s{number}.tif"
        profile = {
            "driver": "GTiff", "count": 2, "height": 90, "width": 80,
            "dtype": "uint16", "crs": "EPSG:32631", "nodata": 0,
            "transform": Affine(10, 0, 5e5, 0, -10, 5e6),
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
        item = make_item(path, names=["red", "nir"])
        for band in item.assets["image"].extra_fields["raster:bands"]:
            band |= {"scale": 1e-4, "offset": offset}
        items.append(item)
    return set_origin(items, ".")


def test_one_line_says_which_share_of_which_band_and_what_to_do(tmp_path):
    cube = areca.open_cube(scenes(tmp_path, -0.1, 5), bands=["red", "nir"])
    with pytest.warns(UserWarning, match="negative reflectances: 33% of red af") as got:
        scale = areca.fit_statistics(cube)
    (said,) = [one for one in got if one.category is UserWarning]
    line = str(said.message)
    assert "\n" not in line
    assert "scale 0.0001 and offset -0.1 (items s0, s1, s2 and 2 more)" in line
    assert "CubeOptions(scale_offset={'*': (0.0001, 0)})" in line
    assert said.filename == __file__
    assert scale["red"].negative == 30 * 80
    assert Statistics.from_dict(scale.to_dict()) == scale
    z = areca.normalize(cube, scale)
    assert z.attrs["negative"] == {"red": pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    ("offset", "how"),
    [(-0.02, {}), (0.0, {}), (-0.1, {"scale_offset": {"*": (1e-4, 0)}})],
)
def test_there_is_nothing_to_say_of_others(tmp_path, offset, how):
    items = scenes(tmp_path, offset)
    cube = areca.open_cube(items, bands=["red"], options=CubeOptions(**how))
    scale = areca.fit_statistics(cube)  # a warning is an error here
    assert "negative" not in areca.normalize(cube, scale).attrs


def test_what_may_be_negative_is_not_told_of(tmp_path):
    cube = areca.open_cube(scenes(tmp_path, -0.1), bands=["red", "nir"])
    change = areca.stack_features(cube, ["lower = red - nir"])
    scale = areca.fit_statistics(change)
    assert scale["lower"].negative == 90 * 80


def test_it_costs_no_read(tmp_path):
    cube = areca.open_cube(scenes(tmp_path, -0.1), bands=["red"])
    watched, reads = counted(cube)
    with pytest.warns(UserWarning, match="33% of red"):
        areca.fit_statistics(watched)
    assert len(reads) == 2  # sums, then deviations, as without
