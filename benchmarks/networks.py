"""U-Net ResNet-18 with random weights, calm enough that its regions are regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.weights import save_model

if TYPE_CHECKING:
    from pathlib import Path

    from areca.models.handle import Model

SEED = 2
"""Of the first six seeds the one whose classes are most even on Kluang west."""


def unet_card() -> ModelCard:
    """Return the card of a U-Net ResNet-18 of three classes, float32, 512 px tiles."""
    return ModelCard(
        name="unet-resnet18", version="1", task="semantic-segmentation",
        architecture="unet", architecture_options={"encoder": "resnet18"},
        bands=("red", "green", "blue"), resolution_m=0.2, tile_px=512, context_px=32,
        margin_px=0, max_object_px=0, mean=(55.0, 119.0, 80.0), std=(31.0, 34.0, 29.0),
        labels=("ground", "crown", "water"), background=0, score_threshold=0.5,
        nms_iou=0.3,
    )  # fmt: skip


def calm_unet(folder: Path) -> Model:
    """Write the network; each kernel of its last layer is a mean over 3 x 3 pixels.

    With plain random weights the classes flicker: 1,800 regions in a tile of Kluang
    west, half of them single pixels. A mean leaves about 400.
    """
    torch.manual_seed(SEED)
    card = unet_card()
    network = build_network(card).eval()
    with torch.no_grad():
        head = network.segmentation_head[0].weight
        head.copy_(3 * head.mean((2, 3), keepdim=True).expand_as(head))
    return save_model(network, card, folder)
