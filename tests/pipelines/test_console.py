"""What the console shows while a run is on its way."""

import json
import time
from io import StringIO

import pytest
import rasterio
from rich.console import Console
from worlds import draw_ground, noisy_model, write_scene

from areca.runs import BlockDone
from areca_pipelines import console
from areca_pipelines.cli import main


@pytest.fixture
def screen(monkeypatch):
    """A terminal whose text can be read."""
    text = StringIO()
    monkeypatch.setattr(
        console, "NOTES", Console(file=text, force_terminal=True, width=100)
    )
    return text


def count(bar, name, total):
    bar(BlockDone(name=name, key="k", settled=3), total=total, resumed=False)


def test_the_bar_moves_before_any_block_has_ended_and_after_the_last(screen):
    with console.BlockBar() as bar:
        time.sleep(1.3)
        assert "no block finished yet" in screen.getvalue()
        assert "0:00:01" in screen.getvalue()
        count(bar, "0_0", 2)
        count(bar, "0_1", 2)
        bar._bar.refresh()
        assert "2/2\x1b[0m blocks" in screen.getvalue()
        assert "seams, table, report" in screen.getvalue()


def test_a_run_that_is_refused_leaves_no_bar_on_the_screen(screen):
    with console.BlockBar() as bar:
        bar._bar.refresh()
    erase_line = "\x1b[2K"
    assert screen.getvalue().rstrip("\n").endswith(erase_line)


@pytest.fixture
def bare(tmp_path):
    """A recipe and a GeoTIFF that describes no bands."""
    noisy_model(tmp_path / "model")
    recipe = tmp_path / "any.toml"
    recipe.write_text(
        f'kind = "census"\ntitle = "Any"\nmodel = "{tmp_path / "model"}"\n'
    )
    return recipe, write_scene(tmp_path / "scene.tif", draw_ground(80, 90))


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_names_of_bands_that_were_assumed_are_told(bare, tmp_path, capsys):
    recipe, scene = bare
    assumed = "scene: the file names no bands, so they are taken as red, green, blue"

    assert call("plan", recipe, "--catalog", scene) == 0
    assert assumed in capsys.readouterr().err
    run = ["run", recipe, "--catalog", scene, "--cluster", "threads", "--out"]
    assert call(*run, tmp_path / "run") == 0
    assert assumed in capsys.readouterr().err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [note[: len(assumed)] for note in manifest["notes"]] == [assumed]

    with rasterio.open(scene, "r+") as file:
        file.descriptions = ("blue", "green", "red")
    assert call("plan", recipe, "--catalog", scene) == 0
    assert "names no bands" not in capsys.readouterr().err
