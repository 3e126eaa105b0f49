"""What a model or a device can do wrong: named, listed, never a class or an object."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from worlds import draw_ground, noisy_segmenter, quiet, run_request, write_scene

import areca
from areca.errors import (
    DeviceLostError,
    DeviceMemoryError,
    ModelError,
    PredictError,
    RunError,
)
from areca.inference import Predictor, predict_block, session
from areca.inference.session import Session, check_model, session_of
from areca.models.handle import Model
from areca.runs import run_census
from areca.runtime import open_client
from areca.tiles import Lattice, Window, cube_geobox

BANDS = ["red", "green", "blue"]

FAULTY = """
import pathlib
import numpy as np

def load(*_):
    flag = pathlib.Path({flag!r})

    def run(x):
        out = np.stack([x.mean(1), -x.mean(1)], 1)
        {fault}
        return out

    return run
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(150, 210, seed=1))
    return folder, areca.open_cube(areca.search(scene), bands=BANDS)


def code_model(folder, fault, **change):
    """A model whose file is code that fails on purpose."""
    folder.mkdir(parents=True, exist_ok=True)
    code = FAULTY.format(flag=str(folder / "flag"), fault=fault).encode()
    (folder / "net.py").write_bytes(code)
    base = noisy_segmenter(folder / "base").card
    card = replace(
        base,
        architecture="file",
        architecture_options={"contract": "logits", "phase_px": 8},
        format="callable",
        weights="net.py",
        sha256=sha256(code).hexdigest(),
        labels=("ground", "crown"),
        **change,
    )
    return Model(card, folder)


def request_of(world, model, **options):
    folder, _ = world
    scene = folder / "ground.tif"
    return run_request(scene, model, block_tiles=1, trust=True, **options)


def one_block(cube, model, network, **options):
    """Predict one block with a model in memory."""
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    whole = lattice.window(cube_geobox(cube))
    window = lattice.core(next(iter(lattice.tiles(whole.grow(-70)))))
    asked = areca.PredictOptions(trust=True, **options)
    predictor = Predictor(model=model, lattice=lattice, options=asked)
    padded = window.grow(predictor.halo_px)
    inside = padded.intersection(whole) or whole
    rows, cols = inside.slices_in(whole)
    pixels = cube.isel(y=rows, x=cols).compute().astype("float32")
    pixels = pixels.pad(
        y=(inside.row0 - padded.row0, padded.row1 - inside.row1),
        x=(inside.col0 - padded.col0, padded.col1 - inside.col1),
        constant_values=np.nan,
    )
    tiles = list(lattice.tiles(window))
    return predict_block(pixels, window, tiles, predictor, session=Session(network))


def test_row_24_a_model_that_does_not_fit_its_card_is_refused_before_any_read(
    world, tmp_path
):
    wrong = "out = out[:, :, ::2]"
    model = code_model(tmp_path / "model", wrong)

    with (
        open_client("threads") as client,
        pytest.raises(ModelError, match=r"logits|shape"),
    ):
        run_census(
            request_of(world, model), tmp_path / "run", client=client, progress=quiet
        )

    assert not list((tmp_path / "run").glob("blocks/*"))


def test_row_25_outputs_that_are_not_finite_make_a_hole_and_no_class(world, tmp_path):
    """The tiles with the most contrast are answered with NaN."""
    _, cube = world
    fault = "out[x.std((1, 2, 3)) > 0.55] = float('nan')"
    model = code_model(tmp_path / "model", fault)

    with open_client("threads") as client:
        result = run_census(
            request_of(world, model), tmp_path / "run", client=client, progress=quiet
        )

    holes = json.loads((tmp_path / "run" / "holes.geojson").read_text())["features"]
    assert 0 < len(holes) < len(result.blocks)
    assert all("not finite" in hole["properties"]["error"] for hole in holes)
    assert cube.shape[1] > 0


def test_row_26_weights_that_are_not_those_of_the_card_are_refused(
    world, tmp_path, monkeypatch
):
    _, cube = world
    monkeypatch.setattr(session, "_LOADED", {})
    model = noisy_segmenter(tmp_path / "model")
    data = bytearray(model.weights_path.read_bytes())
    data[-1] ^= 1
    model.weights_path.write_bytes(bytes(data))

    with pytest.raises(ModelError, match="the card expects"):
        check_model(model, areca.PredictOptions())
    assert cube.chunks is not None


@pytest.mark.parametrize("fits", [1, 2])
def test_row_27_a_batch_that_does_not_fit_is_halved_and_the_answer_stays(
    world, tmp_path, fits
):
    _, cube = world
    model = noisy_segmenter(tmp_path / "model")
    network = session_of(model, areca.PredictOptions()).network

    class Small:
        """A device with room for a few tiles; everything else is the real model."""

        card, contract = network.card, network.contract

        def forward(self, batch):
            if len(batch) > fits:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return network.forward(batch)

    whole = one_block(cube, model, network, batch_size=fits)
    found = one_block(cube, model, Small(), batch_size=4)

    assert found.degraded == fits
    assert whole.degraded == 0
    np.testing.assert_array_equal(found.rasters["label"], whole.rasters["label"])


def test_row_27_not_even_one_tile_fits(world, tmp_path):
    _, cube = world
    model = noisy_segmenter(tmp_path / "model")

    class Full:
        card, contract = model.card, "logits"

        def forward(self, _batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(DeviceMemoryError, match="1 tiles of 128 px do not fit"):
        one_block(cube, model, Full(), batch_size=4)


def test_row_28_a_lost_device_is_told_from_other_failures(world, tmp_path):
    _, cube = world
    model = noisy_segmenter(tmp_path / "model")

    def network(message):
        class Broken:
            card, contract = model.card, "logits"

            def forward(self, _batch):
                raise RuntimeError(message)

        return Broken()

    with pytest.raises(DeviceLostError, match="illegal memory access"):
        one_block(
            cube,
            model,
            network("CUDA error: an illegal memory access was encountered"),
        )
    with pytest.raises(RuntimeError, match="mat1 and mat2") as other:
        one_block(cube, model, network("mat1 and mat2 shapes cannot be multiplied"))
    assert not isinstance(other.value, PredictError)


@pytest.mark.slow
def test_row_28_the_worker_of_a_lost_device_is_replaced_and_the_run_goes_on(
    world, tmp_path
):
    """The first real batch raises what CUDA raises; the flag makes it once only."""
    fault = (
        "if np.abs(x).sum() > 0 and not flag.exists():\n"
        "            flag.touch()\n"
        "            raise RuntimeError('CUDA error: device-side assert triggered')"
    )
    model = code_model(tmp_path / "model", fault)
    sound = code_model(tmp_path / "sound", "pass")

    with open_client("local", workers=1) as client:
        result = run_census(
            request_of(world, model), tmp_path / "run", client=client, progress=quiet
        )
        other = run_census(
            request_of(world, sound), tmp_path / "other", client=client, progress=quiet
        )

    assert (tmp_path / "model" / "flag").exists()
    assert result.state == "DONE"
    assert result.summary.count == other.summary.count > 0


def test_a_defect_in_a_block_says_where_it_is(world, tmp_path):
    """Workers print no traceback, so the line of the hole has to tell the place."""
    model = code_model(tmp_path / "model", "if x.any(): raise RuntimeError('odd')")
    told = r"all \d+ blocks failed; the first: RuntimeError: odd \(net\.py, line \d+\)"
    with (
        open_client("threads") as client,
        pytest.raises(RunError, match=told),
    ):
        run_census(
            request_of(world, model), tmp_path / "run", client=client, progress=quiet
        )


def test_code_in_a_model_file_runs_only_with_trust(world, tmp_path):
    _, cube = world
    model = code_model(tmp_path / "model", "flag.touch()")

    with pytest.raises(ModelError, match="trust"):
        check_model(model, areca.PredictOptions())
    assert not (tmp_path / "model" / "flag").exists()
    check_model(model, areca.PredictOptions(trust=True))
    assert (tmp_path / "model" / "flag").exists()
    assert Window(0, 0, *cube.shape[1:]).size > 0
