"""Run folders that the tests of what comes after a run share."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from worlds import draw_ground, noisy_segmenter, write_scene

from areca_pipelines.cli import main


def call(*words: object) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def check_refused(words, says: str, folder: Path, capsys) -> None:
    """Check that a command ends in one line and exit code 2, and leaves no file."""
    before = sorted(folder.rglob("*"))

    code = call(*words)

    line = capsys.readouterr().err
    assert code == 2
    assert line.startswith("areca: ")
    assert line.count("\n") == 1
    assert re.search(says, line), line
    assert sorted(folder.rglob("*")) == before


def demo_run(folder: Path, *words: object) -> Path:
    """Run the demonstration: real crowns, of a model with scores on test ground."""
    words = ("tree_crown_demo", "--out", folder, "--cluster", "threads", *words)
    assert call("run", *words) == 0
    return folder


def patchwork_run(folder: Path) -> Path:
    """Run a segmentation of drawn ground, which leaves class rasters."""
    write_scene(folder / "ground.tif", draw_ground(140, 200, seed=4))
    model = noisy_segmenter(folder / "model").folder
    recipe = folder / "patchwork.toml"
    recipe.write_text(
        f'kind = "census"\ntitle = "Patchwork"\nmodel = "{model}"\n'
        '[options]\nblock_tiles = 1\nconfidence = ["top1"]\n'
    )
    words = ("--catalog", folder / "ground.tif", "--cluster", "threads")
    assert call("run", recipe, *words, "--out", folder / "run") == 0
    return folder / "run"


def copy_run(run: Path, folder: Path) -> Path:
    """Return a copy of a run."""
    shutil.copytree(run, folder)
    return folder


def unfinished_copy(run: Path, folder: Path) -> Path:
    """Return a copy of a run that was stopped before its last file."""
    (copy_run(run, folder) / "manifest.json").unlink()
    return folder
