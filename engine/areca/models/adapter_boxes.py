"""Detectors of boxes and of masks: torchvision's networks as areca runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList

from areca.models.boxes import BoxModel
from areca.models.checks import Finite, check_batch, check_count
from areca.models.transfer import to_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from areca.models.adapter import Raw
    from areca.models.card import ModelCard

_HEADS = ("head", "rpn.head", "roi_heads.box_predictor", "roi_heads.mask_predictor")
"""Modules whose outputs must be finite. What comes after drops NaN in silence, because
no comparison with a threshold holds for it."""


class BoxDetector(BoxModel):
    """A detector of torchvision, ready for inference.

    A tile gets the same boxes whatever shares its batch: the convolutions see each
    image alone, and the second stage of R-CNN, whose matrices would grow with the
    boxes of all tiles, runs tile by tile.
    """

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        """Take over a network: it is put into eval mode."""
        super().__init__(card, next(network.parameters()).device)
        self._network: Any = network.eval().to(memory_format=torch.channels_last)
        self._finite = Finite(network, _HEADS)

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Run the network.

        Args:
            batch: Shape (n, band, tile, tile), standardised, missing pixels 0.

        Returns:
            "boxes", "scores" and "labels", for masks also "masks": lists of one array
            per tile, of shapes (k, 4), (k,), (k,) and (k, 28, 28). Labels start at 1.
            `areca.errors.PredictError` where the batch has another shape, an output is
            not finite, or a tile has more than 100,000 boxes.
        """
        check_batch(batch, self.card)
        with torch.inference_mode():
            results = self._detect(to_device(batch, self.device))
        self._finite.check(self.card)
        check_count([len(result["scores"]) for result in results], self.card)
        return {
            name: [result[name].float().cpu().numpy() for result in results]
            for name in results[0]
        }

    def _detect(self, tiles: Tensor) -> list[dict[str, Tensor]]:
        network = self._network
        if not isinstance(network, GeneralizedRCNN):
            found: list[dict[str, Tensor]] = network(list(tiles))
            return found
        features = network.backbone(tiles)
        results: list[dict[str, Tensor]] = []
        for number, tile in enumerate(tiles):
            own = {name: level[number : number + 1] for name, level in features.items()}
            size = (int(tile.shape[-2]), int(tile.shape[-1]))
            proposals, _ = network.rpn(ImageList(tile[None], [size]), own)
            seen, _ = network.roi_heads(own, proposals, [size])
            results.extend(seen)
        return results
