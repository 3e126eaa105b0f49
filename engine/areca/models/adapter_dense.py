"""Dense networks as areca runs them: one value per class and pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from areca.errors import PredictError
from areca.models.checks import check_batch, refuse_not_finite
from areca.models.loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import Raw
    from areca.models.card import ModelCard
    from areca.models.found import Found


class DenseSegmenter(Loaded):
    """A dense network, ready for inference."""

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        """Take over a network: it is put into eval mode."""
        super().__init__(card)
        self._network = network.eval().to(memory_format=torch.channels_last)
        self._device = next(network.parameters()).device

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Run the network.

        Args:
            batch: Shape (n, band, tile, tile), standardised, missing pixels 0.

        Returns:
            "logits", shape (n, class, tile, tile), float32 in host memory.
            `areca.errors.PredictError` where the batch or the output has another
            shape, or an output is not finite.
        """
        check_batch(batch, self.card)
        with torch.inference_mode(), self._precision():
            tiles = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
            out = self._network(tiles.contiguous(memory_format=torch.channels_last))
        if isinstance(out, dict):
            out = out["out"]  # DeepLabV3 of torchvision
        return {"logits": checked_logits(_host(out), len(batch), self.card)}

    def _precision(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, torch.bfloat16, enabled=self.card.precision == "bf16"
        )

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Found]:
        """Refuse: classes of pixels are made of the logits of many tiles at once.

        Raises:
            PredictError: Always.
        """
        raise PredictError(
            f"model {self.card.name!r} gives logits ({', '.join(raw)}), no objects "
            f"with a score of {score_threshold} or more; segment with it"
        )


def checked_logits(
    values: NDArray[np.float32], tiles: int, card: ModelCard
) -> NDArray[np.float32]:
    """Return logits whose shape is that of the card and which are finite.

    Raises:
        PredictError: They are not.
    """
    wanted = (tiles, len(card.labels), card.tile_px, card.tile_px)
    if values.shape != wanted:
        raise PredictError(
            f"model {card.name!r} gave an output of shape {values.shape}, the card "
            f"says {wanted}: {len(card.labels)} labels in tiles of {card.tile_px} px. "
            "Correct the card's labels or tile_px"
        )
    refuse_not_finite(int(values.size - np.isfinite(values).sum()), values.size, card)
    return values


def _host(values: Tensor) -> NDArray[np.float32]:
    # NCHW in memory: everything after reads one class at a time.
    host: NDArray[np.float32] = values.float().cpu().contiguous().numpy()
    return host
