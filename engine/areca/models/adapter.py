"""How a worker runs a model: `forward` on the device, `decode` beside it."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch

from areca.models.adapter_dense import DenseSegmenter
from areca.models.adapter_yolo import YoloDetector
from areca.models.checks import refuse_not_finite
from areca.models.contracts import WHOLE_FILE
from areca.models.found import Detections
from areca.models.loaded import Loaded
from areca.models.transfer import to_device, to_host
from areca.models.weights import load_weights
from areca.models.whole_files import load_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from areca.models.card import ModelCard
    from areca.models.contracts import Contract
    from areca.models.found import Found
    from areca.models.handle import Model
    from areca.models.network import CentreRadiusNet
    from areca.models.yolo import YoloV3

Raw = dict[str, Any]
"""What a forward pass returns: named arrays in host memory, the batch first, or lists
of one array per tile."""
_LOG_RADIUS_LIMIT = 10.0
"""exp(10) = 22,026 px: beyond any tile, and far from overflow."""


class LoadedModel(Protocol):
    """A model that a worker has loaded once and calls on many tiles."""

    @property
    def card(self) -> ModelCard:
        """The card of the model."""
        ...

    @property
    def contract(self) -> Contract:
        """What the model gives; a model that gives logits has nothing to decode."""
        ...

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Map standardised tiles (n, band, tile, tile) to raw outputs."""
        ...

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Found]:
        """Turn raw outputs into objects, one set per tile."""
        ...


class HeatmapDetector(Loaded):
    """The centre + radius network, folded and ready for inference."""

    def __init__(self, network: CentreRadiusNet, card: ModelCard) -> None:
        """Take over a network: it is folded in place and cannot be trained again."""
        super().__init__(card, next(network.parameters()).device)
        network.fold()
        self._network = network.to(memory_format=torch.channels_last)
        self.passes_at_once = 2 if self.device.type == "cuda" else 1

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Run the network.

        Args:
            batch: Shape (n, band, height, width), standardised, missing pixels 0;
                sides must be multiples of 8.

        Returns:
            "heat" (n, class, h, w), probabilities; "offset" (n, 2, h, w), cells, x
            then y; "log_radius" (n, 1, h, w), ln px. All float32 in host memory.
            `areca.errors.PredictError` where an output is not finite.
        """
        with torch.inference_mode():
            out = self._network(to_device(batch, self.device)).float()
            classes = self._network.classes
            out[:, :classes] = out[:, :classes].sigmoid()
            values = to_host({"out": out})["out"]
        bad = int(values.size - np.isfinite(values).sum())
        refuse_not_finite(bad, values.size, self.card)
        return {
            "heat": values[:, :classes],
            "offset": values[:, classes : classes + 2],
            "log_radius": values[:, classes + 2 :],
        }

    def decode(self, raw: Raw, score_threshold: float) -> list[Detections]:
        """Return the local maxima of the heat maps as circles.

        A cell is a maximum where it equals the largest of its 3 x 3 neighbours, so
        equal neighbours give several; non-maximum suppression leaves one.

        Args:
            raw: What `forward` returned.
            score_threshold: Cells with a lower score are no detections.

        Returns:
            One `Detections` per tile, in the order class, row, column.
        """
        tile, *cells = _peaks(raw["heat"], score_threshold)
        ends = np.searchsorted(tile, np.arange(len(raw["heat"]) + 1))
        return [
            self._circles(
                {name: values[index] for name, values in raw.items()},
                tuple(axis[start:end] for axis in cells),
            )
            for index, (start, end) in enumerate(pairwise(ends))
        ]

    def _circles(
        self,
        raw: Mapping[str, NDArray[np.float32]],
        cells: tuple[NDArray[np.intp], ...],
    ) -> Detections:
        label, row, col = cells
        stride = np.float32(self.card.stride)
        half = np.float32(0.5)
        offset = raw["offset"][:, row, col]
        log_radius = np.clip(
            raw["log_radius"][0, row, col], -_LOG_RADIUS_LIMIT, _LOG_RADIUS_LIMIT
        )
        return Detections(
            x=(col.astype(np.float32) + half + offset[0]) * stride,
            y=(row.astype(np.float32) + half + offset[1]) * stride,
            radius=np.exp(log_radius),
            score=raw["heat"][label, row, col],
            label=label.astype(np.int32),
        )


def _peaks(
    heat: NDArray[np.float32], score_threshold: float
) -> tuple[NDArray[np.intp], ...]:
    """Return the cells that reach a score and that no neighbour exceeds.

    Few cells reach it, so that looking around each is ten times as fast as a maximum
    over all windows.

    Args:
        heat: Shape (n, class, h, w).
        score_threshold: The least score.

    Returns:
        Tile, class, row and column of each, in this order.
    """
    tile, label, row, col = np.nonzero(heat >= np.float32(score_threshold))
    score = heat[tile, label, row, col]
    height, width = heat.shape[2:]
    largest = np.ones(len(score), bool)
    for down, right in product((-1, 0, 1), repeat=2):
        # A cell at the edge of the tile has itself for a neighbour beyond.
        near_row = np.clip(row + down, 0, height - 1)
        near_col = np.clip(col + right, 0, width - 1)
        largest &= heat[tile, label, near_row, near_col] <= score
    return tile[largest], label[largest], row[largest], col[largest]


def load_network(
    model: Model, device: str = "cpu", *, trust: bool = False
) -> LoadedModel:
    """Return a model ready for inference, its weights checked against the card.

    Args:
        model: Handle of the model.
        device: Torch device.
        trust: Whether the file may run code of whoever made it. Only the formats
            pt2, torchscript and callable need it.

    Returns:
        The model. `areca.errors.ModelError` where the weights are damaged, are not
        those of the architecture, or may run code and are not trusted.
    """
    card = model.card
    if card.architecture == WHOLE_FILE:
        return load_file(model, device, trust=trust)
    network = load_weights(model, device)
    if card.contract == "heatmap":
        return HeatmapDetector(cast("CentreRadiusNet", network), card)
    if card.contract == "logits":
        return DenseSegmenter(network, card)
    if card.architecture == "yolov3":
        return YoloDetector(cast("YoloV3", network), card)
    # Here: it brings torchvision, an extra.
    from areca.models.adapter_boxes import BoxDetector  # noqa: PLC0415

    return BoxDetector(network, card)
