"""What every loaded model knows: its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from areca.models.card import ModelCard
    from areca.models.contracts import Contract


class Loaded:
    """A model in memory; `areca.models.adapter.LoadedModel` says what it must do."""

    reduces = False
    """Whether it makes class maps of its logits where they are (`forward_maps`)."""
    precision = "float32"
    """Numbers of its forward passes here: what the card allows and the hardware has."""
    passes_at_once = 1
    """Forward passes that may run side by side, so that a GPU has the next one when
    one ends; a processor is busy with one."""

    def __init__(self, card: ModelCard, device: torch.device | None = None) -> None:
        """Keep the card, and where the weights are; in host memory by default."""
        self.card = card
        self.device = device or torch.device("cpu")

    @property
    def contract(self) -> Contract:
        """What the model gives."""
        return self.card.contract
