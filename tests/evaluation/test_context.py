"""The context measurement sees what a tile's edge does to a model."""

from dataclasses import replace

import numpy as np
import pytest

from areca.errors import InputError
from areca.evaluation.context import context_effect
from areca.models.card import ModelCard
from areca.models.found import Detections

CARD = ModelCard(
    name="edgy",
    version="1",
    bands=("red",),
    resolution_m=1,
    tile_px=128,
    context_px=0,
    margin_px=4,
    max_object_px=8,
    mean=(0.0,),
    std=(1.0,),
    labels=("dot",),
    score_threshold=0.5,
    nms_iou=0.3,
)


class Edgy:
    """Finds bright pixels; those within `reach` of a tile's edge move by one pixel."""

    def __init__(self, reach, card=CARD):
        self.reach, self.card = reach, card

    def forward(self, batch):
        return {"tiles": batch}

    def decode(self, raw, score_threshold):
        out = []
        for tile in raw["tiles"][:, 0]:
            row, col = np.nonzero(tile > score_threshold)
            edge = np.minimum.reduce([row, col, 127 - row, 127 - col]) < self.reach
            out.append(
                Detections(
                    x=(col + 0.5 + edge).astype(np.float32),
                    y=(row + 0.5).astype(np.float32),
                    radius=np.full(row.size, 2, np.float32),
                    score=tile[row, col].astype(np.float32),
                    label=np.zeros(row.size, np.int32),
                )
            )
        return out


@pytest.fixture
def image():
    pixels = np.zeros((1, 320, 320), np.float32)
    pixels[0, 7::16, 7::16] = 0.9
    return pixels


def test_context_beyond_the_reach_changes_nothing_and_less_does(image):
    # The dots lie at least 7 px inside a core, and the halo is 4 + 4 + context.
    effects = context_effect(image, Edgy(reach=18), [0, 8, 16], reference_px=32)
    assert [effect.changed > 0 for effect in effects] == [True, False, False]
    assert effects[0].farthest_px == pytest.approx(1.0)
    assert effects[1].farthest_px == 0.0
    assert effects[2].computed_twice == pytest.approx(1 - (80 / 128) ** 2)


def test_an_image_without_objects_is_refused(image):
    with pytest.raises(InputError, match="finds nothing"):
        context_effect(image * 0, Edgy(4), [0], reference_px=32)


def test_the_card_of_the_model_is_left_as_it_was(image):
    model = Edgy(4)
    before = replace(model.card)
    context_effect(image, model, [8], reference_px=16)
    assert model.card == before
