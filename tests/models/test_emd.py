"""An Esri model definition becomes a card; what it does not say must be given."""

import json

import pytest

from areca.errors import ModelError
from areca.models.emd import card_from_emd

BANDS = ("red", "green", "blue", "nir")
GIVEN = {
    "resolution_m": 0.3,
    "context_px": 64,
    "mean": (100.0, 90.0, 80.0),
    "std": (40.0, 40.0, 40.0),
    "score_threshold": 0.5,
    "nms_iou": 0.3,
}
DETECTOR = {"max_object_px": 56, "margin_px": 4, "context_px": 32}


def definition(**change):
    return {
        "Framework": "PyTorch",
        "ModelConfiguration": "FasterRCNN",
        "ModelFile": ".\\palms.pth",
        "ModelType": "ObjectDetection",
        "InferenceFunction": ".\\FindPalms.py",
        "ImageHeight": 512,
        "ImageWidth": 512,
        "ExtractBands": [3, 0, 1],
        "Classes": [
            {"Value": 2, "Name": "dead", "Color": [9, 9, 9]},
            {"Value": 1, "Name": "palm", "Color": [0, 255, 0]},
        ],
    } | change


@pytest.fixture
def read(tmp_path):
    def card(emd, architecture="fasterrcnn", **given):
        path = tmp_path / "palms.emd"
        path.write_text(emd if isinstance(emd, str) else json.dumps(emd))
        return card_from_emd(
            path, architecture=architecture, bands=BANDS, given=GIVEN | given
        )

    return card


def test_a_detector_keeps_its_tile_bands_classes_and_file(read):
    card = read(definition(), **DETECTOR)
    assert card.tile_px == 512
    assert card.bands == ("nir", "red", "green")
    assert card.labels == ("palm", "dead")
    assert card.background is None
    assert (card.weights, card.format) == ("palms.pth", "state-dict")
    assert card.task == "object-detection"


def test_classes_of_pixels_from_one_leave_zero_to_the_background(read):
    card = read(definition(ModelType="ImageClassification"), "unet")
    assert card.labels == ("background", "palm", "dead")
    assert card.background == 0
    assert card.halo_px == 64


def test_classes_of_pixels_from_zero_are_taken_as_they_are(read):
    classes = [{"Value": 0, "Name": "water"}, {"Value": 1, "Name": "land"}]
    emd = definition(ModelType="ImageClassification", Classes=classes)
    card = read(emd, "unet")
    assert card.labels == ("water", "land")
    assert card.background is None


def test_weights_of_darknet_go_with_yolov3(read):
    card = read(definition(ModelFile="palms.weights"), "yolov3", **DETECTOR)
    assert (card.format, card.contract) == ("darknet", "boxes")


def test_a_graph_takes_the_contract_that_is_given(read):
    emd = definition(ModelType="ImageClassification", ModelFile="net.onnx")
    card = read(emd, "file", architecture_options={"contract": "logits"})
    assert (card.format, card.contract) == ("onnx", "logits")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ModelType": "ObjectClassification"}, "ObjectClassification"),
        ({"ModelType": "ImageClassification"}, "gives boxes"),
        ({"ImageWidth": 256}, "256 x 512"),
        ({"ExtractBands": [0, 1, 4]}, r"\[0, 1, 4\].*0 to 3"),
        ({"Classes": [{"Value": 1, "Name": "a"}, {"Value": 3, "Name": "b"}]}, "1, 3"),
        ({"ModelFile": "graph.pb"}, "format is 'pb'"),
        ({"Classes": [{"Value": 0, "Name": "a"}]}, "numbers its classes from 0"),
    ],
)
def test_a_definition_that_cannot_be_run_is_refused(read, change, said):
    with pytest.raises(ModelError, match=said):
        read(definition(**change), **DETECTOR)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not readable"), ("[]", "lacks ModelType"), ("{}", "lacks ModelType")],
)
def test_a_damaged_definition_is_named(read, text, said):
    with pytest.raises(ModelError, match=said):
        read(text)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ModelType", ["ObjectDetection"], "must be text"),
        ("ModelFile", None, "must be text"),
        ("ModelPadding", "wide", "a whole number"),
        ("ModelPadding", True, "a whole number"),
        ("ExtractBands", 3, "must be a list"),
        ("ExtractBands", [0, "1"], "whole numbers from 0"),
        ("Classes", {"Value": 1}, "must be a list"),
    ],
)
def test_a_value_of_another_kind_is_named(read, key, value, said):
    with pytest.raises(ModelError, match=f"{key} = .*{said}"):
        read(definition(**{key: value}), **DETECTOR)


def test_a_definition_may_leave_bands_and_padding_empty(read):
    four = {"mean": (100.0,) * 4, "std": (40.0,) * 4}
    card = read(definition(ExtractBands=None, ModelPadding=None), **DETECTOR, **four)
    assert card.bands == BANDS


def test_what_was_not_given_is_named(read):
    with pytest.raises(ModelError, match="max_object_px"):
        read(definition())


def test_an_unknown_architecture_is_named(read):
    with pytest.raises(ModelError, match="'yolo'"):
        read(definition(), "yolo")
