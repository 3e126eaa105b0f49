"""A card checks itself, survives the disk, and its digest follows the predictions."""

import re
from dataclasses import replace

import pystac
import pytest
from pystac.extensions.mlm import MLMExtension

from areca.errors import ModelError
from areca.models.card import ModelCard
from areca.models.card_file import card_to_item, read_card, write_card


@pytest.fixture
def card():
    return ModelCard(
        name="disc",
        version="1",
        bands=("red", "green", "blue"),
        resolution_m=0.25,
        tile_px=256,
        context_px=20,
        max_object_px=80,
        mean=(100.0, 110.0, 120.0),
        std=(40.0, 41.0, 42.0),
        labels=("disc",),
        score_threshold=0.4,
        nms_iou=0.3,
        architecture_options={"width": 8},
        footprint=(10.0, 20.0, 10.5, 20.5),
        scores={"test": {"recall": 0.9}},
    )


def test_halo_and_core_follow_from_object_margin_and_context(card):
    assert card.halo_px == 40 + 4 + 20
    assert card.core_px == 256 - 2 * 64


def test_a_card_survives_the_disk(card, tmp_path):
    write_card(card, tmp_path / "model.json")
    assert read_card(tmp_path / "model.json") == card


def test_pystac_reads_the_card_as_an_mlm_item(card):
    item = pystac.Item.from_dict(card_to_item(card))
    mlm = MLMExtension.ext(item)
    assert mlm.mlm_name == "disc"
    assert mlm.total_parameters == 0
    (given,) = mlm.input
    assert given.bands == ["red", "green", "blue"]
    assert given.input.shape == [-1, 3, 256, 256]


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "ab"},
        {"score_threshold": 0.5},
        {"mean": (1.0, 2.0, 3.0)},
        {"nms_iou": 0.5},
        {"architecture_options": {"width": 16}},
        {"margin_px": 8, "context_px": 16},
    ],
)
def test_what_changes_predictions_changes_the_digest(card, change):
    assert replace(card, **change).digest != card.digest


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"scores": {}}, {"description": "words"}]
)
def test_what_changes_no_prediction_keeps_the_digest(card, change):
    assert replace(card, **change).digest == card.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tile_px": 128}, "core"),
        ({"context_px": 24}, "multiples of 8"),
        ({"mean": (1.0,)}, "1 means"),
        ({"std": (1.0, 0.0, 1.0)}, "above zero"),
        ({"architecture": "yolo"}, "yolo"),
        ({"score_threshold": 1.5}, "1.5"),
        ({"resolve": "vote"}, "vote"),
        ({"labels": ()}, "at least one class"),
        ({"bands": ("red", "nir", "red")}, "bands names red more than once"),
    ],
)
def test_a_card_that_cannot_be_is_refused_by_value(card, change, said):
    with pytest.raises(ModelError, match=said):
        replace(card, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"context_px": 17},
        {"context_px": 25, "tile_px": 250},
        {"tile_px": 100},
        {"tile_px": 203},
        {"max_object_px": 7, "tile_px": 64},
    ],
)
def test_the_sizes_that_a_refusal_names_do_fit(card, change):
    with pytest.raises(ModelError, match="The nearest that fit") as error:
        replace(card, **change)
    told = str(error.value).partition("nearest that fit: ")[2]
    context = re.search(r"context_px (\d+)", told)
    own = {"context_px": int(context[1])} if context else {}
    tiles = re.findall(r"\d+", told.partition("tile_px ")[2])
    assert tiles
    for tile in tiles:
        fitting = replace(card, **{**change, **own, "tile_px": int(tile)})
        # None nearer, and never less ground than the network needs.
        assert abs(fitting.tile_px - change.get("tile_px", card.tile_px)) < (
            fitting.phase_px if len(tiles) == 2 else 10**6
        )
        assert fitting.context_px >= change.get("context_px", card.context_px)
        assert fitting.halo_px % fitting.phase_px == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable"),
        ("[]", "no STAC item"),
        ('{"properties": {"areca:name": "x"}}', "areca:bands"),
    ],
)
def test_a_damaged_card_file_is_named(tmp_path, text, said):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=said):
        read_card(path)


def test_a_missing_card_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model card at .*model\.json"):
        read_card(tmp_path / "model.json")
