"""The batch size "auto" of a run: one number, kept by its folder."""

import json

import numpy as np
import pytest
import xarray as xr
from worlds import draw_ground, noisy_segmenter, quiet, run_request, write_scene

from areca.errors import InputError
from areca.runs import batch, run, run_census, with_kept_batch
from areca.runs.folder import RunFolder
from areca.runtime import open_client


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(150, 160, seed=4))
    return scene, noisy_segmenter(folder / "model")


@pytest.fixture(scope="module")
def client():
    with open_client("threads") as client:
        yield client


@pytest.fixture
def measured(monkeypatch, tmp_path_factory):
    """Let this machine measure what the test says; a file counts how often it does."""
    asked = tmp_path_factory.mktemp("asked") / "asked.txt"
    asked.touch()

    def says(size):
        def measure(_predictor, sharers):  # a copy of it runs at the worker
            with asked.open("a") as file:
                file.write(f"{size} for {sharers}\n")
            return {"batch_size": size, "reason": "a test", "trials": []}

        monkeypatch.setattr(batch, "measure", measure)
        return asked

    return says


def asked_of(world, **options):
    scene, model = world
    return run_request(
        scene, model, **{"block_tiles": 2, "batch_size": "auto"} | options
    )


def labels(folder):
    rasters = xr.open_zarr(folder / "rasters.zarr", mask_and_scale=False)
    return rasters.label.to_numpy()


def test_a_run_is_that_of_the_number_it_has_measured(world, client, tmp_path, measured):
    measured(2)

    result = run_census(
        asked_of(world), tmp_path / "auto", client=client, progress=quiet
    )
    given = run_census(
        asked_of(world, batch_size=2), tmp_path / "two", client=client, progress=quiet
    )

    documents = [
        json.loads((run.folder.path / "run.json").read_text())
        for run in (result, given)
    ]
    assert documents[0] == documents[1]
    assert documents[0]["options"]["batch_size"] == 2
    keys = {block.key for block in (*result.blocks, *given.blocks)}
    assert keys == {asked_of(world, batch_size=2).digest}
    np.testing.assert_array_equal(labels(tmp_path / "auto"), labels(tmp_path / "two"))
    manifest = json.loads(result.folder.manifest.read_text())
    assert manifest["batch"]["tiles"] == 2
    assert manifest["batch"]["measured"]["reason"] == "a test"
    assert "2 (measured: a test)" in result.folder.report.read_text()
    other = json.loads(given.folder.manifest.read_text())
    assert other["batch"] == {"tiles": 2, "measured": None}
    assert given.measured_batch is None


def test_a_resume_on_another_machine_keeps_the_number(
    world, client, tmp_path, measured, monkeypatch
):
    asked = measured(2)
    real = run._all_blocks

    def killed(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_all_blocks", killed)
    with pytest.raises(KeyboardInterrupt):
        run_census(asked_of(world), tmp_path / "run", client=client, progress=quiet)
    monkeypatch.setattr(run, "_all_blocks", real)
    measured(8)  # what the other machine would find

    result = run_census(
        asked_of(world), tmp_path / "run", client=client, progress=quiet
    )
    again = run_census(asked_of(world), tmp_path / "run", client=client, progress=quiet)

    assert asked.read_text() == "2 for 1\n"
    assert result.measured_batch["batch_size"] == 2
    assert {block.key for block in result.blocks} == {
        asked_of(world, batch_size=2).digest
    }
    assert again.is_repeated
    with pytest.raises(InputError, match=r"batch_size was 2, now 8"):
        run_census(
            asked_of(world, batch_size=8), tmp_path / "run", client=client,
            progress=quiet,
        )  # fmt: skip


def test_without_the_kept_number_a_resume_would_be_another_run(
    world, client, tmp_path, measured, monkeypatch
):
    """The mutation of the test above."""
    measured(2)
    run_census(asked_of(world), tmp_path / "run", client=client, progress=quiet)
    measured(8)
    monkeypatch.setattr(run, "with_kept_batch", lambda request, _folder: request)

    with pytest.raises(InputError, match="was 2, now"):
        run_census(asked_of(world), tmp_path / "run", client=client, progress=quiet)


def test_a_folder_of_something_else_is_refused_before_anything_is_measured(
    world, client, tmp_path, measured
):
    asked = measured(2)
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="is not empty"):
        run_census(asked_of(world), tmp_path, client=client, progress=quiet)

    assert asked.read_text() == ""
    kept = with_kept_batch(asked_of(world), RunFolder(tmp_path))
    assert kept.options.batch_size == "auto"


@pytest.mark.slow
def test_processes_of_one_machine_measure_together_and_agree(world, tmp_path):
    """The real measurement, in two processes that share the memory."""
    with open_client("local", workers=2, threads=1) as client:
        result = run_census(
            asked_of(world), tmp_path / "run", client=client, progress=quiet
        )

    told = result.measured_batch
    found = [one["batch_size"] for one in told["workers"].values()]
    assert len(found) == 2
    assert told["batch_size"] == min(found)
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["options"]["batch_size"] == min(found)
    assert all(len(one["trials"]) >= 2 for one in told["workers"].values())
