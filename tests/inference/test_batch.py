"""The batch size "auto": as fast as it gets, within the memory, and no larger."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from odc.geo.geobox import GeoBox
from worlds import draw_ground, noisy_segmenter, write_scene

import areca
from areca.errors import DeviceLostError, DeviceMemoryError, InputError, ModelError
from areca.inference import Predictor, batch, session
from areca.inference.batch import Trial, choose_batch, measure_batch
from areca.inference.session import Session, session_of
from areca.runtime import (
    memory_limit_bytes,
    peak_memory_bytes,
    reset_peak_memory,
    resident_memory_bytes,
)
from areca.tiles import Lattice

MB = 1_000_000
BASE = 500 * MB
TILE = 100 * MB


def device(seconds, *, room=10**9, tried=None):
    """A device whose pass over n tiles takes `seconds(n)`; it has room for so many."""

    def attempt(size):
        if tried is not None:
            tried.append(size)
        if size > room:
            raise DeviceMemoryError(f"{size} tiles do not fit")
        return Trial(
            batch_size=size,
            seconds=seconds(size),
            idle_bytes=BASE,
            peak_bytes=BASE + size * TILE,
        )

    return attempt


def gpu(size):
    """Half of a pass of one tile is overhead: each doubling helps, and less so."""
    return 1e-3 + 1e-3 * size


def cpu(size):
    """All work, no overhead."""
    return 20e-3 * size


def chosen(attempt, *, tiles=64, budget=10**12):
    return choose_batch(attempt, tiles=tiles, budget_bytes=budget)


@pytest.mark.parametrize("room", [1, 2, 4, 5, 8])
def test_a_device_with_little_memory_gets_the_largest_batch_that_fits(room):
    found = chosen(device(gpu, room=room))

    assert found.batch_size == 2 ** int(np.log2(room))
    assert "do not fit" in found.reason


def test_a_processor_does_not_hold_tiles_that_bring_it_nothing():
    tried = []

    found = chosen(device(cpu, tried=tried))

    assert found.batch_size == 1
    assert tried == [1, 2]
    assert found.reason == "2 tiles a pass are not 5% faster"


def test_a_device_gets_no_larger_batch_once_it_is_not_faster():
    """16 tiles take 17 ms, 32 tiles 33 ms: 3 % faster."""
    found = chosen(device(gpu), tiles=64)

    assert found.batch_size == 16
    assert [trial.batch_size for trial in found.trials] == [1, 2, 4, 8, 16, 32]


def test_memory_is_not_passed_not_even_to_try():
    """8 tiles have 1.3 GB; twice their part would be 2.1 GB."""
    tried = []

    found = chosen(device(gpu, tried=tried), budget=2000 * MB)

    assert found.batch_size == 8
    assert tried == [1, 2, 4, 8]
    assert all(trial.peak_bytes <= 2000 * MB for trial in found.trials)
    assert "16 tiles would take more than the memory" in found.reason


def test_a_batch_that_took_more_memory_than_foreseen_is_not_taken():
    def attempt(size):
        peak = BASE + (TILE if size < 4 else 50 * TILE)
        return Trial(
            batch_size=size, seconds=gpu(size), idle_bytes=BASE, peak_bytes=peak
        )

    found = chosen(attempt, budget=2000 * MB)

    assert found.batch_size == 2
    assert "4 tiles take more" in found.reason


def test_batches_are_weighed_with_the_tiles_that_fill_them_up():
    """A block of 9 tiles: two passes of 8 compute 16. Three of 4 are faster."""
    found = chosen(device(lambda size: 1e-3 + 4e-3 * size), tiles=9)

    assert found.batch_size == 1
    assert chosen(device(gpu), tiles=1).batch_size == 1
    assert "a block has 1 tiles" in chosen(device(gpu), tiles=1).reason


def test_a_graph_for_one_batch_size_keeps_it_and_a_lost_device_is_no_answer():
    def fixed(size):
        if size > 1:
            raise ValueError("got 2, expected 1")
        return device(gpu)(size)

    assert "fails on 2 tiles: got 2, expected 1" in chosen(fixed).reason

    def lost(size):
        if size > 1:
            raise DeviceLostError("the device failed")
        return device(gpu)(size)

    with pytest.raises(DeviceLostError):
        chosen(lost)


@pytest.fixture
def predictor(tmp_path):
    model = noisy_segmenter(tmp_path / "model")
    grid = GeoBox.from_bbox((0, 0, 40, 40), "EPSG:32648", resolution=0.2)
    lattice = Lattice.of(grid, core_px=model.card.core_px)
    options = areca.PredictOptions(batch_size="auto", block_tiles=4)
    return Predictor(model=model, lattice=lattice, options=options)


class Slow:
    """A device that sleeps: 30 ms a pass and 1 ms a tile, and room for some tiles."""

    def __init__(self, network, room):
        self.card, self.contract = network.card, network.contract
        self.network, self.room, self.sizes = network, room, []

    def forward(self, tiles):
        assert not tiles.any()
        self.sizes.append(len(tiles))
        if len(tiles) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        time.sleep(0.03 + 1e-3 * len(tiles))
        labels, edge = len(self.card.labels), self.card.tile_px
        return {"logits": np.zeros((len(tiles), labels, edge, edge), np.float32)}


@pytest.mark.parametrize(("room", "size"), [(3, 2), (100, 16)])
def test_passes_of_a_device_are_measured_through_its_session(
    predictor, monkeypatch, room, size
):
    real = session_of(predictor.model, predictor.options).network
    slow = Slow(real, room)
    key = (predictor.model.card.digest, "cpu")
    monkeypatch.setitem(session._LOADED, key, Session(slow))

    found = measure_batch(predictor)

    # 16 tiles are a block: no pass is larger than what a block has.
    assert found.batch_size == size
    assert max(slow.sizes) == min(2 * size, 16)
    assert 0.03 < found.trials[0].seconds < 1


def test_a_real_model_is_measured_within_its_share_of_the_memory(predictor):
    found = measure_batch(predictor)

    assert found.batch_size in {1, 2, 4, 8, 16}
    assert found.trials[0].peak_bytes >= found.trials[0].idle_bytes > 50 * MB
    taken = next(t for t in found.trials if t.batch_size == found.batch_size)
    assert taken.peak_bytes <= found.budget_bytes
    assert found.budget_bytes == int(batch.MEMORY_SHARE * memory_limit_bytes(1))


def test_a_model_that_does_not_fit_its_card_is_named_before_it_is_measured(predictor):
    card = replace(predictor.model.card, labels=("one", "two"))
    model = replace(predictor.model, card=card)

    with pytest.raises(ModelError):
        measure_batch(replace(predictor, model=model))


def test_memory_of_a_process_is_seen_and_its_peak_starts_anew():
    held = np.ones(400 * MB, np.uint8)
    assert resident_memory_bytes() > held.nbytes
    high = peak_memory_bytes()
    del held
    reset_peak_memory()

    assert peak_memory_bytes() < high - 200 * MB
    assert memory_limit_bytes(4) == pytest.approx(memory_limit_bytes(1) / 4, abs=4)


def test_a_lazy_prediction_wants_a_number(tmp_path):
    scene = write_scene(tmp_path / "ground.tif", draw_ground(64, 64))
    cube = areca.open_cube(areca.search(scene), bands=["red", "green", "blue"])
    model = noisy_segmenter(tmp_path / "model")

    with pytest.raises(InputError, match=r"only a regional run .* Give a number here"):
        areca.predict(cube, model, options=areca.PredictOptions(batch_size="auto"))


@pytest.mark.parametrize("size", [0, "all", 2.5, True])
def test_another_word_for_the_batch_is_refused(size):
    with pytest.raises(InputError, match=r"batch_size is .* give 1 or more or auto"):
        areca.PredictOptions(batch_size=size)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gets_a_batch_that_its_memory_allows(predictor):
    options = replace(predictor.options, device="cuda", block_tiles=16)
    large = replace(predictor, options=options)

    found = measure_batch(large)
    shared = measure_batch(large, sharers=4)

    assert found.batch_size > 1
    for measured in (found, shared):
        taken = {trial.batch_size: trial for trial in measured.trials}
        assert taken[measured.batch_size].peak_bytes <= measured.budget_bytes
    assert shared.budget_bytes < found.budget_bytes
    assert shared.budget_bytes <= torch.cuda.mem_get_info()[1] / 8
