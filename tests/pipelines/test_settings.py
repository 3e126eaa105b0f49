"""What a recipe says of processes, threads and batches reaches the cluster."""

import json

import pytest
from dask.system import CPU_COUNT
from model_families import family_card
from worlds import noisy_segmenter

import areca_pipelines
from areca.errors import RecipeError
from areca.models.architectures import build_network
from areca.models.weights import save_model
from areca_pipelines import census
from areca_pipelines.cli import main
from areca_pipelines.recipe import CensusRecipe, parse_setting, read_recipe


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("confidence=top1,margin", "confidence", ("top1", "margin")),
        ("options.confidence=top1", "confidence", ("top1",)),
        ('confidence=["top1", "entropy"]', "confidence", ("top1", "entropy")),
        ("classes=oil palm, shrub", "classes", ("oil palm", "shrub")),
    ],
)
def test_lists_may_be_words_with_commas(text, key, value):
    setting = dict([parse_setting(text)])
    chosen = read_recipe("tree_crown_demo", CensusRecipe, setting)
    assert getattr(chosen.options, key) == value


def test_a_value_of_the_command_line_is_not_blamed_on_the_recipe(tmp_path):
    with pytest.raises(RecipeError, match=r"^--set: options\.confidence\.1 is 'most'"):
        read_recipe("tree_crown_demo", CensusRecipe, {"confidence": "top1,most"})
    with pytest.raises(RecipeError, match=r"^--set: options\.threshold is 7"):
        read_recipe("tree_crown_demo", CensusRecipe, {"threshold": 7})
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        'kind = "census"\ntitle = "t"\nmodel = "m"\n[options]\nthreshold = 7\n'
    )
    with pytest.raises(RecipeError, match=r"^own\.toml: options\.threshold is 7"):
        read_recipe(str(recipe), CensusRecipe, {"block_tiles": 2})


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("thresold", "options.threshold"),
        ("thread", "threads"),
        ("options.treshold", "options.threshold"),
        ("worker", "workers"),
        ("tilepx", "options.tile_px"),
    ],
)
def test_the_nearest_key_is_named(wrong, meant):
    with pytest.raises(RecipeError, match=f"'{wrong}'; the nearest is '{meant}'"):
        read_recipe("tree_crown_demo", CensusRecipe, {wrong: 1})


class ReachedError(Exception):
    """The cluster would be started now."""


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What a run asks of `open_client`, by its settings."""

    recipe = tmp_path / "bare.toml"
    recipe.write_text(
        'kind = "census"\ntitle = "Bare"\nmodel = "tree-crown"\n'
        'collections = ["neon-demo"]\n'
    )

    def ask(cluster, **settings):
        seen = {}

        def open_client(name, *, workers=None, threads=None):
            seen.update(cluster=name, workers=workers, threads=threads)
            raise ReachedError

        monkeypatch.setattr(census, "open_client", open_client)
        with pytest.raises(ReachedError):
            areca_pipelines.run(
                str(recipe), catalog=areca_pipelines.demo_catalog(),
                out=tmp_path / "run", cluster=cluster, settings=settings,
            )  # fmt: skip
        return seen

    return ask


def test_processes_and_threads_of_a_local_cluster_are_settings(asked):
    assert asked("local", workers=3, threads=5) == {
        "cluster": "local", "workers": 3, "threads": 5,
    }  # fmt: skip
    # Left out, `open_client` takes the number of processors, and two threads.
    assert asked("local") == {"cluster": "local", "workers": None, "threads": None}
    assert asked("threads", threads=7)["threads"] == 7


def test_processes_that_share_one_gpu_are_no_more_than_it_bears(asked, monkeypatch):
    monkeypatch.setattr(census, "CPU_COUNT", 64)
    assert asked("local", device="cuda")["workers"] == census.MOST_ON_A_GPU == 8
    assert asked("local", device="cuda:0", workers=12)["workers"] == 12
    monkeypatch.setattr(census, "CPU_COUNT", 3)
    assert asked("local", device="cuda")["workers"] == 3
    assert asked("cuda")["workers"] is None  # one per GPU
    assert CPU_COUNT >= 1


def test_a_batch_is_a_number_or_auto():
    setting = dict([parse_setting("batch_size=auto")])
    chosen = read_recipe("tree_crown_demo", CensusRecipe, setting)
    assert chosen.options.batch_size == "auto"

    for wrong in (0, -1, "all", 1.5, True):
        with pytest.raises(RecipeError, match=r"options.batch_size is .*: give a num"):
            read_recipe("tree_crown_demo", CensusRecipe, {"batch_size": wrong})
    with pytest.raises(RecipeError, match=r"options.merge_policy is 'median'"):
        read_recipe("tree_crown_demo", CensusRecipe, {"merge_policy": "median"})


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_the_help_of_run_teaches_processes_threads_and_batches(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert call("run", "--help") == 0

    out = capsys.readouterr().out
    assert "--set workers=4 --set threads=2" in out
    assert "--cluster local --set device=cuda --set workers=4" in out
    assert "--set batch_size=auto" in out


def test_models_tell_task_bands_tile_parameters_and_licence(capsys, tmp_path):
    card = family_card("unet", {"encoder": "resnet18"}, license="CC-BY-4.0 [mine]")
    model = noisy_segmenter(tmp_path / "own")

    assert call("models") == 0
    out = capsys.readouterr().out
    for fact in (
        "oil-palm", "tree-crown", "object-detection", "red, green, blue", "640 px",
        "1,042,700", "MIT (labels), CC0-1.0 (imagery)",
    ):  # fmt: skip
        assert fact in out

    assert call("models", model.folder) == 0
    out = capsys.readouterr().out
    assert "semantic-segmentation" in out
    assert f"{model.card.parameters:,}" in out
    assert "not known" in out  # its licence
    assert "oil-palm" not in out
    assert card.license  # markup in a licence is told as it is
    save_model(build_network(card), card, tmp_path / "marked")
    assert call("models", tmp_path / "marked") == 0
    assert "CC-BY-4.0 [mine]" in capsys.readouterr().out


def test_a_package_is_imported_by_the_command(capsys, tmp_path):
    model = noisy_segmenter(tmp_path / "own")
    emd = {
        "ModelType": "ImageClassification",
        "ModelFile": "weights.safetensors",
        "ImageHeight": 128,
        "ImageWidth": 128,
        "Classes": [
            {"Value": value, "Name": name}
            for value, name in enumerate(model.card.labels)
        ],
    }
    (model.folder / "own.emd").write_text(json.dumps(emd))
    options = json.dumps(model.card.architecture_options["decoder_channels"])
    words = ["models", "--import", model.folder / "own.emd", "--out", tmp_path / "new"]
    told = {
        "architecture": "unet",
        "architecture_options": f'{{encoder="resnet18", decoder_channels={options}}}',
        "bands": "red,green,blue",
        "resolution_m": 0.2,
        "context_px": 32,
        "mean": "110,110,110",
        "std": "60,60,60",
    }
    every = [part for k, v in told.items() for part in ("--set", f"{k}={v}")]

    assert call(*words, *every[:-4]) == 2
    assert "own.emd does not say mean, std; give each" in capsys.readouterr().err
    assert call(*words, *every) == 0
    assert "semantic-segmentation" in capsys.readouterr().out
    assert (tmp_path / "new" / "model.json").is_file()
    assert call("models", "--out", tmp_path) == 2
    assert "go with --import" in capsys.readouterr().err
    assert call("models", "--import", "a.dlpk") == 2
    assert "--out models/a" in capsys.readouterr().err
