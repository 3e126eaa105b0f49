"""Runs and features without clouds: what an item hides there, the next item shows."""

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from bright_model import write_bright_recipe
from catalog_rasters import make_item
from worlds import quiet

import areca
from areca.catalog import Imagery, normalise_acquisitions, target_grid
from areca.errors import InputError
from areca.runs import FinishedRun, run_census
from areca.runtime import open_client
from areca.tiles import with_nan
from areca_pipelines import census, cubing, featuring
from areca_pipelines.census import Ground, prepare
from areca_pipelines.cli import main
from areca_pipelines.featuring import write_features

CRS, PIXEL = "EPSG:32648", 0.2
LEFT, TOP = 300_000.0, 240_000.0
HEIGHT, WIDTH = 420, 520
CLOUD = np.s_[120:320, 160:430]
"""Lies over several blocks of one tile; whole cells of the quality band."""


def ground(shift):
    """Dark noise with bright discs in rows, all of them moved by `shift`."""
    pixels = np.random.default_rng(shift).integers(50, 75, (3, HEIGHT, WIDTH))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels[:, ((y + shift) % 40 - 20) ** 2 + ((x + shift) % 40 - 20) ** 2 < 81] = 220
    return pixels.astype(np.uint8)


def write(path, pixels, pixel=PIXEL):
    profile = {
        "driver": "GTiff", "count": len(pixels), "dtype": "uint8", "crs": CRS,
        "height": pixels.shape[1], "width": pixels.shape[2], "nodata": 0,
        "transform": Affine(pixel, 0, LEFT, 0, -pixel, TOP),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "blue")[: len(pixels)]
    return path


def item_of(folder, name, pixels, classes, when):
    item = make_item(write(folder / f"{name}.tif", pixels), item_id=name, when=when)
    path = write(folder / f"{name}_scl.tif", classes[None, ::2, ::2], 2 * PIXEL)
    asset = make_item(path, names=["scl"]).assets["image"]
    asset.extra_fields |= {
        "proj:transform": [2 * PIXEL, 0, LEFT, 0, -2 * PIXEL, TOP],
        "proj:shape": [HEIGHT // 2, WIDTH // 2],
    }
    item.add_asset("SCL", asset)
    return item


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A cloudy item above a clear one, what is left of both, and a simple model."""
    folder = tmp_path_factory.mktemp("clouds")
    old, new = ground(0), ground(17)
    clear = np.full((HEIGHT, WIDTH), 4, np.uint8)
    cloudy = clear.copy()
    cloudy[CLOUD] = 9
    seen = np.where(cloudy == 9, old, new)
    rng = np.random.default_rng(5)
    new[:, *CLOUD] = rng.integers(80, 255, new[:, *CLOUD].shape)
    items = [
        item_of(folder, "old", old, clear, "2020-01-01"),
        item_of(folder, "new", new, cloudy, "2021-01-01"),
    ]
    collection = pystac.ItemCollection(items)
    collection.save_object(str(folder / "items.json"))
    (folder / "clear").mkdir()
    write(folder / "clear" / "seen.tif", seen)
    write_bright_recipe(folder)
    return folder


@pytest.fixture(scope="module")
def client():
    with open_client("threads") as client:
        yield client


def request_of(world, catalog="items.json", **settings):
    return prepare(str(world / "any.toml"), Ground(catalog=world / catalog), settings)


def count(request, out, client):
    done = run_census(request, out, client=client, progress=quiet)
    table = areca.read_objects(done.folder.objects)
    return table.sort_values("object_id", ignore_index=True)


@pytest.fixture(scope="module")
def expected(world, client, tmp_path_factory):
    """The objects of one image that shows what both items show outside clouds."""
    out = tmp_path_factory.mktemp("runs") / "seen"
    return count(request_of(world, "clear/seen.tif"), out, client)


MEASURES = ["area_m2", "perimeter_m", "score"]


@pytest.mark.parametrize("block_tiles", [1, 3])
def test_the_next_item_shows_what_clouds_hide(
    world, client, tmp_path, expected, block_tiles
):
    request = request_of(world, mask="scl:cloud", block_tiles=block_tiles)

    found = count(request, tmp_path / "run", client)

    assert len(expected) > 100
    assert found.geometry.geom_equals(expected.geometry).all()
    np.testing.assert_array_equal(found[MEASURES], expected[MEASURES])
    shown = found["item_id"].value_counts()
    assert shown["old"] > 20
    assert shown["new"] > 50


def test_without_the_mask_the_cloud_is_an_object(world, client, tmp_path, expected):
    plain = request_of(world)

    found = count(plain, tmp_path / "run", client)

    assert found["area_m2"].max() > 50 * expected["area_m2"].max()
    assert "masks" not in plain.to_dict()
    masked = request_of(world, mask=["scl:cloud"])
    assert masked.digest != plain.digest
    assert masked.digest != request_of(world, mask="scl:cloud,shadow").digest


def test_a_mask_that_hides_nothing_is_noticed(
    world, client, tmp_path, expected, monkeypatch
):
    """The mutation."""
    monkeypatch.setattr(areca.Mask, "keeps", lambda _self, _values, seen: seen)

    found = count(request_of(world, mask="scl:cloud"), tmp_path / "run", client)

    assert len(found) != len(expected)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ("scl", "write scl:cloud,shadow"),
        ("area.geojson", "no quality band"),
        ("scl:", "nothing to leave out"),
        ("scl:clouds", "did you mean 'cloud'"),
        ("fmask:cloud", "no band ..fmask"),
    ],
)
def test_a_mask_that_is_none_is_named(world, mask, says):
    with pytest.raises((InputError, areca.errors.BandError), match=says):
        request_of(world, mask=mask)


def test_a_wrong_mask_is_named_before_the_catalogue_is_asked(
    world, tmp_path, monkeypatch
):
    def refuse(*_args, **_kwargs):
        raise AssertionError("searched")

    for module in (census, cubing, featuring):
        monkeypatch.setattr(module, "search", refuse)
    wanted = cubing.CubeRequest(catalog="a", bands=("red",), masks=("scl:",))
    for call in (
        lambda: request_of(world, mask="scl:"),
        lambda: write_features("a", tmp_path / "f.tif", ["red"], masks=["scl:"]),
        lambda: cubing.make_cube(wanted, tmp_path / "a.zarr"),
    ):
        with pytest.raises(InputError, match="nothing to leave out"):
            call()


def test_numbers_that_the_item_does_not_tell_are_read_under_a_mask_too(world, tmp_path):
    """The item says bytes, the file has larger numbers."""
    item = pystac.ItemCollection.from_file(str(world / "items.json"))[0].clone()
    with rasterio.open(world / f"{item.id}.tif") as file:
        pixels, profile = file.read().astype(np.uint16) + 1000, file.profile
    with rasterio.open(tmp_path / "a.tif", "w", **profile | {"dtype": "uint16"}) as out:
        out.write(pixels)
        out.descriptions = ("red", "green", "blue")
    item.assets["image"].href = str(tmp_path / "a.tif")
    (found,) = normalise_acquisitions(
        [item], catalog_href=world / "items.json", bands=["red", "scl"]
    )
    grid = target_grid([found.parts[0]])
    mask = areca.Mask("scl", drop=["cloud"])
    imagery = Imagery.of([found], ["red"], grid, masks=[mask])

    seen = imagery.read(imagery.ground(found))

    shown = with_nan(seen.pixels, seen.valid)[0]
    assert np.nanmax(shown) > 1000
    np.testing.assert_array_equal(shown[:100], pixels[0, :100])


def test_the_command_takes_a_mask(world, capfd, tmp_path):
    words = [world / "any.toml", "--catalog", world / "items.json"]
    words += ["--set", "mask=scl:cloud,shadow", "--cluster", "threads"]
    with pytest.raises(SystemExit) as ended:
        main(["run", *map(str, words), "--out", str(tmp_path / "run")])

    assert ended.value.code == 0
    items = areca.read_objects(tmp_path / "run" / "objects")["item_id"]
    assert set(items) == {"old", "new"}
    layout = FinishedRun.open(tmp_path / "run").layout
    assert layout == request_of(world, mask="scl:cloud,shadow").plan.layout
    shown = capfd.readouterr()
    told = " ".join((shown.out + shown.err).split())
    assert "left out (scl: cloud, shadow)" in told


def test_features_take_a_mask(world, tmp_path):
    words = ["features", world / "items.json", "--bands", "red,mean(green, 5)"]
    words += ["--mask", "scl:cloud", "--out", tmp_path / "f.tif"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])

    assert ended.value.code == 0
    plain = write_features(
        world / "clear" / "seen.tif", tmp_path / "p.tif", ["red", "mean(green, 5)"]
    )
    with rasterio.open(tmp_path / "f.tif") as one, rasterio.open(plain.path) as other:
        np.testing.assert_array_equal(one.read(), other.read())


def test_a_mask_may_use_names_that_the_user_gives(world, tmp_path):
    with rasterio.open(world / "old.tif") as file:
        profile = file.profile | {"count": 2}
    rng = np.random.default_rng(8)
    pixels = rng.integers(3, 10, (2, HEIGHT, WIDTH)).astype(np.uint8)
    with rasterio.open(tmp_path / "plain.tif", "w", **profile) as file:
        file.write(pixels)
    words = [tmp_path / "plain.tif", "--names", "red,scl", "--bands", "red"]
    words += ["--mask", "scl:cloud", "--out", tmp_path / "f.tif"]
    with pytest.raises(SystemExit) as ended:
        main(["features", *map(str, words)])

    assert ended.value.code == 0
    hidden = np.isin(pixels[1], [8, 9])  # cloud of medium and high probability
    with rasterio.open(tmp_path / "f.tif") as file:
        np.testing.assert_array_equal(np.isnan(file.read(1)), hidden)
