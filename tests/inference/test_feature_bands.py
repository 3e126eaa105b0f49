"""Cards whose bands are indices, formulas and textures: made from the block as read."""

from dataclasses import replace

import pytest
from worlds import draw_ground, noisy_model, predicted, quiet, run_request, write_scene

import areca
from areca.features import NEIGHBOURHOODS
from areca.runs import run_census
from areca.runtime import open_client

BANDS = ("red", "g = green / red", "s = std(gaussian(red, 1), 5)")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    ground = draw_ground(330, 470)
    ground[:, 100:140, 200:260] = 0
    ground[1, 250:260] = 0  # a band alone is missing
    scene = write_scene(folder / "scene.tif", ground, nodata=0)
    cube = areca.open_cube(areca.search(scene), bands=["red", "green", "blue"])
    return scene, cube, noisy_model(folder / "model", bands=BANDS)


def test_indices_that_are_made_tile_by_tile_are_those_of_a_stack(world, tmp_path):
    _, cube, _ = world
    bands = ("v = 110 + 300 * (green - red) / (green + red)", "e = exg * 99", "blue")
    model = noisy_model(tmp_path / "model", bands=bands)
    found, _ = predicted(cube, model, block_tiles=2)
    before, _ = predicted(areca.stack_features(cube, bands), model, block_tiles=3)
    assert len(found) > 50
    columns = ["object_id", "score", "tile"]
    assert found[columns].equals(before[columns])


def test_bands_of_a_card_equal_bands_stacked_before(world):
    """The stack is exact, so both see the same numbers, also at the rim."""
    _, cube, model = world
    found, _ = predicted(cube, model, block_tiles=2)
    stacked = areca.stack_features(cube, BANDS)
    assert list(stacked.band.values) == ["red", "g", "s"]
    before, _ = predicted(stacked, model, block_tiles=3)
    assert len(found) > 50
    columns = ["object_id", "score", "tile"]
    assert found[columns].equals(before[columns])


def test_without_their_halo_features_would_change_objects(world, monkeypatch):
    """The mutation that the test above must catch."""
    _, cube, model = world
    before, _ = predicted(cube, model, block_tiles=1)
    blind = replace(NEIGHBOURHOODS["std"], reach=lambda _: 0)
    monkeypatch.setitem(NEIGHBOURHOODS, "std", blind)
    found, _ = predicted(cube, model, block_tiles=1)
    columns = ["object_id", "score", "tile"]
    assert not found[columns].equals(before[columns])


def test_a_run_reads_the_bands_that_are_needed_and_finds_the_same(world, tmp_path):
    scene, cube, model = world
    request = run_request(scene, model, block_tiles=2)
    assert request.plan.imagery.bands == ("red", "green")
    with open_client("threads") as client:
        done = run_census(request, tmp_path / "run", client=client, progress=quiet)
    expected, _ = predicted(cube, model, block_tiles=2)
    objects = areca.read_objects(done.folder.objects)
    objects = objects.sort_values("object_id", ignore_index=True)
    assert objects["object_id"].tolist() == expected["object_id"].tolist()


def test_a_chunk_is_read_once_for_all_blocks_that_see_it(world):
    """Each block cuts its halo from its neighbours' chunks, which are read anyway."""
    _, cube, model = world
    cube, reads = cube.chunk(y=110, x=157), []

    def read(block):
        reads.append(block.shape)
        return block

    data = cube.data.map_blocks(read, dtype=cube.dtype, meta=cube.data._meta)
    predicted(cube.copy(data=data), model, block_tiles=1)
    assert len(reads) == cube.data.npartitions == 9
