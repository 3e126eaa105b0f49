"""The path of a GPU: the same answers as on the processor, whatever the blocks."""

import numpy as np
import pandas as pd
import pytest
import torch
from model_families import DETECTORS, calm, drawn_network, ground_card
from worlds import draw_ground, noisy_model, noisy_segmenter, predicted, write_scene

import areca
from areca.inference import session
from areca.models.weights import save_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
BANDS = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ground")
    scene = write_scene(folder / "ground.tif", draw_ground(330, 400, seed=4))
    return areca.open_cube(areca.search(scene), bands=BANDS)


def answer(cube, model, *, device="cuda", workers=4, **options):
    return predicted(cube, model, workers=workers, device=device, **options)


def test_classes_of_a_gpu_are_those_of_the_processor(cube, tmp_path):
    model = noisy_segmenter(tmp_path / "model")
    _, here = answer(cube, model, device="cpu", block_tiles=2)

    first, there = answer(cube, model, block_tiles=2)

    assert np.mean(here.label.to_numpy() == there.label.to_numpy()) > 0.999
    for size, workers in ((1, 8), (3, 2), (4, 1)):
        again, rasters = answer(cube, model, block_tiles=size, workers=workers)
        np.testing.assert_array_equal(rasters.label, there.label)
        pd.testing.assert_frame_equal(again, first)


def test_objects_of_a_gpu_are_those_of_the_processor(cube, tmp_path):
    model = noisy_model(tmp_path / "model")
    here, _ = answer(cube, model, device="cpu", block_tiles=2)

    there, _ = answer(cube, model, block_tiles=2)

    assert len(here) > 50
    assert abs(len(there) - len(here)) <= 0.02 * len(here)
    for size, workers in ((1, 8), (3, 2), (4, 1)):
        again, _ = answer(cube, model, block_tiles=size, workers=workers)
        pd.testing.assert_frame_equal(again, there)


@pytest.mark.parametrize("family", DETECTORS)
def test_detectors_of_boxes_run_on_a_gpu(cube, family, tmp_path):
    card = ground_card(family)
    network = drawn_network(card)
    if family == "maskrcnn":
        calm(network)
    model = save_model(network, card, tmp_path / "model")

    found, _ = answer(cube, model, block_tiles=2)
    again, _ = answer(cube, model, block_tiles=3, workers=1)

    assert len(found) > 1
    pd.testing.assert_frame_equal(again, found)


def test_a_batch_that_does_not_fit_is_halved(cube, tmp_path, monkeypatch):
    """With real memory: the device gives this process little more than it holds."""
    model = noisy_segmenter(tmp_path / "model")
    expected, _ = answer(cube, model, block_tiles=4, batch_size=2)
    torch.cuda.empty_cache()
    sizes = []
    real = session.Session.submit

    def noted(self, batch, *rest, **named):
        sizes.append(len(batch))
        return real(self, batch, *rest, **named)

    monkeypatch.setattr(session.Session, "submit", noted)
    total = torch.cuda.get_device_properties(0).total_memory
    held = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction((held + 150e6) / total)
    try:
        found, _ = answer(cube, model, block_tiles=4, batch_size=32)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert min(sizes) < 32
    assert len(found) == len(expected)
