"""Every architecture has a contract, and a card that contradicts it is refused."""

from dataclasses import replace

import pystac
import pytest
from pystac.extensions.mlm import MLMExtension

from areca.errors import ModelError
from areca.models.card import ModelCard
from areca.models.card_file import card_to_item, read_card, write_card
from areca.models.contracts import FAMILIES, TASKS
from areca.models.handle import load_model

# As they were before cards knew more than one family: a digest is part of the identity
# of every object and run, so a new field must not change it.
BUILT_IN = {
    "oil-palm": "af4356ea3c36aac5b0aaf90058942fecea8d8812db553e6681933eb18cba6812",
    "tree-crown": "ef50a3db87bc8fad2c7a2394c21b3433319ddc39b2b2399c47e3a623d48f00bb",
}


def card(**change):
    values = {
        "name": "cover",
        "version": "1",
        "task": "semantic-segmentation",
        "architecture": "unet",
        "bands": ("red", "green", "blue"),
        "resolution_m": 0.5,
        "tile_px": 256,
        "context_px": 32,
        "margin_px": 0,
        "max_object_px": 0,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "labels": ("ground", "palm"),
        "background": 0,
        "score_threshold": 0.0,
        "nms_iou": 0.5,
    }
    return ModelCard(**values | change)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_new_fields_leave_the_digest_of_built_in_models(name):
    assert load_model(name).card.digest == BUILT_IN[name]


@pytest.mark.parametrize(
    "change", [{"background": 1}, {"background": None}, {"precision": "bf16"}]
)
def test_a_new_field_that_changes_the_answer_changes_the_digest(change):
    assert replace(card(), **change).digest != card().digest


def test_a_format_is_part_of_the_digest():
    assert card(format="state-dict").digest != card().digest


def test_a_dense_card_has_its_context_as_halo_and_survives_the_disk(tmp_path):
    drawn = card(precision="bf16", format="state-dict", weights="w.pth")
    assert drawn.halo_px == drawn.context_px == 32
    assert drawn.contract == "logits"
    write_card(drawn, tmp_path / "model.json")
    assert read_card(tmp_path / "model.json") == drawn


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"file"}))
def test_every_family_takes_a_card_of_its_task(name):
    contract = FAMILIES[name].contract
    sizes = {} if contract == "logits" else {"max_object_px": 56, "margin_px": 4}
    made = card(
        architecture=name,
        task=TASKS[contract],
        context_px=32,
        tile_px=384,
        background=None,
        **sizes,
    )
    assert made.contract == contract
    assert made.halo_px % made.phase_px == 0


def test_a_file_says_its_contract_and_its_phase():
    made = card(
        architecture="file",
        format="onnx",
        context_px=8,
        architecture_options={"contract": "logits", "phase_px": 8},
    )
    assert made.contract == "logits"
    assert made.phase_px == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "object-detection"}, "must be 'semantic-segmentation'"),
        ({"format": "pickle"}, "'pickle'"),
        ({"format": "onnx"}, "does not go with"),
        ({"architecture": "file"}, "does not go with"),
        ({"architecture": "file", "format": "onnx"}, "contract'] is None"),
        ({"precision": "int8"}, "int8"),
        ({"background": 2}, "class 2"),
        ({"background": -1}, "class -1"),
        ({"margin_px": 4}, "margin_px 4"),
        ({"context_px": 40}, "multiples of 32"),
        ({"context_px": -32}, "context_px is -32"),
        (
            {
                "architecture": "fcos",
                "task": "object-detection",
                "max_object_px": 64,
            },
            "no class for it",
        ),
    ],
)
def test_a_card_that_contradicts_its_family_is_refused(change, said):
    with pytest.raises(ModelError, match=said):
        card(**change)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("fcos", [[-1, -1, 6]]),
        ("maskrcnn", [[-1, -1, 6], [-1, -1, 384, 384]]),
        ("fpn", [[-1, 2, 384, 384]]),
        ("centre-radius", [[-1, 5, 96, 96]]),
    ],
)
def test_pystac_reads_the_outputs_of_each_contract(name, shapes):
    contract = FAMILIES[name].contract
    sizes = {} if contract == "logits" else {"max_object_px": 56, "margin_px": 4}
    made = card(
        architecture=name,
        task=TASKS[contract],
        tile_px=384,
        background=None,
        **sizes,
    )
    mlm = MLMExtension.ext(pystac.Item.from_dict(card_to_item(made)))
    assert mlm.tasks == [TASKS[contract]]
    assert [output.result.shape for output in mlm.output] == shapes
    for output in mlm.output:
        assert len(output.result.dim_order) == len(output.result.shape)
        assert [one.name for one in output.classes] == ["ground", "palm"]


def test_an_asset_tells_how_its_file_was_written():
    told = {
        made.format: card_to_item(made)["assets"]["weights"]["mlm:artifact_type"]
        for made in (
            card(),
            card(format="state-dict"),
            card(
                architecture="yolov3",
                task="object-detection",
                format="darknet",
                background=None,
                max_object_px=56,
                margin_px=4,
            ),
            *(
                card(
                    architecture="file",
                    format=kind,
                    architecture_options={"contract": "logits"},
                )
                for kind in ("onnx", "pt2", "torchscript", "callable")
            ),
        )
    }
    assert told == {
        "safetensors": "safetensors",
        "state-dict": "torch.save",
        "darknet": "darknet",
        "onnx": "onnx",
        "pt2": "torch.export.save",
        "torchscript": "torch.jit.save",
        "callable": "python",
    }
