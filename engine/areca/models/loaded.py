"""What every loaded model knows: its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from areca.models.card import ModelCard
    from areca.models.contracts import Contract


class Loaded:
    """A model in memory; `areca.models.adapter.LoadedModel` says what it must do."""

    def __init__(self, card: ModelCard) -> None:
        """Keep the card."""
        self.card = card

    @property
    def contract(self) -> Contract:
        """What the model gives."""
        return self.card.contract
