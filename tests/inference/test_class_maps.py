"""Class maps made on the device against those made in host memory."""

import dask
import numpy as np
import pytest
import torch
from worlds import draw_ground, noisy_segmenter, write_scene

import areca
from areca.inference import session
from areca.inference.session import Session, session_of
from areca.models.adapter_dense import DenseSegmenter
from areca.models.class_maps import ClassMaps
from areca.objects import NODATA

BANDS = ["red", "green", "blue"]
ASKED = [
    {},
    {"threshold": 0.6},
    {"predict_background": False},
    {"classes": ("crown", "roof")},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    ground = draw_ground(210, 270, seed=4)
    ground[:, 20:90, 30:150] = 0
    scene = write_scene(folder / "ground.tif", ground, nodata=0)
    model = noisy_segmenter(folder / "model")
    return areca.open_cube(areca.search(scene), bands=BANDS), model


def rasters_of(world, **options):
    cube, model = world
    asked = areca.PredictOptions(
        confidence=("top1", "margin", "entropy"), batch_size=3, **options
    )
    with dask.config.set(scheduler="threads"):
        return areca.predict(cube, model, options=asked).rasters.compute()


@pytest.fixture
def reducing(world, monkeypatch):
    """Let the model make its maps itself, as on a GPU; count how often it does."""
    model = world[1]
    own = session_of(model, areca.PredictOptions()).network
    passes = []
    real = DenseSegmenter.forward_maps

    def counted(self, batch, maps):
        passes.append(len(batch))
        return real(self, batch, maps)

    def switch(*, on):
        monkeypatch.setattr(own, "reduces", on)
        monkeypatch.setattr(DenseSegmenter, "forward_maps", counted)
        monkeypatch.setitem(session._LOADED, (model.card.digest, "cpu"), Session(own))
        return passes

    return switch


@pytest.mark.parametrize("options", ASKED, ids=["plain", "floor", "no ground", "some"])
def test_maps_of_the_device_are_those_of_the_host(world, reducing, options):
    reducing(on=False)
    host = rasters_of(world, block_tiles=2, **options)

    passes = reducing(on=True)
    device = rasters_of(world, block_tiles=2, **options)

    assert passes
    np.testing.assert_array_equal(device.label, host.label)
    for name in ("top1", "margin", "entropy"):
        np.testing.assert_allclose(device[name], host[name], atol=2e-6)
    assert (host.label == NODATA).any()
    assert len(np.unique(host.label)) > 2


def test_maps_of_the_device_do_not_depend_on_the_blocks(world, reducing):
    passes = reducing(on=True)
    one = rasters_of(world, block_tiles=1)

    for size in (2, 3, 8):
        other = rasters_of(world, block_tiles=size)
        for name, layer in one.items():
            np.testing.assert_array_equal(other[name], layer)
    assert len(passes) > 8


def test_blending_and_views_keep_the_logits(world, reducing):
    passes = reducing(on=True)

    rasters_of(world, block_tiles=2, blend_px=8)
    rasters_of(world, block_tiles=2, augment="flips")

    assert not passes


def test_of_equal_classes_the_first_wins():
    maps = ClassMaps(crop=1, allowed=(1, 2), least=None, layers=("entropy",))

    found = maps.of(torch.zeros(1, 3, 4, 4))

    assert found["label"].shape == (1, 2, 2)
    assert found["label"].dtype == torch.uint8
    assert (found["label"] == 1).all()
    torch.testing.assert_close(found["entropy"], torch.ones(1, 2, 2))


def test_logits_that_are_not_finite_fail_the_pass(world):
    network = session_of(world[1], areca.PredictOptions()).network
    maps = ClassMaps(crop=32, allowed=(0, 1), least=None, layers=("top1",))
    batch = np.zeros((1, 3, 128, 128), np.float32)
    batch[0, 0, 3, 3] = np.inf

    with pytest.raises(areca.errors.PredictError, match="not finite"):
        network.forward_maps(batch, maps)
