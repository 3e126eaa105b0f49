"""A run that is refused says so in one line, and leaves its folder to the next one."""

from hashlib import sha256

import pytest
import rasterio
from model_families import family_card
from worlds import PIXEL, draw_ground, write_scene

from areca.models.card_file import write_card
from areca_pipelines.cli import main

NETWORK = """
import numpy as np

def load(folder, device):
    def run(batch):
        n, _, height, width = batch.shape
        return np.zeros((n, {classes}, height, width), np.float32)
    return run
"""


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.fixture
def words(tmp_path):
    """The command over a small scene, and a model of as many classes as told."""
    write_scene(tmp_path / "a.tif", draw_ground(80, 90))
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.descriptions = ("red", "green", "blue")  # or the run says that it assumes
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "any.toml").write_text(
        f'kind = "census"\ntitle = "Any"\nmodel = "{folder}"\n'
    )

    def write(classes):
        code = NETWORK.format(classes=classes)
        (folder / "net.py").write_text(code)
        card = family_card(
            "unet", {"contract": "logits"}, architecture="file", format="callable",
            weights="net.py", bands=("red", "green", "blue"), resolution_m=PIXEL,
            sha256=sha256(code.encode()).hexdigest(),
        )  # fmt: skip
        write_card(card, folder / "model.json")
        return [
            "run", tmp_path / "any.toml", "--catalog", tmp_path / "a.tif",
            "--out", tmp_path / "run", "--set", "trust=true",
        ]  # fmt: skip

    return write


def test_a_run_that_the_check_of_the_network_refuses_leaves_no_request(
    words, tmp_path, capsys
):
    given = ["--cluster", "threads"]
    assert call(*words(7), *given) == 2
    assert "the card says (1, 3, 128, 128)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

    assert call(*words(3), *given) == 0
    assert call(*words(3), *given, "--set", "block_tiles=1") == 2
    assert "options.block_tiles was" in capsys.readouterr().err


@pytest.mark.slow
def test_an_error_on_worker_processes_is_one_line_on_the_console(words, capfd):
    """Their own log would print it as well, with its traceback, once a worker."""
    given = ["--cluster", "local", "--set", "workers=2"]
    assert call("--debug", *words(7), *given) == 2

    line, *trace = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("areca: model 'unet' fails on an empty batch")
    assert trace[0] == "Traceback (most recent call last):"
    shown = "\n".join(trace)
    assert "in check_network" in shown  # a frame of the worker
    assert "Compute Failed" not in shown


def test_without_debug_that_line_is_all(words, capfd):
    assert call(*words(7), "--cluster", "threads") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "Correct the card's labels" in line
